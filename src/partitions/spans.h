// Spans of time: what an interval cuts time into, and what partitions hold.
#pragma once

#include "server/pg.h"

extern "C" {
#include <datatype/timestamp.h>
#include <nodes/pg_list.h>
}

namespace spine {

// From starts to before ends.
struct Span {
  TimestampTz starts;
  TimestampTz ends;

  bool has(TimestampTz moment) const { return starts <= moment && moment < ends; }
};

// The interval into which time is cut, in UTC: months, days or hours. Raises SP085 for one that cuts it into nothing sensible.
class Cut {
 public:
  void begin(const Interval *every);
  // The piece of time that the moment is in. Raises SP085 where that is outside of what events can say.
  Span around(TimestampTz moment) const;

 private:
  int64 months_;
  int64 microseconds_;  // where months_ is 0
};

// The bounds of a table's partitions but for the default one, in their order; an open end is infinite. A list of Span.
List *partition_spans(Oid root);

// Where a partition starts; the default one, behind all others.
TimestampTz start_of(Oid root, Oid leaf);

// What is left of the piece of time that cut has around the moment, from the moment on or, where whole, from the piece's start,
// when what the spans hold is taken away. False: a span holds the moment, and *piece is that span.
bool free_piece(const Cut &cut, const List *spans, TimestampTz moment, bool whole, Span *piece);

// As SQL and as JSON have a moment, in UTC.
const char *sql_moment(TimestampTz moment);
const char *json_moment(TimestampTz moment);

// What a partition is called that starts then.
const char *partition_name(TimestampTz starts);

}  // namespace spine
