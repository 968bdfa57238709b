// spine.read_events, and what functions that read events have in common.
#include "pg/reading.h"

#include "pg/access.h"
#include "pg/compat.h"
#include "pg/errors.h"
#include "pg/event_table.h"

extern "C" {
#include <access/genam.h>
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
  Oid index_oid = event_table(relation)->sequence_index;
  if (!OidIsValid(index_oid)) report_no_index(relation);
  Relation index = index_open(index_oid, AccessShareLock);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, organization);
  ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
  FreshRead read;
  read.begin();
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  IndexScanDesc scan = compat_index_beginscan(relation, index, read.scan_snapshot(), lengthof(keys));
  index_rescan(scan, keys, lengthof(keys), nullptr, 0);
  for (int64 returned = 0; returned < most && index_getnext_slot(scan, ForwardScanDirection, slot);) {
    CHECK_FOR_INTERRUPTS();
    bool must_free;
    HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, &must_free);
    if (!read.sees(slot, tuple)) continue;
    tuplestore_puttupleslot(result->setResult, slot);
    returned++;
  }
  index_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  index_close(index, AccessShareLock);
  table_close(relation, AccessShareLock);
  read.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
