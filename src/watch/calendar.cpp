// spine.set_calendar, and what it says of a moment.
#include "watch/calendar.h"

#include <algorithm>

#include "access/access.h"
#include "core/uuid.h"
#include "privacy/privacy.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/emit.h"
#include "store/entity_uuid.h"
#include "store/event_types.h"
#include "store/owners_rights.h"
#include "store/platform_event.h"
#include "watch/rule_list.h"

extern "C" {
#include <catalog/pg_type.h>
#include <datatype/timestamp.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/datetime.h>
}

namespace spine {

namespace {

[[noreturn]] void bad_calendar(const char *what, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_CALENDAR), errmsg("%s", what), errhint("%s", hint)));
}

void elements(Datum array, Oid type, Datum **values, int *count) {
  deconstruct_array(DatumGetArrayTypeP(array), type, 4, true, TYPALIGN_INT, values, nullptr, count);
}

int integer_argument(FunctionCallInfo fcinfo, int argument, const char *name, int least, int most) {
  if (PG_ARGISNULL(argument) || PG_GETARG_INT32(argument) < least || PG_GETARG_INT32(argument) > most)
    bad_calendar(PG_ARGISNULL(argument) ? psprintf("%s is null", name) : psprintf("%s is %d", name, PG_GETARG_INT32(argument)),
                 "Pass the hours between which there is work: opens from 0 to 23, closes from 1 to 24, and later.");
  return PG_GETARG_INT32(argument);
}

void check_calendar(FunctionCallInfo fcinfo) {
  const char *timezone = PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1));
  if (pg_tzset(timezone) == nullptr || *timezone == '\0')
    bad_calendar(psprintf("\"%s\" is no time zone", clipped(timezone)), "SELECT name FROM pg_timezone_names lists those that there are.");
  if (PG_ARGISNULL(3) || array_contains_nulls(PG_GETARG_ARRAYTYPE_P(3)))
    bad_calendar("holidays is null, or holds a null", "Pass the days without work, or leave it out.");
  bool right = !PG_ARGISNULL(4) && !array_contains_nulls(PG_GETARG_ARRAYTYPE_P(4));
  Datum *days = nullptr;
  int count = 0;
  if (right) elements(PG_GETARG_DATUM(4), INT4OID, &days, &count);
  for (int i = 0; i < count; i++) right = right && DatumGetInt32(days[i]) >= 1 && DatumGetInt32(days[i]) <= 7;
  if (!right || count == 0) bad_calendar("working_days holds what is no day of the week, or nothing", "1 is Monday, 7 is Sunday.");
  if (integer_argument(fcinfo, 5, "opens", 0, 23) >= integer_argument(fcinfo, 6, "closes", 1, 24))
    bad_calendar("opens is not before closes", "Pass the hours between which there is work.");
}

}  // namespace

const Calendar *Calendars::of(const Uuid &organization) const {
  const Calendar *for_all = nullptr;
  for (const Calendar *one = calendar; one < calendar + count; one++) {
    if (one->organization == organization) return one;
    if (one->organization == nil_uuid) for_all = one;
  }
  return for_all;
}

Calendars read_calendars() {
  uint64 rows = run_sql("SELECT DISTINCT ON (organization_id) organization_id, timezone, working_days, opens, closes, holidays FROM spine.calendars"
                        " ORDER BY organization_id, version DESC");
  Calendars read{static_cast<Calendar *>(palloc0(sizeof(Calendar) * Max(rows, 1))), 0};
  for (uint64 i = 0; i < rows; i++) {
    Calendar &one = read.calendar[read.count];
    one.organization = uuid_of(require_field(i, 1));
    one.timezone = pg_tzset(text_to_cstring(DatumGetTextPP(require_field(i, 2))));
    // Its zone was, when it was set.
    if (one.timezone == nullptr) continue;
    Datum *values;
    int count;
    elements(require_field(i, 3), INT4OID, &values, &count);
    for (int d = 0; d < count; d++)
      if (DatumGetInt32(values[d]) >= 1 && DatumGetInt32(values[d]) <= 7) one.works_on[DatumGetInt32(values[d])] = true;
    one.opens = DatumGetInt32(require_field(i, 4));
    one.closes = DatumGetInt32(require_field(i, 5));
    elements(require_field(i, 6), DATEOID, &values, &count);
    one.holidays = static_cast<DateADT *>(palloc(sizeof(DateADT) * static_cast<Size>(Max(count, 1))));
    for (int d = 0; d < count; d++) one.holidays[d] = DatumGetDateADT(values[d]);
    one.holiday_count = count;
    read.count++;
  }
  return read;
}

Calendar test_calendar(const DateADT *holidays, int count) {
  Calendar calendar{nil_uuid, pg_tzset("UTC"), {false, true, true, true, true, true, false, false}, 7, 19, nullptr, count};
  calendar.holidays = const_cast<DateADT *>(holidays);
  return calendar;
}

LocalMoment local_moment(const Calendar &calendar, int64 unix_microseconds) {
  pg_time_t seconds = unix_microseconds / USECS_PER_SEC - (unix_microseconds % USECS_PER_SEC < 0);
  const pg_tm *local = pg_localtime(&seconds, calendar.timezone);
  if (local == nullptr) return {};
  LocalMoment moment{local->tm_hour, local->tm_wday == 0 ? 7 : local->tm_wday, false, false};
  DateADT day = date2j(local->tm_year + 1900, local->tm_mon + 1, local->tm_mday) - POSTGRES_EPOCH_JDATE;
  moment.is_holiday = std::find(calendar.holidays, calendar.holidays + calendar.holiday_count, day) != calendar.holidays + calendar.holiday_count;
  moment.is_open = !moment.is_holiday && calendar.works_on[moment.weekday] && moment.hour >= calendar.opens && moment.hour < calendar.closes;
  return moment;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_set_calendar);
PGDLLEXPORT Datum spine_set_calendar(PG_FUNCTION_ARGS) {
  require_writable("spine.set_calendar()");
  require_watcher();
  require_reason(fcinfo, 2);
  check_calendar(fcinfo);
  Uuid organization = PG_ARGISNULL(0) ? nil_uuid : uuid_of(PG_GETARG_DATUM(0));
  SPI_connect();
  SqlArgument owner = {TEXTOID, CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))};
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("calendars"));
  run_sql("LOCK TABLE spine.calendars IN SHARE ROW EXCLUSIVE MODE");
  uint64 rows = run_sql("INSERT INTO spine.calendars AS c SELECT $1, coalesce(max(o.version), 0) + 1, $2, $5, $6, $7, $4, $8, $3, pg_catalog.clock_timestamp()"
                        " FROM spine.calendars o WHERE o.organization_id = $1"
                        " RETURNING c.version, pg_catalog.to_jsonb(c) - 'owner' - 'set_at' || pg_catalog.jsonb_build_object('by', c.owner)",
                        {{UUIDOID, uuid_datum(organization)},
                         {TEXTOID, PG_GETARG_DATUM(1)},
                         {TEXTOID, PG_GETARG_DATUM(2)},
                         {DATEARRAYOID, PG_GETARG_DATUM(3)},
                         {INT4ARRAYOID, PG_GETARG_DATUM(4)},
                         {INT4OID, PG_GETARG_DATUM(5)},
                         {INT4OID, PG_GETARG_DATUM(6)},
                         owner});
  rights.end();
  if (rows != 1) report_suppressed("calendars");
  int32 version = DatumGetInt32(require_field(0, 1));
  (void)emit_own_event(calendar_set_event, organization, entity_uuid("platform", "calendar", uuid_text(organization)), "medium", require_field(0, 2), ChainedWhen::at_commit);
  SPI_finish();
  PG_RETURN_INT32(version);
}

}  // extern "C"

}  // namespace spine
