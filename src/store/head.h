// Heads: the last event of a chain, found in the table or remembered by the transaction that stored it.
#pragma once

#include "store/event_table.h"

extern "C" {
#include <storage/itemptr.h>
}

namespace spine {

struct Head {
  int64 sequence;  // 0: the chain has no event yet
  TimestampTz timestamp;
  Hash hash;
  Oid partition;  // the table that holds it; InvalidOid: none does, it was retired
};

// Whether this transaction stored the chain's last event, and still holds the chain's lock: *head is that one.
bool own_head(const EventTable *table, const Uuid &organization, Head *head);

// The last event as of now, whoever stored it. It stays the last only where the chain is locked. Raises SP017.
Head read_head(const EventTable *table, const Uuid &organization);

// The sequence of the last event as of now, 0 without one. Raises SP017.
int64 last_sequence(const EventTable *table, const Uuid &organization);

// After an event was chained: the next one of this transaction need not look its predecessor up. table: the one that holds
// it. row: where it is stored. Null: it is not yet, and whether it was will be looked at first, for a trigger does not learn
// that.
void remember_head(const EventTable *table, const EventValues &values, const ItemPointerData *row);

// Before rows are added that remember_head is not told of.
void forget_head(Oid root, const Uuid &organization);

// The transaction ended, or a subtransaction was rolled back: its rows are gone and its locks released, so what was
// remembered may be another session's to extend.
void forget_heads();

}  // namespace spine
