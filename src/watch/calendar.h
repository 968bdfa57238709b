// When organizations work: spine.calendars.
#pragma once

#include "server/pg.h"

extern "C" {
#include <pgtime.h>
#include <utils/date.h>
}

namespace spine {

struct Calendar {
  Uuid organization;  // nil: of each that has none of its own
  pg_tz *timezone;
  bool works_on[8];   // 1: Monday
  int opens;
  int closes;
  DateADT *holidays;
  int holiday_count;
};

struct Calendars {
  Calendar *calendar;
  int count;

  // Null where none holds for the organization.
  const Calendar *of(const Uuid &organization) const;
};

// The last versions that the current role sees, in the current memory context. Connected to SPI.
Calendars read_calendars();

// What holds in the tests of rules: UTC, Monday to Friday from 7 to 19, without these days.
Calendar test_calendar(const DateADT *holidays, int count);

// A moment in microseconds since 1970, as a calendar has it.
struct LocalMoment {
  int hour;
  int weekday;
  bool is_holiday;
  bool is_open;
};
LocalMoment local_moment(const Calendar &calendar, int64 unix_microseconds);

}  // namespace spine
