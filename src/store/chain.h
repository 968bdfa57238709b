// Chaining: a stamped event becomes a row that is ready to be stored at the end of its chain.
#pragma once

#include "store/event_table.h"

namespace spine {

// Locks the chain and gives a stamped event its sequence, timestamp and hashes. Raises SP017.
void chain_event(Relation relation, const EventTable *table, EventValues *values);

}  // namespace spine
