// spine.read_verify_progress, and what it reads: a server that did not preload this module has no shared memory for
// it, so each verification keeps a small file where the server keeps its passing statistics.
#include "verify/verify_progress.h"

#include "access/access.h"
#include "server/settings.h"

extern "C" {
#include <catalog/pg_authid.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <pgstat.h>
#include <storage/fd.h>
#include <storage/ipc.h>
#include <storage/proc.h>
#include <storage/procarray.h>
#include <utils/acl.h>
#include <utils/timestamp.h>
}

#include <sys/stat.h>
#include <unistd.h>

namespace spine {

namespace {

constexpr int64 first_write_after = 100 * 1000;
constexpr int64 write_interval = USECS_PER_SEC;

constexpr char file_prefix[] = "people_os_spine.verify.";

// The file: written and read by one build of the module, or else refused.
struct ProgressRecord {
  static constexpr uint32 current_format = 0x53560001;
  uint32 format;
  int32 pid;
  Oid database;
  Oid role;
  bool has_organization;
  Uuid organization;
  TimestampTz backend_start;  // tells a file that a crash left behind from one of a process with the same id
  TimestampTz started;
  TimestampTz written;
  uint64 blocks_total;
  uint64 blocks_done;
  uint64 rows;
};

struct Rate {
  double share;
  double rows_per_second;
  double seconds_left;
};

Rate rate_of(uint64 blocks_done, uint64 blocks_total, uint64 rows, int64 microseconds) {
  double seconds = static_cast<double>(Max(microseconds, 1)) / USECS_PER_SEC;
  Rate rate;
  rate.share = blocks_total == 0 ? 1.0 : Min(1.0, static_cast<double>(blocks_done) / static_cast<double>(blocks_total));
  rate.rows_per_second = static_cast<double>(rows) / seconds;
  rate.seconds_left = rate.share > 0 ? seconds / rate.share - seconds : -1;
  return rate;
}

bool has_file;  // of this process

void progress_path(char *path, int pid, const char *suffix) {
  snprintf(path, MAXPGPATH, "%s/%s%d%s", PG_STAT_TMP_DIR, file_prefix, pid, suffix);
}

void remove_file() {
  if (!has_file) return;
  has_file = false;
  char path[MAXPGPATH];
  progress_path(path, MyProcPid, "");
  (void)unlink(path);
}

void remove_file_at_exit(int, Datum) { remove_file(); }

void remove_file_with_context(void *) { remove_file(); }

// A verification does not fail because nobody can watch it: errors are passed over.
void write_file(const VerifyProgress *progress, TimestampTz now) {
  static bool registered = false;
  if (!registered) {
    on_proc_exit(remove_file_at_exit, static_cast<Datum>(0));
    registered = true;
  }
  ProgressRecord record{};
  record.format = ProgressRecord::current_format;
  record.pid = MyProcPid;
  record.database = MyDatabaseId;
  record.role = GetSessionUserId();
  record.has_organization = progress->has_organization;
  record.organization = progress->organization;
  record.backend_start = MyStartTimestamp;
  record.started = progress->started;
  record.written = now;
  record.blocks_total = progress->blocks_total;
  record.blocks_done = pg_atomic_read_u64(&progress->counts->blocks);
  record.rows = pg_atomic_read_u64(&progress->counts->rows);

  char path[MAXPGPATH], fresh[MAXPGPATH];
  progress_path(path, MyProcPid, "");
  progress_path(fresh, MyProcPid, ".new");
  int file = BasicOpenFile(fresh, O_WRONLY | O_CREAT | O_TRUNC | PG_BINARY);
  if (file < 0) return;
  bool written = write(file, &record, sizeof record) == sizeof record;
  written = close(file) == 0 && written;
  has_file = true;
  if (!written || rename(fresh, path) != 0) (void)unlink(fresh);
}

// False: there is no such file, or none of this build.
bool read_file(const char *path, ProgressRecord *record) {
  int file = BasicOpenFile(path, O_RDONLY | PG_BINARY);
  if (file < 0) return false;
  bool whole = read(file, record, sizeof *record) == sizeof *record;
  close(file);
  return whole && record->format == ProgressRecord::current_format;
}

// Whether the process that wrote the record lives and is one of this database.
bool is_current(const ProgressRecord &record) {
  const PGPROC *process = BackendPidGetProc(record.pid);
  return process != nullptr && process->databaseId == MyDatabaseId && record.database == MyDatabaseId;
}

}  // namespace

void begin_progress(VerifyProgress *progress, uint64 blocks) {
  pg_atomic_init_u64(&progress->own.rows, 0);
  pg_atomic_init_u64(&progress->own.blocks, 0);
  progress->counts = &progress->own;
  progress->blocks_total = blocks;
  progress->started = progress->noticed = GetCurrentTimestamp();
  progress->next_write = progress->started + first_write_after;
  if (progress->reports) return;
  progress->reports = true;
  MemoryContextCallback *callback = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
  callback->func = remove_file_with_context;
  MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
}

void advance_progress(VerifyProgress *progress, uint64 rows, uint64 blocks) {
  pg_atomic_fetch_add_u64(&progress->counts->rows, static_cast<int64>(rows));
  pg_atomic_fetch_add_u64(&progress->counts->blocks, static_cast<int64>(blocks));
  if (!progress->reports) return;
  TimestampTz now = GetCurrentTimestamp();
  if (now >= progress->next_write) {
    progress->next_write = now + write_interval;
    write_file(progress, now);
  }
  if (settings.progress_interval == 0 || now - progress->noticed < int64{1000} * settings.progress_interval) return;
  progress->noticed = now;
  Rate rate = rate_of(pg_atomic_read_u64(&progress->counts->blocks), progress->blocks_total,
                      pg_atomic_read_u64(&progress->counts->rows), now - progress->started);
  if (rate.seconds_left < 0) return;
  if (progress->counts_hidden)
    ereport(NOTICE, (errmsg("verifying: %.0f %% read, about %.0f s left", 100 * rate.share, rate.seconds_left)));
  else
    ereport(NOTICE, (errmsg("verifying: %.0f %% read, %.0f events a second, about %.0f s left",
                          100 * rate.share, rate.rows_per_second, rate.seconds_left)));
}

void end_progress() { remove_file(); }

extern "C" {

PG_FUNCTION_INFO_V1(spine_read_verify_progress);
PGDLLEXPORT Datum spine_read_verify_progress(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  bool sees_all = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
  bool sees_counts = sees_all_events(GetUserId());
  DIR *directory = AllocateDir(PG_STAT_TMP_DIR);
  while (dirent *entry = ReadDirExtended(directory, PG_STAT_TMP_DIR, DEBUG1)) {
    char *end;
    if (strncmp(entry->d_name, file_prefix, strlen(file_prefix)) != 0) continue;
    int pid = static_cast<int>(strtol(entry->d_name + strlen(file_prefix), &end, 10));
    if (*end != '\0') continue;
    char path[MAXPGPATH];
    progress_path(path, pid, "");
    ProgressRecord record;
    if (!read_file(path, &record) || record.pid != pid || !is_current(record)) continue;
    if (!sees_all && !has_privs_of_role(GetUserId(), record.role)) continue;
    Rate rate = rate_of(record.blocks_done, record.blocks_total, record.rows, record.written - record.started);
    Datum values[10];
    bool nulls[10] = {};
    values[0] = Int32GetDatum(pid);
    values[1] = TimestampTzGetDatum(record.backend_start);
    values[2] = uuid_datum(record.organization);
    nulls[2] = !record.has_organization;
    values[3] = TimestampTzGetDatum(record.started);
    values[4] = Int64GetDatum(static_cast<int64>(record.blocks_total));
    values[5] = Int64GetDatum(static_cast<int64>(record.blocks_done));
    values[6] = Int64GetDatum(static_cast<int64>(record.rows));
    values[7] = Float8GetDatum(rate.share);
    values[8] = Float8GetDatum(rate.rows_per_second);
    values[9] = Float8GetDatum(rate.seconds_left);
    nulls[6] = nulls[8] = !sees_counts;
    nulls[9] = rate.seconds_left < 0;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  FreeDir(directory);
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
