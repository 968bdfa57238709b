// Telling subscriptions which chains a restore brought rows for: the transaction that a restored row names is not the one that
// brought it, so that nobody could find it among those of new transactions.
#pragma once

#include "server/pg.h"

namespace spine {

// A row is about to be stored as it is. Cheap where it was said of the chain in this transaction before.
void note_restored_event(const Uuid &organization, int64 sequence);

// True: until this transaction ends, no other restores rows without telling subscriptions that have progress then. False: one is at
// that, and from this transaction none may have progress that had none.
bool begin_first_progress();

// Older events come into the table by other ways, in this transaction: every subscription is to look at each organization once more.
// Waits for consumers that are at work.
void forget_progress();

// The transaction ended, or a subtransaction was rolled back.
void forget_restored_chains();

}  // namespace spine
