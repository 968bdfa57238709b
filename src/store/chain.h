// Chaining: from what a caller asked for to a row that is ready to be stored at the end of its chain.
#pragma once

#include "core/event_name.h"
#include "store/event_table.h"

namespace spine {

// The text of an event name, and its parts. Raises SP001.
std::string_view event_name_or_error(Datum name, bool is_null, EventName *parts);

// The columns that only the spine gives.
inline constexpr uint32_t given_columns = bit(Column::id) | bit(Column::timestamp) | bit(Column::sequence) |
                                          bit(Column::transaction_id) | bit(Column::recorded_by) |
                                          bit(Column::previous_hash) | bit(Column::event_hash) |
                                          bit(Column::payload_salt) | bit(Column::payload_hash) |
                                          bit(Column::personal_salt) | bit(Column::personal_hash);

// Raises SP012 where the caller set one of them.
void refuse_given_columns(const EventValues &values);

// The organization that the event is for: the caller's, else the setting's. Raises SP005.
void resolve_organization(EventValues *values);

// Checks everything that the caller gave, and fills in what he left to the settings, so that a bad event is
// refused before it waits for anybody. emitted: the event as it passed this before, or null: whether its type is
// registered and the current role may emit for its organization is not asked again. Each part gets a salt and is hashed.
// Raises SP001 to SP012, SP025, SP033, 42501.
void check_event(const EventTable *table, EventValues *values, const EventValues *emitted);

// Gives a checked event what it has from the moment when it is emitted: id, recorded_by, transaction_id.
// Raises SP016.
void stamp_event(EventValues *values);
inline constexpr Column stamps[] = {Column::id, Column::recorded_by, Column::transaction_id, Column::payload_salt, Column::personal_salt};

// Waits until this transaction alone may extend the organization's chain, and holds that to its end, or to
// the rollback of the current savepoint.
void lock_chain(Oid root, const Uuid &organization);

// Locks the chains of all these organizations in an order that every caller shares; where they are too many
// for the lock table, the whole table instead. Sorts the array.
void lock_chains(Oid root, Uuid *organizations, int count);

// Locks the chain and gives a stamped event its sequence, timestamp and hashes. Raises SP017.
void chain_event(Relation relation, const EventTable *table, EventValues *values);

// After an event was chained: the next one of this transaction need not look its predecessor up. is_stored: its row
// is; else that will be looked at first, for a trigger does not learn whether its row was stored.
void remember_head(const EventTable *table, const EventValues &values, bool is_stored);

// After rows were added that remember_head was not told of.
void forget_head(Oid root, const Uuid &organization);

// The sequence of the last event of the organization as of now, 0 without one. Raises SP017.
int64 last_sequence(Relation relation, const EventTable *table, const Uuid &organization);

// The transaction ended.
void forget_heads();

// The subtransaction was rolled back.
void roll_back_heads(SubTransactionId mine);

// The subtransaction became part of its parent.
void keep_locks(SubTransactionId mine, SubTransactionId parent);

}  // namespace spine
