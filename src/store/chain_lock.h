// Who may extend a chain. One transaction at a time extends an organization's; one that is for more organizations than
// the lock table has room for extends them all, and nobody else any. None of these locks is on a table, so emitters and
// what maintains the tables (VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY) never wait for each other.
#pragma once

#include "server/pg.h"

namespace spine {

// A chain's number: of its lock, and wherever else chains are hashed.
uint64 chain_key(Oid root, const Uuid &organization);

// Waits until this transaction alone may extend the organization's chain, and holds that to its end, or to
// the rollback of the current savepoint.
void lock_chain(Oid root, const Uuid &organization);

// Locks the chains of all these organizations in an order that every caller shares; where they are too many
// for the lock table, all chains instead. Sorts the array.
void lock_chains(Oid root, Uuid *organizations, int count);

// Whether no other transaction is extending the chain at this moment: what is chained of it later, is chained later than this call.
bool chain_is_free(Oid root, const Uuid &organization);

// The transaction ended.
void forget_chain_locks();

// The subtransaction was rolled back.
void roll_back_chain_locks(SubTransactionId mine);

// The subtransaction became part of its parent.
void keep_chain_locks(SubTransactionId mine, SubTransactionId parent);

}  // namespace spine
