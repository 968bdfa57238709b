// What later proofs need of events that are about to go.
#pragma once

#include "server/pg.h"

namespace spine {

// Waits until this transaction alone takes checkpoints, and holds that to its end, or to the rollback of the current
// savepoint.
void lock_checkpoints();

// Sees to it that a chain has a checkpoint of its first so many events, which are still there and end with that hash,
// so that its tree can go on without them. Connected to SPI, with lock_checkpoints. Raises SP090 where the chain is not
// what its last checkpoint says, SP102.
void keep_checkpoint(const Uuid &organization, int64 size, const Hash &head_hash);

}  // namespace spine
