// Storing events in spine.events without the executor's start-up.
#pragma once

#include "store/event_table.h"

namespace spine {

// Chains and stores the events in order; *position tells how far it is, for error messages. An event that was
// stamped (event_arguments.h) is stored with its stamps, another is checked and stamped first, and gets its id in values.
// relation: spine.events, opened with RowExclusiveLock. Triggers, generated columns, constraints and indexes work as for an
// INSERT; rules do not apply. Each event becomes one row, or an error: those of check_event and chain_event,
// SP015, and what triggers and constraints raise.
void store_events(Relation relation, EventValues *events, int count, int *position);

}  // namespace spine
