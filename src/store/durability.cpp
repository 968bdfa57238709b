#include "store/durability.h"

#include "server/compat.h"
#include "server/settings.h"
#include "store/notifier.h"

extern "C" {
#include <access/transam.h>
#include <access/xact.h>
#include <access/xlog.h>
#include <commands/async.h>
#include <miscadmin.h>
#include <replication/syncrep.h>
#include <replication/walsender.h>
#include <replication/walsender_private.h>
#include <storage/lwlock.h>
#include <utils/guc.h>
#include <utils/resowner.h>
}

namespace spine {

namespace {

int events_level;      // the outermost nesting level at which an event was chained that is still there; 0: none
bool must_be_durable;  // and the setting was on when one was emitted
bool commit_prepared;  // how the commit waits is decided
int wait_level = -1;  // the synchronous_commit to wait for once the locks are gone; -1: none

// At most one goes out, however often this is called, for the server sends none twice. Who listens is anybody, so it
// names no organization.
void notify() {
  if (settings.notify && !begin_notice()) Async_Notify("people_os_spine", "");
}

bool standbys_are_synchronous() { return SyncRepRequested() && SyncRepStandbyNames != nullptr && SyncRepStandbyNames[0] != '\0'; }

}  // namespace

void note_emitted_event() { must_be_durable |= settings.require_durable_commit; }

void note_chained_event() {
  note_emitted_event();
  int level = GetCurrentTransactionNestLevel();
  if (events_level == 0 || level < events_level) events_level = level;
  if (!commit_prepared) return;
  if (must_be_durable) ForceSyncCommit();
  notify();
}

void prepare_commit() {
  commit_prepared = true;
  if (events_level == 0) return;
  notify();
  int level = synchronous_commit;
  if (must_be_durable && level == SYNCHRONOUS_COMMIT_OFF) {
    level = SYNCHRONOUS_COMMIT_LOCAL_FLUSH;
    // Flushed locally, and no further, is what the server's own forced commits are.
    if (!settings.early_lock_release) ForceSyncCommit();
  }
  if (!settings.early_lock_release || level == SYNCHRONOUS_COMMIT_OFF) return;
  // Only the commit record of a transaction that itself waits has a standby say at once that it has applied it. Without that
  // the wait would last until the standby's next status report, ten seconds if nothing else happens.
  if (level == SYNCHRONOUS_COMMIT_REMOTE_APPLY && standbys_are_synchronous()) return;
  wait_level = level;
  (void)set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

void ReadGuard::saw(TransactionId xmin, bool hinted, uint64 page_lsn) {
  any_ = true;
  if (!hinted && !TransactionIdIsNormal(xmin)) return;
  // Not before the commit record of xmin, and perhaps somewhat after it.
  XLogRecPtr lsn = hinted ? page_lsn : TransactionIdGetCommitLSN(xmin);
  // A page that claims to be newer than all of the log is damaged, and no flush would ever get there.
  if (lsn > newest_ && lsn <= GetXLogInsertRecPtr()) newest_ = lsn;
}

void ReadGuard::wait() {
  if (!any_ || RecoveryInProgress()) return;
  if (XLogNeedsFlush(newest_)) XLogFlush(newest_);
  if (!standbys_are_synchronous() || synchronous_commit <= SYNCHRONOUS_COMMIT_LOCAL_FLUSH) return;
  // What is on disk here need not be there: all that is flushed by now is a little more than what was read.
  XLogRecPtr flushed = GetFlushRecPtr(nullptr);
  HOLD_INTERRUPTS();
  SyncRepWaitForLSN(flushed, true);
  RESUME_INTERRUPTS();
  int mode = synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_WRITE   ? SYNC_REP_WAIT_WRITE
             : synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_APPLY ? SYNC_REP_WAIT_APPLY
                                                                     : SYNC_REP_WAIT_FLUSH;
  LWLockAcquire(SyncRepLock, LW_SHARED);
  bool there = WalSndCtl->lsn[mode] >= flushed || !standbys_are_synchronous();
  LWLockRelease(SyncRepLock);
  if (!there)
    ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED),
                    errmsg("canceled while waiting until the events read are on the synchronous standbys"),
                    errhint("Look at pg_stat_replication, then retry.")));
}

void end_durability(bool is_abort) {
  end_notice(!is_abort);
  if (is_abort) wait_level = -1;
  events_level = 0;
  must_be_durable = commit_prepared = false;
}

void end_durability_of_savepoint(bool is_abort) {
  int level = GetCurrentTransactionNestLevel();
  if (events_level < level) return;
  events_level = is_abort ? 0 : level - 1;
}

void wait_after_release(bool is_commit) {
  if (wait_level < 0) return;
  int level = wait_level;
  wait_level = -1;
  if (!is_commit || XLogRecPtrIsInvalid(XactLastCommitEnd)) return;
  XLogFlush(XactLastCommitEnd);
  if (level <= SYNCHRONOUS_COMMIT_LOCAL_FLUSH) return;
  // The commit was made asynchronous through the setting, which is put back only later. What waits for the standbys
  // asks the variable whether to, and what its assign hook noted for how far: both must be the session's own.
  int asynchronous = synchronous_commit;
  synchronous_commit = level;
  assign_synchronous_commit(level, nullptr);
  SyncRepWaitForLSN(XactLastCommitEnd, true);
  synchronous_commit = asynchronous;
  assign_synchronous_commit(asynchronous, nullptr);
}

}  // namespace spine
