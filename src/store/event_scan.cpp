#include "store/event_scan.h"

#include "server/compat.h"
#include "server/errors.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <catalog/pg_type.h>
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

void EventScan::begin(Relation relation, Oid index, int keys) {
  index_ = index_open(index, AccessShareLock);
  keys_ = keys;
  read_.begin();
  slot_ = table_slot_create(relation, nullptr);
  scan_ = compat_index_beginscan(relation, index_, read_.scan_snapshot(), keys);
}

void EventScan::find(ScanKeyData *keys) { index_rescan(scan_, keys, keys_, nullptr, 0); }

TupleTableSlot *EventScan::next(ScanDirection direction) {
  CHECK_FOR_INTERRUPTS();
  while (index_getnext_slot(scan_, direction, slot_)) {
    CHECK_FOR_INTERRUPTS();
    bool must_free;
    if (read_.sees(slot_, ExecFetchSlotHeapTuple(slot_, false, &must_free))) return slot_;
  }
  return nullptr;
}

void EventScan::end() {
  index_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot_);
  index_close(index_, AccessShareLock);
  read_.end();
}

void ChainScan::begin() {
  relation_ = table_open(events_relid(), AccessShareLock);
  Oid index = event_table(relation_)->sequence_index;
  if (!OidIsValid(index)) report_no_index(relation_);
  current_ = nullptr;
  scan_.begin(relation_, index, 2);
}

// (organization_id, sequence) > (…, …) AND organization_id <= …: one descent of the index, wherever that leads.
void ChainScan::seek(const Uuid &organization, int64 after, const Uuid &last) {
  memcpy(organization_.data, organization.data(), UUID_LEN);
  memcpy(last_.data, last.data(), UUID_LEN);
  ScanKeyEntryInitialize(&after_[0], SK_ROW_MEMBER, 1, BTGreaterStrategyNumber, UUIDOID, InvalidOid, F_UUID_CMP, UUIDPGetDatum(&organization_));
  ScanKeyEntryInitialize(&after_[1], SK_ROW_MEMBER | SK_ROW_END, 2, BTGreaterStrategyNumber, INT8OID, InvalidOid, F_BTINT8CMP, Int64GetDatum(after));
  ScanKeyData keys[2]{};
  keys[0].sk_flags = SK_ROW_HEADER;
  keys[0].sk_attno = 1;
  keys[0].sk_strategy = BTGreaterStrategyNumber;
  keys[0].sk_argument = PointerGetDatum(after_);
  ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_UUID_LE, UUIDPGetDatum(&last_));
  scan_.find(keys);
}

bool ChainScan::get(Column column, Datum *value) const {
  bool null;
  *value = slot_getattr(current_, event_table(relation_)->attnum[static_cast<int>(column)], &null);
  return !null;
}

void ChainScan::end() {
  scan_.end();
  table_close(relation_, AccessShareLock);
}

}  // namespace spine
