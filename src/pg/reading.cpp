// spine.read_events, and what functions that read events have in common.
#include "pg/reading.h"

#include "pg/access.h"
#include "pg/compat.h"
#include "pg/errors.h"
#include "pg/event_table.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <storage/bufmgr.h>
#include <utils/fmgroids.h>
#include <utils/snapmgr.h>
}

namespace spine {

void FreshRead::begin() {
  snapshot_ = RegisterSnapshot(GetLatestSnapshot());
  snapshot_->curcid = PG_UINT32_MAX;  // of the transaction's own rows, those of the same command too
  filtered_ = IsolationIsSerializable();
  guard_ = ReadGuard();
}

void FreshRead::begin_shared(Snapshot snapshot) {
  snapshot_ = RegisterSnapshot(snapshot);
  filtered_ = false;
  guard_ = ReadGuard();
}

Snapshot FreshRead::scan_snapshot() const { return filtered_ ? SnapshotSelf : snapshot_; }

bool FreshRead::sees(const TupleTableSlot *slot, HeapTuple tuple) {
  TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);
  if (filtered_ && TransactionIdIsNormal(xmin) && !TransactionIdIsCurrentTransactionId(xmin) &&
      XidInMVCCSnapshot(xmin, snapshot_))
    return false;
  // On a page that is visible to all the server did not look at xmin, and nor must we: it may be damaged.
  ::Buffer buffer = TTS_IS_BUFFERTUPLE(slot) ? reinterpret_cast<const BufferHeapTupleTableSlot *>(slot)->buffer : InvalidBuffer;
  bool paged = BufferIsValid(buffer);
  bool old = paged && PageIsAllVisible(BufferGetPage(buffer));
  guard_.saw(xmin, old || HeapTupleHeaderXminCommitted(tuple->t_data),
             paged ? BufferGetLSNAtomic(buffer) : InvalidXLogRecPtr);
  return true;
}

void FreshRead::end() {
  UnregisterSnapshot(snapshot_);
  guard_.wait();
}

void FreshRead::end_shared() { UnregisterSnapshot(snapshot_); }

void EventScan::begin(Relation relation, Oid index, int keys, ScanDirection direction) {
  index_ = index_open(index, AccessShareLock);
  keys_ = keys;
  direction_ = direction;
  read_.begin();
  slot_ = table_slot_create(relation, nullptr);
  scan_ = compat_index_beginscan(relation, index_, read_.scan_snapshot(), keys);
}

void EventScan::find(ScanKeyData *keys) { index_rescan(scan_, keys, keys_, nullptr, 0); }

TupleTableSlot *EventScan::next() {
  while (index_getnext_slot(scan_, direction_, slot_)) {
    CHECK_FOR_INTERRUPTS();
    bool must_free;
    HeapTuple tuple = ExecFetchSlotHeapTuple(slot_, false, &must_free);
    if (read_.sees(slot_, tuple)) return slot_;
  }
  return nullptr;
}

void EventScan::end() {
  index_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot_);
  index_close(index_, AccessShareLock);
  read_.end();
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_read_events);
PGDLLEXPORT Datum spine_read_events(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Datum organization = PG_GETARG_DATUM(0);
  int64 after = PG_GETARG_INT64(1);
  int64 most = PG_GETARG_INT64(2);
  if (most < 0)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RANGE), errmsg("max_events is " INT64_FORMAT, most),
                    errhint("Pass how many events to return at most, 0 or more.")));
  Oid relid = events_relid();
  if (!require_reading(relid).has(uuid_of(organization))) return static_cast<Datum>(0);
  Relation relation = table_open(relid, AccessShareLock);
  Oid index = event_table(relation)->sequence_index;
  if (!OidIsValid(index)) report_no_index(relation);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, organization);
  ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
  EventScan scan;
  scan.begin(relation, index, lengthof(keys));
  scan.find(keys);
  for (int64 returned = 0; returned < most; returned++) {
    TupleTableSlot *slot = scan.next();
    if (slot == nullptr) break;
    tuplestore_puttupleslot(result->setResult, slot);
  }
  scan.end();
  table_close(relation, AccessShareLock);
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
