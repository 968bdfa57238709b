#include "partitions/spans.h"

#include "server/errors.h"
#include "store/partitions.h"

extern "C" {
#include <access/table.h>
#include <partitioning/partbounds.h>
#include <partitioning/partdesc.h>
#include <utils/datetime.h>
#include <utils/rel.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// Monday, 2000-01-03: from it on, days and hours are counted, so that weeks begin on Mondays.
constexpr int64 origin = 2 * USECS_PER_DAY;
constexpr int64 most_months = 1200;
constexpr int64 most_microseconds = 36525 * USECS_PER_DAY;

int64 floor_to(int64 value, int64 step) {
  int64 rest = value % step;
  return value - (rest < 0 ? rest + step : rest);
}

TimestampTz month_start(int64 month) {
  return (date2j(static_cast<int>(month / 12), static_cast<int>(month % 12) + 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

// In UTC.
bool take_apart(TimestampTz moment, pg_tm *parts, fsec_t *fraction) {
  return timestamp2tm(moment, nullptr, parts, fraction, nullptr, nullptr) == 0 && parts->tm_year >= 1 && parts->tm_year <= 9999;
}

[[noreturn]] void bad_interval(const Interval *every) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_INTERVAL),
                  errmsg("interval \"%s\" does not cut time into partitions",
                         DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(every)))),
                  errhint("Give whole months, or whole days, or whole minutes from one hour on; at most a hundred years.")));
}

TimestampTz bound_at(const PartitionBoundInfoData *bounds, int i) {
  PartitionRangeDatumKind kind = bounds->kind[i][0];
  return kind == PARTITION_RANGE_DATUM_VALUE      ? DatumGetTimestampTz(bounds->datums[i][0])
         : kind == PARTITION_RANGE_DATUM_MINVALUE ? DT_NOBEGIN
                                                  : DT_NOEND;
}

}  // namespace

void Cut::begin(const Interval *every) {
  bool by_months = every->month != 0, by_days = every->day != 0, by_time = every->time != 0;
  if (by_months + by_days + by_time != 1) bad_interval(every);
  months_ = every->month;
  microseconds_ = by_days ? every->day * USECS_PER_DAY : every->time;
  if (by_months ? months_ < 1 || months_ > most_months
                : microseconds_ < USECS_PER_HOUR || microseconds_ > most_microseconds || microseconds_ % USECS_PER_MINUTE != 0)
    bad_interval(every);
}

Span Cut::around(TimestampTz moment) const {
  pg_tm parts;
  fsec_t fraction;
  Span found{};
  bool is_inside = take_apart(moment, &parts, &fraction);
  if (is_inside && months_ > 0) {
    int64 month = floor_to(int64{parts.tm_year} * 12 + parts.tm_mon - 1, months_);
    found = {month_start(month), month_start(month + months_)};
  } else if (is_inside) {
    TimestampTz starts = floor_to(moment - origin, microseconds_) + origin;
    found = {starts, starts + microseconds_};
  }
  if (!is_inside || !take_apart(found.starts, &parts, &fraction) || !take_apart(found.ends, &parts, &fraction))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_INTERVAL), errmsg("partitions would go beyond the years 1 to 9999"),
                    errhint("Events have no other timestamps; give a shorter interval, or fewer of them.")));
  return found;
}

List *partition_spans(Oid root) {
  Relation relation = table_open(root, AccessShareLock);
  PartitionDesc partitions = RelationGetPartitionDesc(relation, false);
  const PartitionBoundInfoData *bounds = partitions->boundinfo;
  List *spans = NIL;
  for (int i = 0; partitions->nparts > 0 && i <= bounds->ndatums; i++) {
    if (bounds->indexes[i] < 0) continue;
    Span *span = static_cast<Span *>(palloc(sizeof(Span)));
    *span = {i == 0 ? DT_NOBEGIN : bound_at(bounds, i - 1), i == bounds->ndatums ? DT_NOEND : bound_at(bounds, i)};
    spans = lappend(spans, span);
  }
  table_close(relation, NoLock);
  return spans;
}

TimestampTz start_of(Oid root, Oid leaf) {
  Relation relation = table_open(root, AccessShareLock);
  PartitionDesc partitions = RelationGetPartitionDesc(relation, false);
  TimestampTz starts = default_partition_starts;
  for (int i = 1; partitions->nparts > 0 && i <= partitions->boundinfo->ndatums; i++) {
    int index = partitions->boundinfo->indexes[i];
    if (index >= 0 && partitions->oids[index] == leaf) starts = bound_at(partitions->boundinfo, i - 1);
  }
  table_close(relation, NoLock);
  return starts;
}

bool free_piece(const Cut &cut, const List *spans, TimestampTz moment, bool whole, Span *piece) {
  *piece = cut.around(moment);
  if (!whole) piece->starts = moment;
  ListCell *cell;
  foreach (cell, spans) {
    const Span *span = static_cast<const Span *>(lfirst(cell));
    if (span->has(moment)) {
      *piece = *span;
      return false;
    }
    if (span->ends <= moment)
      piece->starts = Max(piece->starts, span->ends);
    else
      piece->ends = Min(piece->ends, span->starts);
  }
  return true;
}

const char *sql_moment(TimestampTz moment) {
  if (TIMESTAMP_IS_NOBEGIN(moment)) return "-infinity";
  pg_tm parts;
  fsec_t fraction;
  if (!take_apart(moment, &parts, &fraction)) return "infinity";
  const char *seconds = fraction == 0 ? psprintf("%02d", parts.tm_sec) : psprintf("%02d.%06d", parts.tm_sec, static_cast<int>(fraction));
  return psprintf("%04d-%02d-%02d %02d:%02d:%s+00", parts.tm_year, parts.tm_mon, parts.tm_mday, parts.tm_hour, parts.tm_min, seconds);
}

const char *json_moment(TimestampTz moment) {
  char *text = pstrdup(sql_moment(moment));
  char *zone = strrchr(text, '+');
  if (zone == nullptr) return text;
  *strchr(text, ' ') = 'T';
  strcpy(zone, "Z");
  return text;
}

const char *partition_name(TimestampTz starts) {
  pg_tm parts;
  fsec_t fraction;
  if (!take_apart(starts, &parts, &fraction)) return "events_first";
  char *name = psprintf("events_%04d%02d%02d", parts.tm_year, parts.tm_mon, parts.tm_mday);
  if (starts % USECS_PER_DAY != 0) name = psprintf("%s_%02d%02d", name, parts.tm_hour, parts.tm_min);
  if (starts % USECS_PER_MINUTE != 0) name = psprintf("%s%02d%06d", name, parts.tm_sec, static_cast<int>(fraction));
  return name;
}

}  // namespace spine
