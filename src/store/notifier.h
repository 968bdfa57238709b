// Waking those who wait for events on channel people_os_spine. A NOTIFY of each transaction's own would have commits queue on one
// lock until each is on disk. So where the server preloads this library, a background process of the database notifies on behalf of
// all that were committed since it did so last; a transaction only leaves word in shared memory.
#pragma once

#include "server/pg.h"

namespace spine {

// As the server starts: asks for the shared memory, and makes it.
void request_notifier_memory();
void make_notifier_memory();

// The transaction is about to commit, and somebody is to be told: starts the process where it does not run. False: there can be none, so
// that the transaction has to notify itself.
bool begin_notice();

// The transaction ended, and is visible. May not raise.
void end_notice(bool is_commit);

}  // namespace spine
