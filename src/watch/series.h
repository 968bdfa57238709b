// Numbers of an organization's events, one by one, and by hour or day: what forecasts, detectors and tests look at.
#pragma once

#include "core/seasonal.h"
#include "store/event_scan.h"

extern "C" {
#include <utils/numeric.h>
#include <utils/timestamp.h>
}

namespace spine {

// Which events, and which number of each.
struct EventFilter {
  Uuid organization;
  std::string_view name;  // an event type, a domain, or nothing: all events
  int depth;              // 0: events are counted
  text **path;            // to a number in the payload, key by key
};

// The events of a filter in a stretch of time, in the order of their chain.
class EventNumbers {
 public:
  // wanted: further columns (bits) that event() is to have. Where the role may not read the organization, it has no
  // event. Raises SP018, 42501.
  void begin(const EventFilter &filter, TimestampTz from, TimestampTz to, uint32 wanted);
  // The next of them, until the next call; false after the last. Raises SP045.
  bool next();
  const Event &event() const { return scan_.event(); }
  TimestampTz moment() const;
  // Null: events are counted. Until the next call.
  Numeric numeric() const { return numeric_; }
  // False: the payload was erased, has no number there, or one beyond largest_value.
  bool has_number() const { return has_number_; }
  double number() const { return number_; }
  void end();

 private:
  void read_number();
  int64 last_before(TimestampTz moment);

  const EventFilter *filter_;
  TimestampTz to_;
  bool any_;
  ChainScan scan_;
  MemoryContext memory_;  // of one number
  Numeric numeric_;
  bool has_number_;
  double number_;
};

struct SeriesPoint {
  double value;
  int64 events, skipped;  // skipped: of the events, those without a number
};

struct Series {
  bool by_day;
  bool is_count;
  int64 step;         // microseconds
  TimestampTz begin;  // of the first point; days and hours are those of UTC
  int64 count;
  SeriesPoint *point;

  TimestampTz moment(int64 i) const { return begin + i * step; }
};

// How such a series is foreseen.
SeasonalSetting setting_of(const Series &series);

// How many arguments a function that reads a series begins with: organization_id, name, step, member, from_moment,
// to_moment.
inline constexpr int series_arguments = 6;

// Reads the series of these arguments, into the current memory context. Raises SP005, SP018, SP045, SP150, 42501.
Series read_series(FunctionCallInfo fcinfo);

// All events of argument organization_id, the first. Raises SP005.
EventFilter organization_argument(FunctionCallInfo fcinfo);

// The same, of them those that the arguments name and member say. Raises SP005, SP150.
EventFilter filter_argument(FunctionCallInfo fcinfo, int name, int member);

// The moment of an argument, or the other one where it is NULL. Raises SP150 for an infinite one.
TimestampTz moment_argument(FunctionCallInfo fcinfo, int argument, TimestampTz otherwise);

// Raises SP150 where the stretch is none.
void require_stretch(TimestampTz from, TimestampTz to);

}  // namespace spine
