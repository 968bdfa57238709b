#include "store/event_scan.h"

#include <utility>

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
#include <utils/memutils.h>
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

void EventScan::begin(List *relids, LOCKMODE lock, EventOrder order, int keys, Sees sees, uint32 wanted) {
  lock_ = lock;
  order_ = order;
  keys_ = keys;
  fresh_ = sees == Sees::fresh;
  wanted_ = wanted | event_place | (order == EventOrder::entity ? bit(Column::entity_id) : 0);
  if (fresh_) read_.begin();
  memory_ = CurrentMemoryContext;
  row_memory_ = nullptr;
  withheld_ = nullptr;
  current_ = nullptr;
  count_ = 0;
  tables_ = static_cast<Table *>(palloc(sizeof(Table) * static_cast<Size>(list_length(relids))));
  ListCell *cell;
  foreach (cell, relids) {
    Relation relation = table_open(lfirst_oid(cell), lock);
    if (relation->rd_rel->relkind != RELKIND_RELATION) {
      table_close(relation, lock);
      continue;
    }
    const EventTable *known = event_table(relation);
    Oid index = order == EventOrder::chain ? known->sequence_index : known->entity_index;
    if (!OidIsValid(index)) report_no_index(relation, order == EventOrder::chain);
    Table *table = &tables_[count_++];
    table->relation = relation;
    table->index = index_open(index, AccessShareLock);
    table->slot = table_slot_create(relation, nullptr);
    table->scan = compat_index_beginscan(relation, table->index, fresh_ ? read_.scan_snapshot() : SnapshotSelf, keys);
  }
}

void EventScan::find(const ScanKeyData *keys) {
  for (Table *table = tables_; table < tables_ + count_; table++) {
    index_rescan(table->scan, const_cast<ScanKey>(keys), keys_, nullptr, 0);
    table->state = Table::unread;
  }
  current_ = nullptr;
}

bool EventScan::advance(Table *table, ScanDirection direction) {
  while (index_getnext_slot(table->scan, direction, table->slot)) {
    CHECK_FOR_INTERRUPTS();
    bool must_free;
    table->tuple = ExecFetchSlotHeapTuple(table->slot, false, &must_free);
    if (!lies_in_its_page(table->slot, table->tuple))
      table->tuple->t_len = 0;
    else if (fresh_ && !read_.sees(table->slot, table->tuple))
      continue;
    table->why = nullptr;
    (void)event_of_tuple(table->relation, event_table(table->relation), table->tuple->t_data, table->tuple->t_len, wanted_,
                         &table->event, &table->why);
    return true;
  }
  return false;
}

// What cannot be read comes at once, so that somebody hears of it.
bool EventScan::comes_first(const Table &a, const Table &b, ScanDirection direction) const {
  if (a.why != nullptr || b.why != nullptr) return a.why != nullptr;
  auto place = [this](const Event &event) {
    return std::make_pair(order_ == EventOrder::chain ? event.organization_id : event.entity_id, event.sequence);
  };
  return ScanDirectionIsForward(direction) ? place(a.event) < place(b.event) : place(a.event) > place(b.event);
}

bool EventScan::next(ScanDirection direction) {
  CHECK_FOR_INTERRUPTS();
  if (current_ != nullptr) current_->state = Table::unread;
  current_ = nullptr;
  for (Table *table = tables_; table < tables_ + count_; table++) {
    if (table->state == Table::unread) table->state = advance(table, direction) ? Table::there : Table::ended;
    if (table->state == Table::there && (current_ == nullptr || comes_first(*table, *current_, direction))) current_ = table;
  }
  return current_ != nullptr;
}

bool EventScan::is_own() const { return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(current_->tuple->t_data)); }

TupleTableSlot *EventScan::whole() {
  if (row_memory_ == nullptr) row_memory_ = AllocSetContextCreate(memory_, "event that is read", ALLOCSET_DEFAULT_SIZES);
  MemoryContextReset(row_memory_);
  MemoryContext before = MemoryContextSwitchTo(row_memory_);
  Table *table = current_;
  if (!event_of_tuple(table->relation, event_table(table->relation), table->tuple->t_data, table->tuple->t_len, all_columns | whole_row,
                      &table->event, &table->why))
    report_damaged(table->event, table->why);
  require_readable_parts(table->event);
  MemoryContextSwitchTo(before);
  return table->slot;
}

TupleTableSlot *EventScan::without_personal() {
  TupleTableSlot *row = whole();
  Event persons = event();
  persons.present &= bit(Column::personal) | bit(Column::personal_salt) | bit(Column::personal_hash);
  if (persons.present == 0) return row;
  slot_getallattrs(row);
  TupleDesc shape = row->tts_tupleDescriptor;
  MemoryContext before = MemoryContextSwitchTo(memory_);
  if (withheld_ == nullptr) withheld_ = MakeSingleTupleTableSlot(shape, &TTSOpsVirtual);
  MemoryContextSwitchTo(row_memory_);
  ExecClearTuple(withheld_);
  memcpy(withheld_->tts_values, row->tts_values, sizeof(Datum) * static_cast<Size>(shape->natts));
  memcpy(withheld_->tts_isnull, row->tts_isnull, sizeof(bool) * static_cast<Size>(shape->natts));
  for (Column column : {Column::personal, Column::personal_salt}) withheld_->tts_isnull[attnum(column) - 1] = true;
  Bytes hash = part_hashes(persons).personal;
  withheld_->tts_isnull[attnum(Column::personal_hash) - 1] = hash.data == nullptr;
  if (hash.data != nullptr) withheld_->tts_values[attnum(Column::personal_hash) - 1] = bytea_datum(hash);
  MemoryContextSwitchTo(before);
  return ExecStoreVirtualTuple(withheld_);
}

void EventScan::end() {
  for (Table *table = tables_; table < tables_ + count_; table++) {
    index_endscan(table->scan);
    ExecDropSingleTupleTableSlot(table->slot);
    index_close(table->index, AccessShareLock);
    table_close(table->relation, lock_);
  }
  pfree(tables_);
  if (withheld_ != nullptr) ExecDropSingleTupleTableSlot(withheld_);
  if (row_memory_ != nullptr) MemoryContextDelete(row_memory_);
  if (fresh_) read_.end();
}

void ChainScan::begin(uint32 wanted) {
  scan_.begin(list_make1_oid(events_relid()), AccessShareLock, EventOrder::chain, 2, Sees::fresh, wanted);
}

// (organization_id, sequence) > (…, …) AND organization_id <= …: one descent of the index, wherever that leads.
void ChainScan::seek(const Uuid &organization, int64 after, const Uuid &last) {
  organization_ = organization;
  last_ = last;
  after_ = after;
  memcpy(key_organization_.data, organization.data(), UUID_LEN);
  memcpy(key_last_.data, last.data(), UUID_LEN);
  ScanKeyEntryInitialize(&key_after_[0], SK_ROW_MEMBER, 1, BTGreaterStrategyNumber, UUIDOID, InvalidOid, F_UUID_CMP, UUIDPGetDatum(&key_organization_));
  ScanKeyEntryInitialize(&key_after_[1], SK_ROW_MEMBER | SK_ROW_END, 2, BTGreaterStrategyNumber, INT8OID, InvalidOid, F_BTINT8CMP, Int64GetDatum(after));
  ScanKeyData keys[2]{};
  keys[0].sk_flags = SK_ROW_HEADER;
  keys[0].sk_attno = 1;
  keys[0].sk_strategy = BTGreaterStrategyNumber;
  keys[0].sk_argument = PointerGetDatum(key_after_);
  ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_UUID_LE, UUIDPGetDatum(&key_last_));
  scan_.find(keys);
}

// A row that is not where the index has it could lead its reader round in a circle, or to another's events; and whose it
// is, is then not for the reader to hear.
bool ChainScan::step(ScanDirection direction) {
  bool backward = ScanDirectionIsBackward(direction);
  do {
    if (!scan_.next(direction)) return false;
    // Without a sequence it is behind all others of its organization in the index, but no chain's end.
  } while (backward && scan_.why() == nullptr && (scan_.event().present & event_place) == bit(Column::organization_id));
  const Event &found = scan_.event();
  bool is_placed = (found.present & event_place) == event_place && found.organization_id <= last_ &&
                   std::make_pair(found.organization_id, found.sequence) > std::make_pair(organization_, after_);
  if (!is_placed) {
    Event sought{};
    sought.organization_id = organization_;
    if (organization_ == last_) sought.present = bit(Column::organization_id);
    report_damaged(sought, scan_.why() != nullptr ? scan_.why() : "its row has another organization_id or sequence than its index, or none");
  }
  if (scan_.why() != nullptr) report_damaged(found, scan_.why());
  if (!backward) {
    organization_ = found.organization_id;
    after_ = found.sequence;
  }
  return true;
}

}  // namespace spine
