// Reading the events that there are: this and block_scan.h are the ways to them. Nobody else opens the table or its
// indexes, and no stored byte is trusted.
#pragma once

#include "store/durability.h"
#include "store/event_table.h"

extern "C" {
#include <access/genam.h>
#include <access/htup.h>
#include <access/sdir.h>
#include <access/skey.h>
#include <access/tupconvert.h>
#include <executor/tuptable.h>
#include <lib/binaryheap.h>
#include <storage/bufmgr.h>
#include <utils/rel.h>
#include <utils/snapshot.h>
}

namespace spine {

// A snapshot of now, whatever the transaction's own is: under REPEATABLE READ that one would show event 2 without 1.
//
// A scan under a snapshot of that kind in a serializable transaction takes predicate locks, which would make
// emitters fail to serialize. There the scan finds every version of a row, and the snapshot is applied to each.
class FreshRead {
 public:
  void begin();
  // In a parallel worker: the same read as another process began.
  void begin_shared(Snapshot snapshot);
  // Whether scan_snapshot alone decides what is read, so that other processes can read under it too.
  bool can_be_shared() const { return !filtered_; }
  Snapshot scan_snapshot() const;
  // Whether a row that the scan returned, in a slot of its table, is part of the read; those that are count for
  // end().
  bool sees(Relation relation, TupleTableSlot *slot, HeapTuple tuple);
  // Waits until what was read is durable, as durability.h says.
  void end();
  // In a parallel worker: leaves the waiting to the process that takes its guard.
  void end_shared();
  ReadGuard &guard() { return guard_; }

 private:
  Snapshot snapshot_;
  bool filtered_;
  ReadGuard guard_;
};

// By which index a scan finds events, and in which order: of organization_id and sequence, of entity_id and sequence, of id, or of
// transaction_id and organization_id.
enum class EventOrder { chain, entity, id, transaction };

// What a scan sees: what a FreshRead does, or what is committed at this moment and the transaction's own.
enum class Sees { fresh, current };

// The events of one table, no partitioned one, that one of its indexes finds, in its order.
class LeafScan {
 public:
  // relation: open and locked, and it stays so after close(). Raises SP018.
  void open(Relation relation, EventOrder order);
  // Whether the index has no entry: what comes into it later, no read that began before sees.
  bool is_empty() const { return RelationGetNumberOfBlocks(index_) == 1; }  // which says where its root is
  // read: null, for what is committed at this moment and the transaction's own. wanted: the columns (bits) that event() is
  // to have.
  void begin(int keys, FreshRead *read, uint32 wanted);
  // Goes to what the keys find; for another find too.
  void find(const ScanKeyData *keys) { index_rescan(scan_, const_cast<ScanKey>(keys), keys_, nullptr, 0); }
  // The next event, until the next call; false after the last. Checks for interrupts.
  bool next(ScanDirection direction);
  Relation relation() const { return relation_; }
  Oid partition() const { return RelationGetRelid(relation_); }
  // The event's row, until the next call.
  HeapTuple tuple() const { return tuple_; }
  // Why the event cannot be read; null: it can, and event() has those of the wanted columns that are not NULL.
  const char *why() const { return why_; }
  const Event &event() const { return event_; }
  // Reads all of the event's columns. False: why() says why that cannot be.
  bool read_whole();
  // What begin() began.
  void end();
  void close() { index_close(index_, AccessShareLock); }

 private:
  Relation relation_;
  EventOrder order_;
  Relation index_;
  MemoryContext memory_;  // in which the scan began
  IndexScanDesc scan_;
  TupleTableSlot *slot_;
  FreshRead *read_;
  int keys_;
  uint32 wanted_;
  HeapTuple tuple_;
  Event event_;
  const char *why_;
};

// The events of a table, or of its partitions, that one index of each finds, merged in its order.
class EventScan {
 public:
  // table: of events; its partitions are locked with AccessShareLock, and it itself. wanted: the columns (bits) that event()
  // is to have. Raises SP018.
  void begin(Oid table, EventOrder order, int keys, Sees sees, uint32 wanted);
  // Goes to what the keys find; for another find too, while the read is the same.
  void find(const ScanKeyData *keys);
  // The next event, until the next call; false after the last. One direction after each find. Checks for interrupts.
  bool next(ScanDirection direction);
  // Why the event cannot be read; null: it can, and event() has those of the wanted columns that are not NULL.
  const char *why() const { return current_->leaf.why(); }
  const Event &event() const { return current_->leaf.event(); }
  // The table that holds the event.
  Oid partition() const { return current_->leaf.partition(); }
  // Whether this very transaction emitted and stored the event, where transaction_id is one of the wanted columns.
  bool is_own() const;
  // The event's row in the shape of the table that was named, known to be readable in each of its columns, as event() is
  // from now on. Raises SP045.
  TupleTableSlot *whole();
  // The same without the personal part: its hash stands in its place, as if it had been erased.
  TupleTableSlot *without_personal();
  TupleDesc shape() const { return RelationGetDescr(root_); }
  AttrNumber attnum(Column column) const { return event_table(root_)->attnum[static_cast<int>(column)]; }
  // Waits until what was read is durable, as durability.h says.
  void end();

 private:
  struct Table {
    LeafScan leaf;
    TupleConversionMap *map;  // null: its columns are where those of root_ are
  };
  // Greater than 0: the event of a comes before that of b.
  static int compare(Datum a, Datum b, void *scan);

  Relation root_;
  Table *tables_;
  int count_;
  binaryheap *order_of_tables_;  // those that have an event, by it
  Table *current_;
  ScanDirection direction_;
  EventOrder order_;
  bool fresh_;
  bool found_;                // whether next was called since find
  FreshRead read_;
  TupleTableSlot *whole_;
  MemoryContext memory_;      // in which the scan began
  MemoryContext row_memory_;  // of whole()
  TupleTableSlot *withheld_;  // of without_personal()
};

// What an event has to say before anybody can tell whose it is and where it belongs.
inline constexpr uint32 event_place = bit(Column::organization_id) | bit(Column::sequence);

// The events of spine.events by organization and sequence, as of one moment. Whose the caller may read is his to ask.
class ChainScan {
 public:
  // wanted: further columns (bits) that event() is to have. Raises 42P01, SP018.
  void begin(uint32 wanted = 0);
  // Goes to the events after this one of the organization, and on through the organizations behind it, up to and with last.
  void seek(const Uuid &organization, int64 after, const Uuid &last);
  // The next of them, until the next call; false after the last. Checks for interrupts. Raises SP045.
  bool next() { return step(ForwardScanDirection); }
  // Straight after seek: the last of them.
  bool last() { return step(BackwardScanDirection); }
  // organization_id and sequence, and those of the wanted columns that are not NULL, as only damage makes them.
  const Event &event() const { return scan_.event(); }
  // The event's row, known to be readable in each of its columns. Raises SP045.
  TupleTableSlot *whole() { return scan_.whole(); }
  TupleTableSlot *without_personal() { return scan_.without_personal(); }
  // Waits until what was read is durable, as durability.h says.
  void end() { scan_.end(); }

 private:
  bool step(ScanDirection direction);

  EventScan scan_;
  // Behind which place, and up to which organization.
  Uuid organization_, last_;
  int64 after_;
  // What the scan's keys point to.
  pg_uuid_t key_organization_, key_last_;
  ScanKeyData key_after_[2];
};

}  // namespace spine
