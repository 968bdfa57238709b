#include "store/event_scan.h"

#include <tuple>
#include <utility>

#include "server/compat.h"
#include "server/errors.h"
#include "server/key_scan.h"
#include "store/partitions.h"

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

Snapshot FreshRead::scan_snapshot() const { return filtered_ ? SnapshotAny : snapshot_; }

bool FreshRead::sees(Relation relation, TupleTableSlot *slot, HeapTuple tuple) {
  if (filtered_ && !table_tuple_satisfies_snapshot(relation, slot, snapshot_)) return false;
  TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);
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

namespace {

Oid index_of(Relation relation, const EventTable *table, EventOrder order) {
  switch (order) {
    case EventOrder::chain:
      if (!OidIsValid(table->sequence_index)) report_no_sequence_index(relation);
      return table->sequence_index;
    case EventOrder::entity:
      if (!OidIsValid(table->entity_index)) report_no_index(relation, "index on (entity_id, sequence)", "the history of an entity is found");
      return table->entity_index;
    case EventOrder::transaction:
      if (!OidIsValid(table->transaction_index)) report_no_index(relation, "index on (transaction_id, organization_id)", "new events are found");
      return table->transaction_index;
    case EventOrder::id:
      break;
  }
  if (!OidIsValid(table->id_index)) report_no_index(relation, "index on (id)", "an event is found by its id");
  return table->id_index;
}

}  // namespace

void LeafScan::open(Relation relation, EventOrder order) {
  relation_ = relation;
  order_ = order;
  index_ = index_open(index_of(relation, event_table(relation), order), AccessShareLock);
}

void LeafScan::begin(int keys, FreshRead *read, uint32 wanted) {
  memory_ = CurrentMemoryContext;
  read_ = read;
  keys_ = keys;
  wanted_ = wanted | event_place | (order_ == EventOrder::entity        ? bit(Column::entity_id)
                                    : order_ == EventOrder::id          ? bit(Column::id)
                                    : order_ == EventOrder::transaction ? bit(Column::transaction_id)
                                                                        : 0);
  slot_ = table_slot_create(relation_, nullptr);
  scan_ = compat_index_beginscan(relation_, index_, read == nullptr ? SnapshotSelf : read->scan_snapshot(), keys);
}

bool LeafScan::next(ScanDirection direction) {
  while (next_of_index(memory_, scan_, direction, slot_)) {
    CHECK_FOR_INTERRUPTS();
    bool must_free;
    tuple_ = ExecFetchSlotHeapTuple(slot_, false, &must_free);
    if (!lies_in_its_page(slot_, tuple_))
      tuple_->t_len = 0;
    else if (read_ != nullptr && !read_->sees(relation_, slot_, tuple_))
      continue;
    why_ = nullptr;
    (void)event_of_tuple(relation_, event_table(relation_), tuple_->t_data, tuple_->t_len, wanted_, &event_, &why_);
    return true;
  }
  return false;
}

bool LeafScan::read_whole() {
  return event_of_tuple(relation_, event_table(relation_), tuple_->t_data, tuple_->t_len, all_columns | whole_row, &event_, &why_);
}

void LeafScan::end() {
  index_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot_);
}

void EventScan::begin(Oid table, EventOrder order, int keys, Sees sees, uint32 wanted) {
  order_ = order;
  fresh_ = sees == Sees::fresh;
  root_ = table_open(table, AccessShareLock);
  if (fresh_) read_.begin();
  List *leaves = leaves_of(table);  // now: what a partition holds that comes later, the read does not see
  memory_ = CurrentMemoryContext;
  whole_ = nullptr;
  row_memory_ = nullptr;
  withheld_ = nullptr;
  current_ = nullptr;
  count_ = 0;
  tables_ = static_cast<Table *>(palloc(sizeof(Table) * static_cast<Size>(Max(list_length(leaves), 1))));
  ListCell *cell;
  foreach (cell, leaves) {
    Relation relation = try_table_open(lfirst_oid(cell), AccessShareLock);
    if (relation == nullptr) continue;  // it was detached and dropped meanwhile
    if (relation->rd_rel->relkind != RELKIND_RELATION) {
      table_close(relation, AccessShareLock);
      continue;
    }
    LeafScan *leaf = &tables_[count_].leaf;
    leaf->open(relation, order);
    if (fresh_ && leaf->is_empty()) {
      leaf->close();
      table_close(relation, AccessShareLock);
      continue;
    }
    leaf->begin(keys, fresh_ ? &read_ : nullptr, wanted);
    count_++;
  }
  order_of_tables_ = binaryheap_allocate(Max(count_, 1), compare, this);
}

void EventScan::find(const ScanKeyData *keys) {
  for (Table *table = tables_; table < tables_ + count_; table++) table->leaf.find(keys);
  current_ = nullptr;
  found_ = false;
}

// What cannot be read comes at once, so that somebody hears of it.
int EventScan::compare(Datum a, Datum b, void *scan) {
  const EventScan *self = static_cast<const EventScan *>(scan);
  const LeafScan &left = reinterpret_cast<const Table *>(DatumGetPointer(a))->leaf;
  const LeafScan &right = reinterpret_cast<const Table *>(DatumGetPointer(b))->leaf;
  if (left.why() != nullptr || right.why() != nullptr) return (left.why() != nullptr) - (right.why() != nullptr);
  auto place = [self](const Event &event) {
    return std::make_tuple(self->order_ == EventOrder::transaction ? event.transaction_id : 0,
                           self->order_ == EventOrder::entity ? event.entity_id : self->order_ == EventOrder::id ? event.id : event.organization_id,
                           event.sequence);
  };
  auto one = place(left.event()), other = place(right.event());
  int is_later = one < other ? -1 : one > other;
  return ScanDirectionIsForward(self->direction_) ? -is_later : is_later;
}

bool EventScan::next(ScanDirection direction) {
  CHECK_FOR_INTERRUPTS();
  if (!found_) {
    found_ = true;
    direction_ = direction;
    binaryheap_reset(order_of_tables_);
    for (Table *table = tables_; table < tables_ + count_; table++)
      if (table->leaf.next(direction)) binaryheap_add_unordered(order_of_tables_, PointerGetDatum(table));
    binaryheap_build(order_of_tables_);
  } else if (current_ != nullptr) {
    if (current_->leaf.next(direction))
      binaryheap_replace_first(order_of_tables_, PointerGetDatum(current_));
    else
      (void)binaryheap_remove_first(order_of_tables_);
  }
  current_ = binaryheap_empty(order_of_tables_) ? nullptr
                                                : reinterpret_cast<Table *>(DatumGetPointer(binaryheap_first(order_of_tables_)));
  return current_ != nullptr;
}

// An erasure writes a row anew, so the row alone does not tell.
bool EventScan::is_own() const {
  return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(current_->leaf.tuple()->t_data)) && event().has(Column::transaction_id) &&
         event().transaction_id == U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
}

TupleTableSlot *EventScan::whole() {
  if (row_memory_ == nullptr) {
    row_memory_ = AllocSetContextCreate(memory_, "event that is read", ALLOCSET_DEFAULT_SIZES);
    MemoryContext outer = MemoryContextSwitchTo(memory_);
    whole_ = MakeSingleTupleTableSlot(shape(), &TTSOpsHeapTuple);
    for (Table *table = tables_; table < tables_ + count_; table++)
      table->map = convert_tuples_by_name(RelationGetDescr(table->leaf.relation()), shape());
    MemoryContextSwitchTo(outer);
  }
  ExecClearTuple(whole_);
  MemoryContextReset(row_memory_);
  MemoryContext before = MemoryContextSwitchTo(row_memory_);
  LeafScan *leaf = &current_->leaf;
  if (!leaf->read_whole()) report_damaged(leaf->event(), leaf->why());
  require_readable_parts(leaf->event());
  TupleConversionMap *map = current_->map;
  ExecStoreHeapTuple(map == nullptr ? leaf->tuple() : execute_attr_map_tuple(leaf->tuple(), map), whole_, false);
  MemoryContextSwitchTo(before);
  return whole_;
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
  if (whole_ != nullptr) ExecDropSingleTupleTableSlot(whole_);
  for (Table *table = tables_; table < tables_ + count_; table++) {
    table->leaf.end();
    table->leaf.close();
    table_close(table->leaf.relation(), AccessShareLock);
  }
  table_close(root_, AccessShareLock);
  binaryheap_free(order_of_tables_);
  pfree(tables_);
  if (withheld_ != nullptr) ExecDropSingleTupleTableSlot(withheld_);
  if (row_memory_ != nullptr) MemoryContextDelete(row_memory_);
  if (fresh_) read_.end();
}

void ChainScan::begin(uint32 wanted) {
  scan_.begin(events_relid(), EventOrder::chain, 2, Sees::fresh, wanted);
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
