// What the guard guards: the extension's members, what hangs on them, and whatever lies in the schema spine.
#pragma once

#include "server/pg.h"

extern "C" {
#include <nodes/parsenodes.h>
}

namespace spine {

// The indexes that the spine makes and that are not unique; the unique ones tell by being so.
inline constexpr const char *plain_indexes_made[] = {
    "events_id_idx",        "events_entity_id_sequence_idx", "events_timestamp_idx", "chain_partitions_starts_idx",
    "events_transaction_id_organization_id_idx", "subscription_news_restored_idx",
    "daily_counts_day_idx", "daily_actor_counts_day_idx",    "checkpoints_directory_number_idx",
    "watch_states_due_at_idx", "watch_states_expires_on_idx", "finding_records_id_idx"};

struct Guarded {
  Oid extension;
  Oid schema;
  Oid events;

  // False: there is no spine here, or its own script is running, or pg_upgrade carries it over.
  bool find();

  bool owns(Oid classid, Oid object) const;

  // The extension, its schema, a member, what lies in the schema, what hangs on such a relation, a cast of such a type.
  bool has(Oid classid, Oid object) const;
  bool has_table(Oid relid) const;

  // spine.events, its partitions, also one that is being detached, and what was or may become one: it bears such a name.
  bool holds_events(Oid relid) const;

  // A table that bears a partition's name, belongs to nothing and is empty: until it is attached, nothing depends on it.
  bool is_unattached(Oid relid) const;

  // Whether an index of such a relation is one that an administrator added: no reader and no constraint needs it.
  bool is_added_index(Oid relid) const;
};

// How partitions are named that pg_dump brings back: events_YYYYMMDD or events_YYYYMMDD_HH24MI, by their lower bounds.
bool is_partition_name(const char *name);

// What a table or index is a child or a part of, as it is at this moment; InvalidOid for nothing.
Oid parent_of(Oid relid);

// Whether there is no row in a table, seen or unseen. It must be locked for that to last.
bool is_empty_table(Oid relid);

// The relation that a trigger, constraint, policy, rule, default or index hangs on; InvalidOid for all else.
Oid table_below(Oid classid, Oid object);

// One value of an object's row as it is at this moment, what the running command did to it included. InvalidOid: there is
// no such row, or it is NULL. A boolean is 0 or 1.
Oid catalog_oid(Oid classid, Oid object, AttrNumber column);

// Whether a name says another database.
bool is_elsewhere(const RangeVar *name);

// The relation that a name means, found in silence: what is wrong with a name, the server itself says.
Oid relation_named(const RangeVar *name);

// The schema in which a statement makes an object of this name, found in silence.
Oid schema_of_new(const char *schema_name);
Oid schema_of_new(List *qualified_name);

}  // namespace spine
