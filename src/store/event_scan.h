// What functions that read events have in common.
#pragma once

#include "store/durability.h"
#include "store/event_table.h"

extern "C" {
#include <access/genam.h>
#include <access/htup.h>
#include <access/sdir.h>
#include <access/skey.h>
#include <executor/tuptable.h>
#include <utils/rel.h>
#include <utils/snapshot.h>
}

namespace spine {

// A snapshot of now, whatever the transaction's own is: under REPEATABLE READ that one would show event 2 without 1.
//
// A scan under a snapshot of that kind in a serializable transaction takes predicate locks, which would make
// emitters fail to serialize. There the scan sees what is committed, and the snapshot is applied to each row.
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
  bool sees(const TupleTableSlot *slot, HeapTuple tuple);
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

// The rows of a table of events that one of its indexes finds, in the index's order, as FreshRead reads.
class EventScan {
 public:
  void begin(Relation relation, Oid index, int keys);
  // Goes to what the keys find; for another find too, while the read is the same.
  void find(ScanKeyData *keys);
  // The next row, until the next call; null after the last. Checks for interrupts.
  TupleTableSlot *next(ScanDirection direction = ForwardScanDirection);
  // Waits until what was read is durable, as durability.h says.
  void end();

 private:
  Relation index_;
  IndexScanDesc scan_;
  TupleTableSlot *slot_;
  int keys_;
  FreshRead read_;
};

// The events of spine.events by organization and sequence, as of one moment. Whose the caller may read is his to ask.
class ChainScan {
 public:
  // Raises 42P01, SP018.
  void begin();
  // Goes to the events after this one of the organization, and on through the organizations behind it, up to and with last.
  void seek(const Uuid &organization, int64 after, const Uuid &last);
  // The next of them, until the next call; null after the last. Checks for interrupts.
  TupleTableSlot *next() { return current_ = scan_.next(); }
  // Straight after seek: the last of them.
  TupleTableSlot *last() { return current_ = scan_.next(BackwardScanDirection); }
  // A column of the event where the scan is. False: it is NULL, which only damage makes it.
  bool get(Column column, Datum *value) const;
  TupleTableSlot *current() const { return current_; }
  // Waits until what was read is durable, as durability.h says.
  void end();

 private:
  Relation relation_;
  EventScan scan_;
  TupleTableSlot *current_;
  // What the scan's keys point to.
  pg_uuid_t organization_, last_;
  ScanKeyData after_[2];
};

}  // namespace spine
