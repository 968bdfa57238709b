// Emitting, for whatever in the spine has events to emit.
#pragma once

#include "store/event_table.h"
#include "store/pending.h"

namespace spine {

// Raises 25006 where the transaction may not write, which says that this function cannot be executed.
void require_writable(const char *function);

// Checks, then chains and stores the events now or just before the commit, as people_os_spine.chain_at says. Gives each
// its id. *position tells how far it is. Raises what spine.emit_event raises; whether the transaction may write at all
// is the caller's to know.
void emit(EventValues *events, int count, int *position);

// For what the spine emits by itself: chained and stored just before the commit, whatever people_os_spine.chain_at says, so
// that nobody's open transaction keeps a chain from others and row locks never cross chain locks. place: where among the
// events that wait.
void emit_at_commit(EventValues *events, int count, int *position, Place place = {});

}  // namespace spine
