// A relation that carries events: its columns, and rows in and out of them.
#pragma once

#include "core/stored_row.h"
#include "server/pg.h"

extern "C" {
#include <access/htup.h>
#include <executor/tuptable.h>
#include <utils/rel.h>
}

namespace spine {

// What the spine knows of one relation of the shape of spine.events. Cached in the backend until the relation
// changes; a pointer to it holds until the next lookup.
struct EventTable {
  Oid relid;
  bool valid;
  uint64 version;            // differs after each change of the relation, or of any function
  Oid root;                  // the top of its partition tree: what a chain and its lock belong to
  bool is_events;            // that is spine.events, whose chains spine.chain_partitions knows
  bool is_cut_by_time;       // partitioned by ranges of the timestamp, or a partition of a table that is
  Oid sequence_index;        // unique (organization_id, sequence, …), or InvalidOid
  Oid entity_index;          // (entity_id, sequence), or InvalidOid
  Oid id_index;              // (id), or InvalidOid
  Oid transaction_index;     // (transaction_id, organization_id), or InvalidOid
  AttrNumber attnum[column_count];
  Oid enum_type[3];          // of actor_type, environment, severity
  int natts;
  StoredAttribute *attributes;  // natts of them; column -1: one that somebody else added, or a dropped one
};

// Raises SP018 where the relation does not have the columns of spine.events, SP170 where Citus has distributed it.
const EventTable *event_table(Relation relation);

// Raises SP018, for a table without an index on these columns.
[[noreturn]] void report_no_index(Relation relation, const char *columns, const char *what_for);
[[noreturn]] void report_no_sequence_index(Relation relation);

// The top of a partition's tree. A partition that is being detached, or that ALTER TABLE … DETACH PARTITION … CONCURRENTLY
// left pending, belongs to it until that is done.
Oid partition_root(Oid partition);

// spine.events itself. Raises 42P01 where there is none.
Oid events_relid();

// The values of one event by Column.
struct EventValues {
  Datum value[column_count];
  bool null[column_count];
  bool is_captured = false;  // made by spine.capture_change: its payload may say so
  bool is_of_spine = false;  // emitted by the spine itself: its type may be one of the spine's own

  void clear() {
    for (bool &is_null : null) is_null = true;
    is_captured = is_of_spine = false;
  }
  // The hashes of the parts of an event that was checked, so that it is chained without reading them again.
  Hash payload_hash;
  Hash personal_hash;

  bool has(Column column) const { return !null[static_cast<int>(column)]; }
  Datum get(Column column) const { return value[static_cast<int>(column)]; }
  void set(Column column, Datum datum) {
    value[static_cast<int>(column)] = datum;
    null[static_cast<int>(column)] = false;
  }
};

// Reads values that the server itself built; fetches toasted ones into the current memory context.
void event_of_values(const EventValues &values, Event *event);

// Reads a row that a function was called with. Raises SP018 where it is none of a table of events, SP045.
void event_of_row(HeapTupleHeader row, Event *event);

// Raises SP045, for an event that cannot be read or lacks what it must have. It is named where it says which it is.
[[noreturn]] void report_damaged(const Event &event, const char *why);

// Raises SP045 where one of these columns (bits) is NULL.
void require_columns(const Event &event, uint32 columns);

// Raises SP045 where a part is no stored JSON: what passes, the server can read.
void require_readable_parts(const Event &event);

// The hashes of the parts, as Hasher::hash_parts gives them. Raises SP045.
PartHashes part_hashes(const Event &event);

inline constexpr char damaged_part[] = "a part is damaged: it is no stored JSON";

// The block that the row lies in was read into memory whole; the row's length comes from the page itself.
bool lies_in_its_page(const TupleTableSlot *slot, HeapTuple tuple);

// Reads the wanted columns (bits, and whole_row) of a stored tuple without trusting a byte of it. data: the tuple with
// its header, size: its length. False: it cannot be read; *why says why, and of *event only what present says is set.
// Values that lie outside the tuple or are compressed are fetched into the current memory context; what the server
// raises there goes on, and *event has then what lies in the tuple.
bool event_of_tuple(Relation relation, const EventTable *table, HeapTupleHeader data, size_t size, uint32 wanted,
                    Event *event, const char **why);
inline constexpr char no_such_label[] = "an enum has a value that is none of its labels";  // all else was read

// The label of an enum value, as it stands in the catalog; null where there is no such value.
const char *enum_label(Oid value);

// The value of a label of an enum type. Raises 22P02.
Oid enum_value(Oid type, std::string_view label);

// A relation changed; InvalidOid: any may have. Expressions that were prepared for a table may also have a function's
// body or a type's constraints in them, so a change of either is one of any table.
void forget_event_table(Oid relid);

// An enum changed.
void forget_enum_labels();

}  // namespace spine
