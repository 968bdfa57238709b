// Which organizations a subscription is about, and where it is in each.
#pragma once

#include "access/access.h"
#include "consume/subscription.h"
#include "core/uuid.h"

#include <algorithm>

namespace spine {

// Which organizations are visited: those in the list, sorted, or all.
struct Visited {
  bool all;
  int count;
  Uuid *sorted;

  void restrict_to(const Organizations &readable, const Elements &wanted);
  Datum array() const;
};

// NULL: all.
SqlArgument array_of(const Organizations &organizations);

// The positions of a subscription, as of one moment.
class PositionScan {
 public:
  void begin(const char *subscription);
  // False: the subscription has none in this organization. Raises SP046 for a row that says no position.
  bool find(const Uuid &organization, int64 *sequence);
  void end();

 private:
  Relation relation_;
  Relation index_;
  Snapshot snapshot_;
  TupleTableSlot *slot_;
  IndexScanDesc scan_;
  Datum subscription_;
  MemoryContext memory_;  // in which the scan began
};

}  // namespace spine
