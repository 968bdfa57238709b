// When a transaction with events is acknowledged, when its locks go, and who is woken by it.
#pragma once

#include "server/pg.h"

namespace spine {

// An event was emitted: require_durable_commit, as it is now, holds for this transaction.
void note_emitted_event();

// An event was chained. Implies note_emitted_event.
void note_chained_event();

// Just before the commit: decides how it waits. Where people_os_spine.early_lock_release is on and the transaction
// chained events, it waits for the disk and for standbys only after its locks are released. Where people_os_spine.notify
// is on it sees to it that listeners are woken.
void prepare_commit();

// Makes what a reading function returns as durable as a commit of this session would be.
class ReadGuard {
 public:
  // A row was read that xmin wrote. hinted: its page, whose LSN is page_lsn, says that xmin committed. It says so
  // once that is on disk, or once the page is newer than that, for then it cannot get to disk before.
  void saw(TransactionId xmin, bool hinted, uint64 page_lsn);
  // For what other processes read on behalf of this one: their newest and any join its own.
  uint64 newest() const { return newest_; }
  bool any() const { return any_; }
  void join(uint64 newest, bool any) {
    if (newest > newest_) newest_ = newest;
    any_ |= any;
  }
  // Waits until all of that is flushed and, where the session's synchronous_commit and the server's
  // configuration ask for it, on the synchronous standbys. Not on a standby. Raises 57014 when cancelled.
  void wait();

 private:
  uint64 newest_ = 0;  // an XLogRecPtr
  bool any_ = false;
};

// The transaction ended, or was prepared. What its commit waits for is still to come.
void end_durability(bool is_abort);

// The subtransaction ended.
void end_durability_of_savepoint(bool is_abort);

// The transaction's locks are released: waits as prepare_commit decided. The transaction is committed, so nothing here
// may raise.
void wait_after_release(bool is_commit);

}  // namespace spine
