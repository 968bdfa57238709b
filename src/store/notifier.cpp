#include "store/notifier.h"

extern "C" {
#include <access/xact.h>
#include <commands/async.h>
#include <miscadmin.h>
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <postmaster/interrupt.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <storage/lwlock.h>
#include <storage/shmem.h>
#include <storage/spin.h>
#include <tcop/tcopprot.h>
#include <utils/guc.h>
}

namespace spine {

namespace {

constexpr int databases = 64;        // with a process at once; in others a transaction notifies itself
constexpr long pause_between = 5;    // milliseconds from one NOTIFY to the next
constexpr int most_attempts = 10;    // to connect, one a second
constexpr long leaves_after = 1000;  // milliseconds with nothing to do, so that the database can be dropped

enum class Worker { none, starting, runs };

// One database. It is free where the database is InvalidOid: no process, nobody about to commit, nothing due.
struct Notice {
  Oid database;
  Worker worker;
  int attempts;    // to connect, since one succeeded
  int committing;  // transactions that count on the process
  bool due;        // one of them committed
  bool sends;      // what was due, the process has taken upon itself
  int pid;
  Latch *latch;

  bool is_idle() const { return !due && committing == 0; }
};

struct Shared {
  slock_t lock;
  Notice notice[databases];
};
Shared *shared;  // null: the server did not preload the library

Notice *counted_on;  // by this transaction

// With the lock. Null: all are taken.
Notice *notice_of(Oid database) {
  Notice *free = nullptr;
  for (Notice &one : shared->notice) {
    if (one.database == database) return &one;
    if (!OidIsValid(one.database)) free = &one;
  }
  if (free != nullptr) {
    *free = {};
    free->database = database;
  }
  return free;
}

// With the lock.
void free_if_idle(Notice *notice) {
  if (notice->worker == Worker::none && notice->is_idle()) notice->database = InvalidOid;
}

// It is started again where it ends before its time. Does not raise.
bool start_worker(Oid database) {
  BackgroundWorker worker{};
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = 1;
  strlcpy(worker.bgw_library_name, "people_os_spine", sizeof worker.bgw_library_name);
  strlcpy(worker.bgw_function_name, "spine_notifier_main", sizeof worker.bgw_function_name);
  strlcpy(worker.bgw_name, "people_os_spine notifier", sizeof worker.bgw_name);
  strlcpy(worker.bgw_type, "people_os_spine notifier", sizeof worker.bgw_type);
  worker.bgw_main_arg = ObjectIdGetDatum(database);
  return RegisterDynamicBackgroundWorker(&worker, nullptr);
}

// With the lock; whether the caller is to start it.
bool is_to_be_started(Notice *notice) {
  if (notice->worker != Worker::none) return false;
  notice->worker = Worker::starting;
  return true;
}

// The process --------------------------------------------------------------------------------------------------------

// Null: there is another, or none can connect.
Notice *take_place(Oid database) {
  SpinLockAcquire(&shared->lock);
  Notice *notice = notice_of(database);
  if (notice != nullptr && notice->worker == Worker::runs) {
    notice = nullptr;
  } else if (notice != nullptr && ++notice->attempts > most_attempts) {
    // The database was dropped.
    notice->attempts = 0;
    notice->due = false;
    notice->worker = Worker::none;
    free_if_idle(notice);
    notice = nullptr;
  } else if (notice != nullptr) {
    notice->worker = Worker::runs;
    notice->pid = MyProcPid;
    notice->latch = MyLatch;
  }
  SpinLockRelease(&shared->lock);
  return notice;
}

// Whatever ends it, what is due stays so.
void leave_place(int, Datum place) {
  Notice *notice = reinterpret_cast<Notice *>(DatumGetPointer(place));
  SpinLockAcquire(&shared->lock);
  if (notice->worker == Worker::runs && notice->pid == MyProcPid) {
    notice->due |= notice->sends;
    notice->sends = false;
    notice->latch = nullptr;
    notice->worker = Worker::starting;  // by the postmaster
  }
  SpinLockRelease(&shared->lock);
}

bool take_due(Notice *notice) {
  SpinLockAcquire(&shared->lock);
  bool due = notice->due;
  notice->sends = due;
  notice->due = false;
  SpinLockRelease(&shared->lock);
  return due;
}

void send(Notice *notice) {
  SetCurrentStatementStartTimestamp();
  StartTransactionCommand();
  Async_Notify("people_os_spine", "");
  CommitTransactionCommand();
  SpinLockAcquire(&shared->lock);
  notice->sends = false;
  SpinLockRelease(&shared->lock);
}

bool leave_if_idle(Notice *notice) {
  SpinLockAcquire(&shared->lock);
  bool idle = notice->is_idle();
  if (idle) {
    notice->worker = Worker::none;
    notice->latch = nullptr;
    notice->database = InvalidOid;
  }
  SpinLockRelease(&shared->lock);
  return idle;
}

}  // namespace

void request_notifier_memory() { RequestAddinShmemSpace(sizeof(Shared)); }

void make_notifier_memory() {
  bool found;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  shared = static_cast<Shared *>(ShmemInitStruct("people_os_spine notifier", sizeof(Shared), &found));
  if (!found) {
    memset(static_cast<void *>(shared), 0, sizeof *shared);
    SpinLockInit(&shared->lock);
  }
  LWLockRelease(AddinShmemInitLock);
}

bool begin_notice() {
  if (shared == nullptr) return false;
  if (counted_on != nullptr) return true;
  SpinLockAcquire(&shared->lock);
  Notice *notice = notice_of(MyDatabaseId);
  bool starts = notice != nullptr && is_to_be_started(notice);
  if (notice != nullptr) notice->committing++;
  SpinLockRelease(&shared->lock);
  if (notice == nullptr) return false;
  if (starts && !start_worker(MyDatabaseId)) {
    SpinLockAcquire(&shared->lock);
    notice->worker = Worker::none;
    notice->committing--;
    free_if_idle(notice);
    SpinLockRelease(&shared->lock);
    return false;
  }
  counted_on = notice;
  return true;
}

void end_notice(bool is_commit) {
  if (counted_on == nullptr) return;
  Notice *notice = counted_on;
  counted_on = nullptr;
  SpinLockAcquire(&shared->lock);
  notice->committing--;
  notice->due |= is_commit;
  bool starts = is_commit && is_to_be_started(notice);
  Latch *latch = is_commit ? notice->latch : nullptr;
  SpinLockRelease(&shared->lock);
  if (latch != nullptr) SetLatch(latch);
  if (starts && !start_worker(MyDatabaseId)) {
    SpinLockAcquire(&shared->lock);
    notice->worker = Worker::none;
    SpinLockRelease(&shared->lock);
  }
}

extern "C" {

PGDLLEXPORT void spine_notifier_main(Datum database);

void spine_notifier_main(Datum database) {
  pqsignal(SIGTERM, die);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  Notice *notice = take_place(DatumGetObjectId(database));
  if (notice == nullptr) proc_exit(0);
  before_shmem_exit(leave_place, PointerGetDatum(notice));
  BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
  SpinLockAcquire(&shared->lock);
  notice->attempts = 0;
  SpinLockRelease(&shared->lock);
  // A NOTIFY that a crash takes away is nobody's loss: it takes the listeners away, too.
  SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_OVERRIDE);
  pgstat_report_activity(STATE_IDLE, nullptr);
  for (;;) {
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    if (take_due(notice)) {
      send(notice);
      (void)WaitLatch(nullptr, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause_between, PG_WAIT_EXTENSION);
      continue;
    }
    int woken = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, leaves_after, PG_WAIT_EXTENSION);
    if ((woken & WL_TIMEOUT) && leave_if_idle(notice)) proc_exit(0);
  }
}

}  // extern "C"

}  // namespace spine
