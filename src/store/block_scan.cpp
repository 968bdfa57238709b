#include "store/block_scan.h"

#include <algorithm>

#include "core/uuid.h"
#include "server/compat.h"
#include "server/subtransaction.h"

extern "C" {
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/tableam.h>
#include <miscadmin.h>
#include <storage/bufmgr.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
}

namespace spine {

namespace {

// The server reads blocks ahead and in groups, so a failure may be of one that far on.
constexpr BlockNumber read_ahead = 128;

}  // namespace

void BlockScan::visit(BlockNumber first, BlockNumber end, BlockVisitor *visitor) {
  next_block_ = first;
  done_line_ = 0;
  // How rows lie in their blocks is heap's own.
  if (relation_->rd_tableam != GetHeapamTableAmRoutine() || IsInParallelMode()) {
    scan(end, visitor);
    return;
  }
  while (next_block_ < end) {
    scan_ = nullptr;
    ErrorData *error = catch_error([&] { scan(end, visitor); }, [this](const ErrorData &e) { return reading_ && tells_of_damage(e); });
    if (error == nullptr) return;
    FreeErrorData(error);
    // The scan's memory is there still. All blocks before its own are done, also those without a row.
    BlockNumber reached = scan_ != nullptr ? reinterpret_cast<HeapScanDesc>(scan_)->rs_cblock : InvalidBlockNumber;
    if (reached != InvalidBlockNumber && reached > next_block_) {
      next_block_ = reached;
      done_line_ = 0;
    }
    go_carefully(end - next_block_ > read_ahead ? next_block_ + read_ahead : end, visitor);
  }
}

void BlockScan::scan(BlockNumber end, BlockVisitor *visitor) {
  reading_ = true;
  TupleTableSlot *slot = table_slot_create(relation_, nullptr);
  scan_ = table_beginscan_strat(relation_, read_->scan_snapshot(), 0, nullptr, true, false);
  if (relation_->rd_tableam == GetHeapamTableAmRoutine()) heap_setscanlimits(scan_, next_block_, end - next_block_);
  while (table_scan_getnextslot(scan_, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    bool must_free;
    see_row(slot, ExecFetchSlotHeapTuple(slot, false, &must_free), visitor);
    next_block_ = block();
    done_line_ = line();
  }
  table_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot);
  reading_ = false;
}

void BlockScan::go_carefully(BlockNumber end, BlockVisitor *visitor) {
  careful_ = true;
  auto may_catch = [this](const ErrorData &error) { return reading_ && tells_of_damage(error); };
  for (; next_block_ < end; next_block_++, done_line_ = 0) {
    CHECK_FOR_INTERRUPTS();
    reading_ = true;
    OffsetNumber last = 0;
    if (ErrorData *error = catch_error([&] { last = last_line(next_block_); }, may_catch)) {
      visitor->miss(next_block_, 0, error->message);
      FreeErrorData(error);
    }
    for (OffsetNumber i = OffsetNumberNext(done_line_); i <= last; i = OffsetNumberNext(i)) {
      reading_ = true;
      if (ErrorData *error = catch_error([&] { see_line(next_block_, i, visitor); }, may_catch)) {
        visitor->miss(next_block_, i, error->message);
        FreeErrorData(error);
      }
    }
  }
  careful_ = reading_ = false;
}

// The entries of some events from first on, and of all that share the last one's sequence. Returns what is wrong with the index behind
// them; null: nothing.
const char *BlockScan::read_entries(const Uuid &organization, int64 first, int64 last, Entries *entries) const {
  constexpr int64 enough = 1024;
  Relation index = index_open(event_table(relation_)->sequence_index, AccessShareLock);
  IndexScanDesc scan = compat_index_beginscan(relation_, index, read_->scan_snapshot(), 3);
  scan->xs_want_itup = true;
  pg_uuid_t key_organization;
  memcpy(key_organization.data, organization.data(), UUID_LEN);
  ScanKeyData keys[3];
  ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&key_organization));
  ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(first));
  ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(last));
  index_rescan(scan, keys, lengthof(keys), nullptr, 0);
  const char *why = nullptr;
  while (ItemPointer place = index_getnext_tid(scan, ForwardScanDirection)) {
    CHECK_FOR_INTERRUPTS();
    bool null;
    Entry found{*place, DatumGetInt64(index_getattr(scan->xs_itup, 2, RelationGetDescr(index), &null))};
    int64 before = entries->count > 0 ? entries->entry[entries->count - 1].sequence : first;
    if (found.sequence < before) {
      why = "its entries are not in order";
      break;
    }
    if (entries->count >= enough && found.sequence != before) break;
    if (entries->count == entries->room) {
      entries->room = Max(enough, 2 * entries->room);
      Size size = sizeof(Entry) * static_cast<Size>(entries->room);
      entries->entry = static_cast<Entry *>(entries->entry == nullptr ? palloc(size) : repalloc_huge(entries->entry, size));
    }
    entries->entry[entries->count++] = found;
  }
  index_endscan(scan);
  index_close(index, AccessShareLock);
  return why;
}

// What a snapshot shows of an entry may be another version of the row than the entry's own.
void BlockScan::see_entry(const Entry &entry, BlockVisitor *visitor) {
  entry_sequence_ = entry.sequence;
  TupleTableSlot *slot = table_slot_create(relation_, nullptr);
  IndexFetchTableData *fetch = table_index_fetch_begin(relation_);
  ItemPointerData place = entry.place;
  bool again = false, all_dead;
  do {
    if (!table_index_fetch_tuple(fetch, &place, read_->scan_snapshot(), slot, &again, &all_dead)) break;
    bool must_free;
    see_row(slot, ExecFetchSlotHeapTuple(slot, false, &must_free), visitor);
  } while (again);
  table_index_fetch_end(fetch);
  ExecDropSingleTupleTableSlot(slot);
}

void BlockScan::visit_chain(const Uuid &organization, int64 first, int64 last, int64 most, ChainVisitor *visitor) {
  auto may_catch = [this](const ErrorData &error) { return reading_ && tells_of_damage(error); };
  Entries entries{};
  seen_ = 0;
  for (int64 from = first; seen_ < most;) {
    entries.count = 0;
    const char *why = nullptr;
    reading_ = true;
    if (ErrorData *error = catch_error_if_possible([&] { why = read_entries(organization, from, last, &entries); }, may_catch)) why = error->message;
    int64 done = 0;
    auto see = [&] {
      for (; done < entries.count && seen_ < most; done++) {
        CHECK_FOR_INTERRUPTS();
        reading_ = true;
        see_entry(entries.entry[done], visitor);
      }
    };
    // As above: all of them in one subtransaction, and where that fails, the one at fault by itself.
    while (ErrorData *error = catch_error_if_possible(see, may_catch)) {
      FreeErrorData(error);
      const Entry &entry = entries.entry[done++];
      careful_ = true;
      reading_ = true;
      error = catch_error([&] { see_entry(entry, visitor); }, may_catch);
      careful_ = false;
      if (error == nullptr) continue;
      visitor->miss_entry(entry.sequence, ItemPointerGetBlockNumberNoCheck(&entry.place), ItemPointerGetOffsetNumberNoCheck(&entry.place), error->message);
      FreeErrorData(error);
    }
    reading_ = false;
    int64 reached = entries.count > 0 ? entries.entry[entries.count - 1].sequence : from;
    if (why != nullptr) {
      visitor->miss_index(reached, why);
      break;
    }
    if (entries.count == 0 || reached >= last) break;
    from = reached + 1;
  }
  if (entries.entry != nullptr) pfree(entries.entry);
}

OffsetNumber BlockScan::last_line(BlockNumber block) const {
  ::Buffer buffer = ReadBuffer(relation_, block);
  LockBuffer(buffer, BUFFER_LOCK_SHARE);
  Page page = BufferGetPage(buffer);
  OffsetNumber last = PageIsNew(page) ? 0 : PageGetMaxOffsetNumber(page);
  UnlockReleaseBuffer(buffer);
  return last;
}

// As the server's scan does it.
void BlockScan::see_line(BlockNumber block, OffsetNumber line, BlockVisitor *visitor) {
  ::Buffer buffer = ReadBuffer(relation_, block);
  LockBuffer(buffer, BUFFER_LOCK_SHARE);
  Page page = BufferGetPage(buffer);
  ItemId item = PageGetItemId(page, line);
  HeapTupleData tuple{};
  bool is_visible = false;
  if (ItemIdIsNormal(item)) {
    tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
    tuple.t_len = ItemIdGetLength(item);
    tuple.t_tableOid = RelationGetRelid(relation_);
    ItemPointerSet(&tuple.t_self, block, line);
    Snapshot snapshot = read_->scan_snapshot();
    is_visible = ItemIdGetOffset(item) + tuple.t_len > BLCKSZ || (PageIsAllVisible(page) && !snapshot->takenDuringRecovery) ||
                 HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer);
  }
  LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
  if (is_visible) {
    TupleTableSlot *slot = table_slot_create(relation_, nullptr);
    ExecStoreBufferHeapTuple(&tuple, slot, buffer);
    see_row(slot, &tuple, visitor);
    ExecDropSingleTupleTableSlot(slot);
  }
  ReleaseBuffer(buffer);
}

void BlockScan::see_row(TupleTableSlot *slot, HeapTuple tuple, BlockVisitor *visitor) {
  tuple_ = tuple;
  if (!lies_in_its_page(slot, tuple))
    tuple->t_len = 0;
  else if (!read_->sees(relation_, slot, tuple))
    return;
  // Pages are filled from their end: the next row lies before this one, and is fetched while this one is looked at.
  for (uint32 near = 64; near < tuple->t_len + 64; near += 64)
    __builtin_prefetch(reinterpret_cast<const char *>(tuple->t_data) - near);
  reading_ = false;
  seen_++;
  visitor->see(this);
  reading_ = true;
}

bool BlockScan::read(uint32 wanted, Event *event, const char **why) {
  bool is_read = false;
  reading_ = true;
  auto work = [&] { is_read = event_of_tuple(relation_, event_table(relation_), tuple_->t_data, tuple_->t_len, wanted, event, why); };
  if (!careful_) {
    work();
  } else if (ErrorData *error = catch_error(work, tells_of_damage)) {
    *why = message_of(error);
    is_read = false;
  }
  reading_ = false;
  return is_read;
}

// Only what lies out of line is read from other blocks than the row's own.
const char *BlockScan::message_of(const ErrorData *error) const {
  Oid toast = relation_->rd_rel->reltoastrelid;
  if (!OidIsValid(toast)) return error->message;
  return psprintf("%s (what lies out of line is in table %s.%s)", error->message, get_namespace_name(get_rel_namespace(toast)), get_rel_name(toast));
}

void UnreadableBlocks::add(BlockNumber one) {
  if (count > 0 && block[count - 1] == one) return;
  if (count == capacity) {
    capacity = Max(64, 2 * capacity);
    Size size = sizeof(BlockNumber) * static_cast<Size>(capacity);
    block = static_cast<BlockNumber *>(block == nullptr ? palloc(size) : repalloc_huge(block, size));
  }
  block[count++] = one;
}

bool UnreadableBlocks::has(BlockNumber one) const { return std::binary_search(block, block + count, one); }

// From the end of one chain to the end of the one before, whatever lies between. The index alone is read, but for entries
// at the end of a chain whose blocks can be read: they may be of events that were rolled back.
void find_lost_ends(Relation relation, FreshRead *read, const UnreadableBlocks &blocks, const Uuid *organizations, int count, LostEnd *lost) {
  Oid oid = event_table(relation)->sequence_index;
  if (!OidIsValid(oid)) report_no_sequence_index(relation);
  Relation index = index_open(oid, AccessShareLock);
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  IndexScanDesc scan = compat_index_beginscan(relation, index, read->scan_snapshot(), 1);
  scan->xs_want_itup = true;
  // The last entry of the organization, or of the last one up to it. False: there is none.
  auto look = [&](Uuid *organization, bool up_to_it) {
    pg_uuid_t key_value;
    memcpy(key_value.data, organization->data(), UUID_LEN);
    ScanKeyData key;
    ScanKeyInit(&key, 1, up_to_it ? BTLessEqualStrategyNumber : BTEqualStrategyNumber, up_to_it ? F_UUID_LE : F_UUID_EQ, UUIDPGetDatum(&key_value));
    index_rescan(scan, &key, 1, nullptr, 0);
    bool any = false;
    while (ItemPointer place = index_getnext_tid(scan, BackwardScanDirection)) {
      CHECK_FOR_INTERRUPTS();
      bool null;
      Uuid found = uuid_of(index_getattr(scan->xs_itup, 1, RelationGetDescr(index), &null));
      int64 sequence = DatumGetInt64(index_getattr(scan->xs_itup, 2, RelationGetDescr(index), &null));
      if (any && found != *organization) break;
      any = true;
      *organization = found;
      bool is_lost = blocks.has(ItemPointerGetBlockNumber(place));
      if (is_lost) lost->found(found, sequence);
      bool is_there = false;
      do {
        bool must_free;
        is_there = !is_lost && index_fetch_heap(scan, slot) && read->sees(relation, slot, ExecFetchSlotHeapTuple(slot, false, &must_free));
      } while (!is_lost && !is_there && scan->xs_heap_continue);
      if (is_lost || is_there) break;
    }
    return any;
  };
  if (organizations != nullptr) {
    for (int i = 0; i < count; i++) {
      Uuid one = organizations[i];
      (void)look(&one, false);
    }
  } else {
    Uuid organization = last_uuid;
    while (look(&organization, true) && organization != nil_uuid) organization = uuid_before(organization);
  }
  index_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  index_close(index, AccessShareLock);
}

}  // namespace spine
