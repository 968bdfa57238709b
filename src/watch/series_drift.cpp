// spine.measure_drift and spine.test_benford: whether the events of a stretch are distributed as others are.
#include "core/distribution.h"
#include "server/errors.h"
#include "watch/series.h"

extern "C" {
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <utils/array.h>
#include <utils/hsearch.h>
}

namespace spine {

namespace {

struct Dimension {
  std::string_view name;
  uint32 column;  // bits that the event must have
  std::string_view (*bin)(const Event &event, char *room);
};

constexpr size_t bin_room = 192;  // an event type has 191 bytes at most

// Two digits, in UTC.
std::string_view hour_of(const Event &event, char *room) {
  int64_t of_day = event.timestamp % USECS_PER_DAY;
  if (of_day < 0) of_day += USECS_PER_DAY;
  return {room, static_cast<size_t>(snprintf(room, bin_room, "%02d", static_cast<int>(of_day / USECS_PER_HOUR)))};
}

// ISO: 1 is Monday.
std::string_view weekday_of(const Event &event, char *room) {
  int64_t day = event.timestamp / USECS_PER_DAY - (event.timestamp % USECS_PER_DAY < 0);
  room[0] = static_cast<char>('1' + ((day + 3) % 7 + 7) % 7);  // the first of January 1970 was a Thursday
  return {room, 1};
}

constexpr Dimension dimensions[] = {
    {"event_type", 0, [](const Event &e, char *) { return e.event_type; }},
    {"domain", 0, [](const Event &e, char *) { return e.domain; }},
    {"actor_type", bit(Column::actor_type), [](const Event &e, char *) { return e.actor_type; }},
    {"severity", bit(Column::severity), [](const Event &e, char *) { return e.severity; }},
    {"hour", 0, hour_of},
    {"weekday", 0, weekday_of},
};

const Dimension &dimension_argument(FunctionCallInfo fcinfo, int argument) {
  std::string_view name = PG_ARGISNULL(argument) ? "null" : text_view(PG_GETARG_TEXT_PP(argument));
  for (const Dimension &dimension : dimensions) {
    if (dimension.name == name) return dimension;
  }
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SERIES), errmsg("dimension is \"%s\"", clipped(name)),
                  errhint("Pass event_type, domain, actor_type, severity, hour or weekday.")));
}

struct Counted {
  char name[bin_room];
  int64 before, now;
};

constexpr const char *verdicts[] = {"too_few", "close", "acceptable", "marginal", "nonconforming"};

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_measure_drift);
PGDLLEXPORT Datum spine_measure_drift(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  EventFilter filter = organization_argument(fcinfo);
  const Dimension &dimension = dimension_argument(fcinfo, 1);
  TimestampTz to = moment_argument(fcinfo, 3, GetCurrentStatementStartTimestamp());
  TimestampTz from = moment_argument(fcinfo, 2, to - 7 * USECS_PER_DAY);
  require_stretch(from, to);
  TimestampTz since = moment_argument(fcinfo, 4, from - 28 * USECS_PER_DAY);
  require_stretch(since, from);

  HASHCTL control{};
  control.keysize = bin_room;
  control.entrysize = sizeof(Counted);
  control.hcxt = CurrentMemoryContext;
  HTAB *table = hash_create("spine bins of a drift", 64, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
  EventNumbers numbers;
  numbers.begin(filter, since, to, dimension.column);
  while (numbers.next()) {
    require_columns(numbers.event(), dimension.column);
    char room[bin_room], name[bin_room];
    std::string_view bin = dimension.bin(numbers.event(), room);
    size_t size = Min(bin.size(), bin_room - 1);
    memcpy(name, bin.data(), size);
    name[size] = '\0';
    bool found;
    Counted *counted = static_cast<Counted *>(hash_search(table, name, HASH_ENTER, &found));
    if (!found) counted->before = counted->now = 0;
    (numbers.moment() < from ? counted->before : counted->now)++;
  }
  numbers.end();

  Size count = static_cast<Size>(hash_get_num_entries(table));
  DriftBin *bins = static_cast<DriftBin *>(palloc0(sizeof(DriftBin) * Max(count, 1)));
  const Counted **of = static_cast<const Counted **>(palloc(sizeof(Counted *) * Max(count, 1)));
  HASH_SEQ_STATUS walk;
  hash_seq_init(&walk, table);
  Size i = 0;
  while (const Counted *counted = static_cast<const Counted *>(hash_seq_search(&walk))) {
    of[i] = counted;
    bins[i++] = {static_cast<double>(counted->before), static_cast<double>(counted->now)};
  }
  measure_drift(bins, count);
  for (i = 0; i < count; i++) {
    Datum values[7] = {text_datum(of[i]->name), Int64GetDatum(of[i]->before), Int64GetDatum(of[i]->now),
                       Float8GetDatum(bins[i].share_before), Float8GetDatum(bins[i].share_now),
                       Float8GetDatum(bins[i].divergence), Float8GetDatum(bins[i].stability)};
    bool nulls[7] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_test_benford);
PGDLLEXPORT Datum spine_test_benford(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  EventFilter filter = filter_argument(fcinfo, 1, 2);
  if (filter.depth == 0)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SERIES), errmsg("member is null"),
                    errhint("Pass the keys that lead to a number in the payload, such as '{amount}'.")));
  TimestampTz to = moment_argument(fcinfo, 4, GetCurrentStatementStartTimestamp());
  TimestampTz from = moment_argument(fcinfo, 3, to - 365 * USECS_PER_DAY);
  require_stretch(from, to);
  uint64_t digits[9] = {};
  int64 tested = 0, skipped = 0;
  EventNumbers numbers;
  numbers.begin(filter, from, to, 0);
  while (numbers.next()) {
    unsigned digit = 0;
    if (numbers.has_number()) {
      char *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(numbers.numeric())));
      digit = first_digit(text);
      pfree(text);
    }
    if (digit == 0) {
      skipped++;
    } else {
      tested++;
      digits[digit - 1]++;
    }
  }
  numbers.end();
  BenfordTest test = test_benford(digits);
  Datum counts[9];
  for (int i = 0; i < 9; i++) counts[i] = Int64GetDatum(static_cast<int64>(digits[i]));
  ArrayType *array = construct_array(counts, 9, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
  Datum values[6] = {text_datum(verdicts[static_cast<int>(test.verdict)]), Float8GetDatum(test.distance),
                     Float8GetDatum(test.chi_square), Int64GetDatum(tested), Int64GetDatum(skipped),
                     PointerGetDatum(array)};
  bool nulls[6] = {};
  nulls[1] = nulls[2] = tested == 0;
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
