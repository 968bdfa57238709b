// The rule, enforced: who changes a row of a table under spine.require_events emits an event of its entity.
#pragma once

#include "server/pg.h"

namespace spine {

// Just before the commit, once everything is chained: raises SP028 where the transaction changed a row of such a table
// and stored no event of its entity.
void check_changes();

// The transaction ended.
void forget_changes();

// The subtransaction was rolled back.
void roll_back_changes(SubTransactionId mine);

// The subtransaction became part of its parent.
void keep_changes(SubTransactionId mine, SubTransactionId parent);

}  // namespace spine
