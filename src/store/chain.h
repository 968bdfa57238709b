// Chaining: a stamped event becomes a row that is ready to be stored at the end of its chain.
#pragma once

#include "store/partitions.h"

namespace spine {

// Where a row was led before it was chained, which BEFORE triggers cannot change.
struct Routed {
  Relation root;
  Oid partition;
  TimestampTz moment;  // by which it was led there
};

// Locks the chain and gives a stamped event its sequence, timestamp and hashes. routed: null where the caller stores the
// row in the partition of its timestamp. Returns the table that holds the event before, InvalidOid for the first of the
// chain. Raises SP017, SP034.
Oid chain_event(const EventTable *table, EventValues *values, const Routed *routed);

}  // namespace spine
