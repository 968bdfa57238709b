// Tables of the schema spine that a backend keeps in mind: the trigger function spine.note_change on them has every
// session forget what it read, by a message about the relation.
#pragma once

#include <initializer_list>

#include "server/pg.h"

extern "C" {
#include <access/table.h>
#include <access/tableam.h>
#include <executor/tuptable.h>
#include <utils/snapmgr.h>
}

namespace spine {

// The table of that name in schema spine, or InvalidOid. For who reads or writes it: raises SP170 where Citus has distributed
// one of them. find_spine_table does not, for hooks that look at statements that need have nothing to do with the spine.
Oid spine_table(const char *name);
Oid find_spine_table(const char *name);

// Opened with AccessShareLock; null where it is no table, or does not begin with columns of these types.
Relation open_kept_table(Oid relid, std::initializer_list<Oid> types);

// Calls read until nothing changed while it ran, and says so in *valid. changes: counts what invalidates, so that one
// that arrives meanwhile is not lost. A few times at most, for where caches are discarded for the sake of testing
// something always has changed.
template <class Read>
void read_until_valid(const uint64 &changes, bool *valid, Read read) {
  for (int i = 0; i < 4 && !*valid; i++) {
    uint64 before = changes;
    read();
    *valid = changes == before;
  }
}

// Calls use(values, nulls) with the first columns of each row.
//
// As of now, whatever the transaction's snapshot; and a scan under a snapshot of that kind would take predicate locks,
// which make others fail to serialize. A catalog's snapshot can also be had in parallel workers.
template <class Use>
void each_row_now(Relation relation, int columns, Use use) {
  Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(relation)));
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  TableScanDesc scan = table_beginscan_strat(relation, SnapshotAny, 0, nullptr, true, false);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    if (!table_tuple_satisfies_snapshot(relation, slot, snapshot)) continue;
    slot_getsomeattrs(slot, columns);
    use(slot->tts_values, slot->tts_isnull);
  }
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  UnregisterSnapshot(snapshot);
}

}  // namespace spine
