// The rule, enforced: who changes a row of a table under spine.require_events emits an event of its entity.
#pragma once

namespace spine {

// Just before the commit, once everything is chained: raises SP028 where the transaction changed a row of such a table
// and stored no event of its entity.
void check_changes();

// For _PG_init.
void watch_changes();

}  // namespace spine
