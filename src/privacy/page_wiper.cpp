#include "privacy/page_wiper.h"

#include "server/errors.h"

extern "C" {
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/transam.h>
#include <access/xloginsert.h>
#include <miscadmin.h>
#include <storage/bufpage.h>
#include <storage/procarray.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

// Somebody who reads a page leaves it at once; a cursor may stand on it for as long as it is open.
constexpr int prune_attempts = 100;
constexpr long prune_pause = 10 * 1000;

TransactionId later(TransactionId a, TransactionId b) {
  if (!TransactionIdIsValid(a)) return b;
  return TransactionIdIsValid(b) && TransactionIdFollows(b, a) ? b : a;
}

[[noreturn]] void report_damaged_page(Relation relation, ::Buffer buffer) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_PAGE),
                  errmsg("block %u of table \"%s\" is damaged: its line pointers are not sound", BufferGetBlockNumber(buffer),
                         RelationGetRelationName(relation)),
                  errhint("Blocks before it are wiped. Repair the block, or restore it from a backup; until then "
                          "wipe the other tables by their names.")));
}

}  // namespace

PageWiper::PageWiper(Relation relation) : relation_(relation), strategy_(GetAccessStrategy(BAS_BULKREAD)), wiped_{} {}

Wiped PageWiper::wipe() {
  // So that the server judges by now which versions are needed, and not by when this transaction began.
  (void)GetOldestNonRemovableTransactionId(relation_);
  BlockNumber end = RelationGetNumberOfBlocks(relation_);
  for (BlockNumber block = 0; block < end; block++) {
    CHECK_FOR_INTERRUPTS();
    wipe_block(block);
  }
  // Also what an earlier call wiped that did not come this far.
  FlushRelationBuffers(relation_);
  return wiped_;
}

void PageWiper::wipe_block(BlockNumber block) {
  ::Buffer buffer = ReadBufferExtended(relation_, MAIN_FORKNUM, block, RBM_NORMAL, strategy_);
  LockBuffer(buffer, BUFFER_LOCK_SHARE);
  look(buffer);
  if (is_removable() || stale_ > 0) {
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    look(buffer);
    int64 found = old_;
    for (int i = 0; is_removable() && i < prune_attempts; i++) {
      if (i > 0) pause(buffer);
      prune(buffer);
      look(buffer);
    }
    wiped_.removed += Max(0, found - old_);
    wiped_.blocks_in_use += is_removable();
    if (stale_ > 0) zero(buffer);
  }
  UnlockReleaseBuffer(buffer);
  wiped_.blocks++;
  wiped_.left += old_;
  wiped_.newest_left = later(wiped_.newest_left, newest_old_);
}

// Lets go of the page meanwhile.
void PageWiper::pause(::Buffer buffer) {
  LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
  pg_usleep(prune_pause);
  CHECK_FOR_INTERRUPTS();
  LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
}

// Has the server prune the page as it does for any reader, if nobody else stands on it. That it is worth it a reader sees
// by two hints on the page. What is below that function differs from one minor version to the next.
void PageWiper::prune(::Buffer buffer) {
  Page page = BufferGetPage(buffer);
  PageSetPrunable(page, removable_);
  PageSetFull(page);
  MarkBufferDirtyHint(buffer, true);
  LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
  heap_page_prune_opt(relation_, buffer);
  LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
}

// The page is locked, at least for reading.
void PageWiper::look(::Buffer buffer) {
  stale_ = old_ = 0;
  removable_ = newest_old_ = InvalidTransactionId;
  Page page = BufferGetPage(buffer);
  if (PageIsNew(page)) return;
  check_rows(buffer);
  judge_rows(buffer);
  for (size_t i = 0; i < BLCKSZ; i++) stale_ += !kept_[i] && page[i] != 0;
}

// What pruning takes for granted, and more: it would end the server where it is not so.
void PageWiper::check_rows(::Buffer buffer) {
  Page page = BufferGetPage(buffer);
  auto *header = reinterpret_cast<PageHeader>(page);
  size_t lower = header->pd_lower, upper = header->pd_upper, special = header->pd_special;
  if (lower < SizeOfPageHeaderData || (lower - SizeOfPageHeaderData) % sizeof(ItemIdData) != 0 || lower > upper ||
      upper > special || special > BLCKSZ || special != MAXALIGN(special))
    report_damaged_page(relation_, buffer);
  memset(kept_, 0, sizeof kept_);
  keep(buffer, 0, lower);
  keep(buffer, special, BLCKSZ - special);
  OffsetNumber last = PageGetMaxOffsetNumber(page);
  for (OffsetNumber line = FirstOffsetNumber; line <= last; line = OffsetNumberNext(line)) {
    ItemId item = PageGetItemId(page, line);
    if (!ItemIdIsNormal(item) && !ItemIdHasStorage(item)) continue;
    size_t from = ItemIdGetOffset(item), length = ItemIdGetLength(item);
    if (!ItemIdIsNormal(item) || length < SizeofHeapTupleHeader || from < upper || from != MAXALIGN(from) ||
        from + MAXALIGN(length) > special)
      report_damaged_page(relation_, buffer);
    keep(buffer, from, length);
  }
}

void PageWiper::judge_rows(::Buffer buffer) {
  Page page = BufferGetPage(buffer);
  OffsetNumber last = PageGetMaxOffsetNumber(page);
  for (OffsetNumber line = FirstOffsetNumber; line <= last; line = OffsetNumberNext(line)) {
    ItemId item = PageGetItemId(page, line);
    if (!ItemIdIsNormal(item)) continue;
    HeapTupleData tuple{};
    tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
    tuple.t_len = ItemIdGetLength(item);
    tuple.t_tableOid = RelationGetRelid(relation_);
    ItemPointerSet(&tuple.t_self, BufferGetBlockNumber(buffer), line);
    judge(&tuple, buffer);
  }
}

void PageWiper::judge(HeapTuple tuple, ::Buffer buffer) {
  TransactionId old_since = InvalidTransactionId;
  switch (HeapTupleSatisfiesVacuumHorizon(tuple, buffer, &old_since)) {
    case HEAPTUPLE_DEAD:
      // Its INSERT was rolled back: it never was a version of a row's.
      old_since = HeapTupleHeaderGetRawXmin(tuple->t_data);
      break;
    case HEAPTUPLE_RECENTLY_DEAD:
      old_++;
      newest_old_ = later(newest_old_, old_since);
      break;
    case HEAPTUPLE_DELETE_IN_PROGRESS:
      old_++;
      newest_old_ = later(newest_old_, HeapTupleHeaderGetUpdateXid(tuple->t_data));
      return;
    default:
      return;
  }
  if (TransactionIdIsNormal(old_since) && GlobalVisTestIsRemovableXid(GlobalVisTestFor(relation_), old_since))
    removable_ = old_since;
}

// Rows that share bytes are damaged.
void PageWiper::keep(::Buffer buffer, size_t from, size_t length) {
  if (memchr(kept_ + from, true, length) != nullptr) report_damaged_page(relation_, buffer);
  memset(kept_ + from, true, length);
}

// Readers may stand on the page, for what is zeroed is no row's; but it is locked against them.
void PageWiper::zero(::Buffer buffer) {
  char *page = BufferGetPage(buffer);
  START_CRIT_SECTION();
  for (size_t i = 0; i < BLCKSZ; i++)
    if (!kept_[i]) page[i] = 0;
  MarkBufferDirty(buffer);
  if (RelationNeedsWAL(relation_)) log_newpage_buffer(buffer, true);
  END_CRIT_SECTION();
  wiped_.bytes += stale_;
}

}  // namespace spine
