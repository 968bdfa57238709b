// spine.read_series: the events of an organization by hour or day, counted, or a number of each added up.
#include "watch/series.h"

#include <algorithm>

#include "access/access.h"
#include "core/event_name.h"
#include "server/errors.h"

extern "C" {
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <utils/array.h>
#include <utils/jsonb.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

constexpr int64 most_points = 10000;
constexpr int days_back = 26 * 7, hours_back = 8 * 7 * 24;  // where the caller names no beginning

TimestampTz floor_to(TimestampTz moment, int64 step) {
  int64 rest = moment % step;
  return moment - (rest < 0 ? rest + step : rest);
}

}  // namespace

EventFilter organization_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ORGANIZATION), errmsg("no organization: organization_id is null"),
                    errhint("Pass the organization whose events are to be looked at.")));
  EventFilter filter{};
  filter.organization = uuid_of(PG_GETARG_DATUM(0));
  return filter;
}

EventFilter filter_argument(FunctionCallInfo fcinfo, int name, int member) {
  EventFilter filter = organization_argument(fcinfo);
  if (!PG_ARGISNULL(name)) {
    filter.name = text_view(PG_GETARG_TEXT_PP(name));
    EventName parts;
    if (!is_name_part(filter.name) && !parse_event_name(filter.name, &parts))
      ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SERIES),
                      errmsg("\"%s\" is neither an event type nor a domain", clipped(filter.name)),
                      errhint("Pass <domain>.<entity>.<action>, or a domain, or NULL for all events.")));
  }
  if (PG_ARGISNULL(member)) return filter;
  ArrayType *path = PG_GETARG_ARRAYTYPE_P(member);
  Datum *keys;
  bool *nulls;
  deconstruct_array(path, TEXTOID, -1, false, TYPALIGN_INT, &keys, &nulls, &filter.depth);
  filter.path = static_cast<text **>(palloc(sizeof(text *) * static_cast<Size>(filter.depth)));
  bool good = filter.depth > 0 && ARR_NDIM(path) == 1;
  for (int i = 0; i < filter.depth; i++) {
    good = good && !nulls[i];
    if (good) filter.path[i] = DatumGetTextPP(keys[i]);
  }
  if (!good)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SERIES), errmsg("member is not a path of keys"),
                    errhint("Pass the keys that lead to a number in the payload, such as '{amount}' or "
                            "'{after,amount}'.")));
  return filter;
}

TimestampTz moment_argument(FunctionCallInfo fcinfo, int argument, TimestampTz otherwise) {
  if (PG_ARGISNULL(argument)) return otherwise;
  TimestampTz moment = PG_GETARG_TIMESTAMPTZ(argument);
  if (TIMESTAMP_NOT_FINITE(moment))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SERIES), errmsg("a moment is infinite"),
                    errhint("Pass a finite one, or NULL.")));
  return moment;
}

void require_stretch(TimestampTz from, TimestampTz to) {
  if (from < to) return;
  const char *begin = pstrdup(timestamptz_to_str(from));  // which writes into the same bytes each time
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SERIES),
                  errmsg("the stretch from %s to %s is empty", begin, timestamptz_to_str(to)),
                  errhint("Pass moments that rise. Of a series only whole steps count.")));
}

// The last sequence before that moment: timestamps never fall within a chain.
int64 EventNumbers::last_before(TimestampTz moment) {
  const Uuid &organization = filter_->organization;
  scan_.seek(organization, 0, organization);
  int64 low = 0, high = scan_.last() ? scan_.event().sequence : 0;
  while (low < high) {
    int64 middle = low + (high - low) / 2;
    scan_.seek(organization, middle, organization);
    if (!scan_.next()) break;
    require_columns(scan_.event(), bit(Column::timestamp));
    if (this->moment() < moment) {
      low = std::max(middle + 1, scan_.event().sequence);
    } else {
      high = middle;
    }
  }
  return low;
}

void EventNumbers::begin(const EventFilter &filter, TimestampTz from, TimestampTz to, uint32 wanted) {
  filter_ = &filter;
  to_ = to;
  any_ = require_reading(events_relid()).has(filter.organization);
  if (!any_) return;
  memory_ = AllocSetContextCreate(CurrentMemoryContext, "spine number of an event", ALLOCSET_DEFAULT_SIZES);
  wanted |= bit(Column::timestamp) | bit(Column::event_type) | bit(Column::domain);
  if (filter.depth > 0) wanted |= bit(Column::payload);
  scan_.begin(wanted);
  scan_.seek(filter.organization, last_before(from), filter.organization);
}

bool EventNumbers::next() {
  while (any_ && scan_.next()) {
    const Event &e = event();
    require_columns(e, bit(Column::timestamp) | bit(Column::event_type) | bit(Column::domain));
    if (moment() >= to_) return false;
    if (!filter_->name.empty() && e.event_type != filter_->name && e.domain != filter_->name) continue;
    read_number();
    return true;
  }
  return false;
}

void EventNumbers::read_number() {
  numeric_ = nullptr;
  number_ = 1;
  has_number_ = filter_->depth == 0;
  if (has_number_ || !event().has(Column::payload)) return;
  require_readable_parts(event());
  MemoryContextReset(memory_);
  MemoryContext before = MemoryContextSwitchTo(memory_);
  Bytes stored = event().payload;
  JsonbContainer *container = static_cast<JsonbContainer *>(memcpy(palloc(stored.size), stored.data, stored.size));
  JsonbValue value;
  for (int i = 0; i < filter_->depth; i++) {
    std::string_view key = text_view(filter_->path[i]);
    if (container == nullptr || !JsonContainerIsObject(container) ||
        getKeyJsonValueFromContainer(container, key.data(), static_cast<int>(key.size()), &value) == nullptr) {
      value.type = jbvNull;
      break;
    }
    container = value.type == jbvBinary ? value.val.binary.data : nullptr;
  }
  if (value.type == jbvNumeric) {
    numeric_ = value.val.numeric;
    number_ = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(numeric_)));
    has_number_ = is_usable(number_);
  }
  MemoryContextSwitchTo(before);
}

TimestampTz EventNumbers::moment() const { return event().timestamp - unix_time(0); }

void EventNumbers::end() {
  if (!any_) return;
  scan_.end();
  MemoryContextDelete(memory_);
}

SeasonalSetting setting_of(const Series &series) {
  SeasonalSetting setting = series.by_day ? by_day : by_hour;
  if (series.is_count) setting.least_deviation = 0.5;  // half an event
  return setting;
}

Series read_series(FunctionCallInfo fcinfo) {
  EventFilter filter = filter_argument(fcinfo, 1, 3);
  std::string_view step = PG_ARGISNULL(2) ? "null" : text_view(PG_GETARG_TEXT_PP(2));
  Series series{};
  series.by_day = step == "day";
  series.is_count = filter.depth == 0;
  if (!series.by_day && step != "hour")
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SERIES), errmsg("step is \"%s\"", clipped(step)),
                    errhint("Pass 'day' or 'hour'.")));
  series.step = series.by_day ? USECS_PER_DAY : USECS_PER_HOUR;
  bool is_open = PG_ARGISNULL(4);
  TimestampTz end = floor_to(moment_argument(fcinfo, 5, GetCurrentStatementStartTimestamp()), series.step);
  TimestampTz back = end - series.step * (series.by_day ? days_back : hours_back);
  series.begin = floor_to(moment_argument(fcinfo, 4, back), series.step);
  require_stretch(series.begin, end);
  int64 room = (end - series.begin) / series.step;
  if (room > most_points)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SERIES),
                    errmsg("a series of " INT64_FORMAT " %ss is longer than " INT64_FORMAT, room,
                           series.by_day ? "day" : "hour", most_points),
                    errhint("Pass a later from_moment.")));
  series.point = static_cast<SeriesPoint *>(palloc0(sizeof(SeriesPoint) * static_cast<Size>(room)));
  EventNumbers numbers;
  numbers.begin(filter, series.begin, end, 0);
  while (numbers.next()) {
    // Where the caller names no beginning the series begins with its first event.
    if (is_open && series.count == 0) {
      series.begin = floor_to(numbers.moment(), series.step);
      is_open = false;
    }
    series.count = (end - series.begin) / series.step;
    SeriesPoint &point = series.point[(numbers.moment() - series.begin) / series.step];
    point.events++;
    if (numbers.has_number() && is_usable(point.value + numbers.number())) {
      point.value += numbers.number();
    } else {
      point.skipped++;
    }
  }
  numbers.end();
  if (!is_open) series.count = (end - series.begin) / series.step;
  return series;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_read_series);
PGDLLEXPORT Datum spine_read_series(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Series series = read_series(fcinfo);
  for (int64 i = 0; i < series.count; i++) {
    const SeriesPoint &point = series.point[i];
    Datum values[4] = {TimestampTzGetDatum(series.moment(i)), Float8GetDatum(point.value), Int64GetDatum(point.events),
                       Int64GetDatum(point.skipped)};
    bool nulls[4] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
