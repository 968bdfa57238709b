// Verifying with parallel workers, as parallel index builds work: each process checks and folds a share of the
// table's blocks and sorts what it finds; the process that was asked merges that and walks the chains.
//
// The blocks are handed out here and not by the server's parallel scan, whose pieces are small: where the events of
// many organizations lie interleaved, hardly one would find the event before it in its own piece.
#include "verify/verification.h"

#include <algorithm>

#include "server/errors.h"
#include "server/subtransaction.h"

extern "C" {
#include <access/parallel.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <executor/instrument.h>
#include <miscadmin.h>
#include <optimizer/paths.h>
#include <pgstat.h>
#include <storage/spin.h>
#include <tcop/tcopprot.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace spine {

// Pieces are large at first and shrink, so that chains are cut seldom and all processes end together.
struct BlockShare {
  uint64 blocks;
  uint32 processes;
  pg_atomic_uint64 next;
};

namespace {

enum Key : uint64 {
  key_shared = 1,
  key_snapshot,
  key_segments,
  key_faults,
  key_query,
  key_buffers,
  key_wal,
  key_readable,
  key_tables,
  key_sizes,
  key_parts
};

struct Shared {
  int tables;  // how many lie under key_tables, and their blocks under key_sizes
  bool one;
  Uuid organization;
  bool reads_all;
  int readable;  // how many organizations lie under key_readable
  bool one_is_readable;
  Range range;
  BlockShare share;
  ReadCounts counts;
  slock_t lock;
  uint64 newest_read;  // what the workers' ReadGuards have
  bool any_read;
};

// What one process puts into the shared sorts.
void read_share(Verification *v, Shared *shared, Sharedsort *segments, Sharedsort *faults, Sharedsort *parts) {
  SortCoordinateData coordinate{};
  coordinate.isWorker = true;
  coordinate.nParticipants = -1;
  int processes = static_cast<int>(shared->share.processes);
  coordinate.sharedsort = segments;
  v->segments.begin(sort_memory(processes), &coordinate);
  coordinate.sharedsort = faults;
  v->faults.begin(sort_memory(processes), &coordinate);
  coordinate.sharedsort = parts;
  v->parts.begin(sort_memory(processes), &coordinate);
  v->share = &shared->share;
  v->progress.counts = &shared->counts;
  read_table(v, processes);
  v->share = nullptr;
  v->segments.sort();
  v->segments.end();
  v->faults.sort();
  v->faults.end();
  v->parts.sort();
  v->parts.end();
}

// Puts what the processes found into one process's own sort.
void merge_into(RecordSort *own, int participants, Sharedsort *shared) {
  SortCoordinateData coordinate{};
  coordinate.nParticipants = participants;
  coordinate.sharedsort = shared;
  RecordSort merged;
  merged.begin(work_mem, &coordinate);
  merged.sort();
  Bytes record;
  while (merged.next(&record)) {
    CHECK_FOR_INTERRUPTS();
    own->put(record.data, record.size);
  }
  merged.end();
}

void merge(Verification *v, int participants, Sharedsort *segments, Sharedsort *faults, Sharedsort *parts) {
  merge_into(&v->faults, participants, faults);
  merge_into(&v->parts, participants, parts);
  SortCoordinateData coordinate{};
  coordinate.nParticipants = participants;
  coordinate.sharedsort = segments;
  v->segments.begin(work_mem, &coordinate);
  walk_chains(v);
}

template <class T>
T *allocate(ParallelContext *context, Key key, Size size) {
  T *memory = static_cast<T *>(shm_toc_allocate(context->toc, size));
  shm_toc_insert(context->toc, key, memory);
  return memory;
}

template <class T>
T *look_up(shm_toc *toc, Key key) {
  return static_cast<T *>(shm_toc_lookup(toc, key, false));
}

// False: there is no shared memory to be had.
bool verify_in_parallel_mode(Verification *v, int workers) {
  int processes = workers + 1;
  Snapshot snapshot = v->read.scan_snapshot();
  const char *query = debug_query_string != nullptr ? debug_query_string : "";
  EnterParallelMode();
  ParallelContext *context = CreateParallelContext("people_os_spine", "spine_verify_worker", workers);
  const Size sizes[] = {sizeof(Shared),
                        EstimateSnapshotSpace(snapshot),
                        tuplesort_estimate_shared(processes),
                        tuplesort_estimate_shared(processes),
                        strlen(query) + 1,
                        mul_size(sizeof(BufferUsage), static_cast<Size>(workers)),
                        mul_size(sizeof(WalUsage), static_cast<Size>(workers)),
                        Max(mul_size(sizeof(Uuid), static_cast<Size>(v->readable.count)), 1),
                        mul_size(sizeof(Oid), static_cast<Size>(v->table_count)),
                        mul_size(sizeof(BlockNumber), static_cast<Size>(v->table_count)),
                        tuplesort_estimate_shared(processes)};
  for (Size size : sizes) shm_toc_estimate_chunk(&context->estimator, size);
  shm_toc_estimate_keys(&context->estimator, lengthof(sizes));
  InitializeParallelDSM(context);
  if (context->seg == nullptr) {
    DestroyParallelContext(context);
    ExitParallelMode();
    return false;
  }

  Shared *shared = allocate<Shared>(context, key_shared, sizes[0]);
  shared->tables = v->table_count;
  shared->one = v->one;
  shared->organization = v->organization;
  shared->reads_all = v->readable.all;
  shared->readable = v->readable.count;
  shared->one_is_readable = v->one_is_readable;
  shared->range = v->range;
  shared->share.blocks = v->blocks;
  shared->share.processes = static_cast<uint32>(processes);
  pg_atomic_init_u64(&shared->share.next, 0);
  pg_atomic_init_u64(&shared->counts.rows, 0);
  pg_atomic_init_u64(&shared->counts.blocks, 0);
  SpinLockInit(&shared->lock);
  shared->newest_read = 0;
  shared->any_read = false;
  SerializeSnapshot(snapshot, allocate<char>(context, key_snapshot, sizes[1]));
  Sharedsort *segments = allocate<Sharedsort>(context, key_segments, sizes[2]);
  tuplesort_initialize_shared(segments, processes, context->seg);
  Sharedsort *faults = allocate<Sharedsort>(context, key_faults, sizes[3]);
  tuplesort_initialize_shared(faults, processes, context->seg);
  Sharedsort *parts = allocate<Sharedsort>(context, key_parts, sizes[10]);
  tuplesort_initialize_shared(parts, processes, context->seg);
  memcpy(allocate<char>(context, key_query, sizes[4]), query, sizes[4]);
  BufferUsage *buffers = allocate<BufferUsage>(context, key_buffers, sizes[5]);
  WalUsage *wal = allocate<WalUsage>(context, key_wal, sizes[6]);
  std::copy_n(v->readable.sorted, v->readable.count, allocate<Uuid>(context, key_readable, sizes[7]));
  Oid *tables = allocate<Oid>(context, key_tables, sizes[8]);
  BlockNumber *blocks = allocate<BlockNumber>(context, key_sizes, sizes[9]);
  for (int i = 0; i < v->table_count; i++) {
    tables[i] = RelationGetRelid(v->tables[i].relation);
    blocks[i] = v->tables[i].blocks;
  }

  LaunchParallelWorkers(context);
  int launched = context->nworkers_launched;
  ereport(DEBUG1, (errmsg_plural("verifying with %d parallel worker", "verifying with %d parallel workers",
                                 static_cast<unsigned long>(launched), launched)));
  RecordSort own_faults = v->faults, own_parts = v->parts;
  read_share(v, shared, segments, faults, parts);
  v->faults = own_faults;
  v->parts = own_parts;
  WaitForParallelWorkersToFinish(context);
  for (int i = 0; i < launched; i++) InstrAccumParallelQuery(&buffers[i], &wal[i]);
  v->read.guard().join(shared->newest_read, shared->any_read);
  pg_atomic_write_u64(&v->progress.own.rows, pg_atomic_read_u64(&shared->counts.rows));
  pg_atomic_write_u64(&v->progress.own.blocks, pg_atomic_read_u64(&shared->counts.blocks));
  v->progress.counts = &v->progress.own;
  merge(v, launched + 1, segments, faults, parts);
  DestroyParallelContext(context);
  ExitParallelMode();
  return true;
}

// Damaged data, which reading without workers gets past, and a worker that could not start.
bool may_succeed_alone(const ErrorData &error) {
  return tells_of_damage(error) || error.sqlerrcode == ERRCODE_SPINE_DAMAGED_EVENT ||
         error.sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
}

}  // namespace

int sort_memory(int processes) { return Max(work_mem / processes, 64); }

bool take_blocks(BlockShare *share, uint64 *first, uint64 *count) {
  const uint64 least = Max(share->blocks / (64 * share->processes), 1);
  uint64 next = pg_atomic_read_u64(&share->next);
  do {
    if (next >= share->blocks) return false;
    uint64 left = share->blocks - next;
    *first = next;
    *count = Min(left, Max(left / (2 * share->processes), least));
  } while (!pg_atomic_compare_exchange_u64(&share->next, &next, next + *count));
  return true;
}

int planned_workers(const Verification *v) {
  // A worker could not begin a verification's subtransactions.
  if (!v->read.can_be_shared() || IsInParallelMode()) return 0;
  int most = Min(max_parallel_maintenance_workers, max_parallel_workers);
  int asked = -1;
  for (int i = 0; i < v->table_count; i++) {
    // Handing out blocks is heap's own way of scanning.
    if (v->tables[i].relation->rd_tableam != GetHeapamTableAmRoutine()) return 0;
    asked = Max(asked, RelationGetParallelWorkers(v->tables[i].relation, -1));
  }
  int workers = asked;
  if (workers < 0) {
    workers = v->blocks > 0 && v->blocks >= static_cast<uint64>(min_parallel_table_scan_size) ? 1 : 0;
    for (uint64 enough = Max(min_parallel_table_scan_size, 1); workers > 0 && workers < most && v->blocks >= 3 * enough; enough *= 3)
      workers++;
  }
  return Min(workers, most);
}

bool verify_with_workers(Verification *v, int workers) {
  RecordSort own_faults = v->faults, own_parts = v->parts;
  MemoryContext attempt = AllocSetContextCreate(CurrentMemoryContext, "parallel verification", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(attempt);
  bool done = false;
  ErrorData *error = catch_error([&] { done = verify_in_parallel_mode(v, workers); }, may_succeed_alone);
  if (error != nullptr) {
    ereport(DEBUG1, (errmsg("verifying again without parallel workers: %s", error->message)));
    v->faults = own_faults;
    v->parts = own_parts;
    v->share = nullptr;
    done = false;
  }
  MemoryContextSwitchTo(before);
  MemoryContextDelete(attempt);
  return done;
}

extern "C" {

PGDLLEXPORT void spine_verify_worker(dsm_segment *segment, shm_toc *toc);

void spine_verify_worker(dsm_segment *segment, shm_toc *toc) {
  Shared *shared = look_up<Shared>(toc, key_shared);
  debug_query_string = look_up<char>(toc, key_query);
  pgstat_report_activity(STATE_RUNNING, debug_query_string);
  Sharedsort *segments = look_up<Sharedsort>(toc, key_segments);
  Sharedsort *faults = look_up<Sharedsort>(toc, key_faults);
  tuplesort_attach_shared(segments, segment);
  tuplesort_attach_shared(faults, segment);
  Sharedsort *parts = look_up<Sharedsort>(toc, key_parts);
  tuplesort_attach_shared(parts, segment);
  InstrStartParallelQuery();

  Verification *v = static_cast<Verification *>(palloc0(sizeof(Verification)));
  v->per_row = AllocSetContextCreate(CurrentMemoryContext, "verified row", ALLOCSET_DEFAULT_SIZES);
  const Oid *tables = look_up<Oid>(toc, key_tables);
  List *relids = NIL;
  for (int i = 0; i < shared->tables; i++) relids = lappend_oid(relids, tables[i]);
  open_tables(v, relids, look_up<BlockNumber>(toc, key_sizes));
  v->one = shared->one;
  v->organization = shared->organization;
  v->readable = {shared->reads_all, shared->readable, look_up<Uuid>(toc, key_readable)};
  v->one_is_readable = shared->one_is_readable;
  v->range = shared->range;
  v->read.begin_shared(RestoreSnapshot(look_up<char>(toc, key_snapshot)));
  read_share(v, shared, segments, faults, parts);
  v->read.end_shared();
  close_tables(v);

  SpinLockAcquire(&shared->lock);
  shared->newest_read = Max(shared->newest_read, v->read.guard().newest());
  shared->any_read |= v->read.guard().any();
  SpinLockRelease(&shared->lock);
  InstrEndParallelQuery(&look_up<BufferUsage>(toc, key_buffers)[ParallelWorkerNumber],
                        &look_up<WalUsage>(toc, key_wal)[ParallelWorkerNumber]);
}

}  // extern "C"

}  // namespace spine
