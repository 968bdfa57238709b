// spine.move_from_default: events of intervals that have ended go from the default partition into partitions of their own.
#include "partitions/partition_work.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/chain_partitions.h"

extern "C" {
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <access/xlog.h>
#include <catalog/pg_type_d.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

constexpr int most_moved = 1000;
constexpr long rows_at_once = 10000;
// Each costs a look into an index while emitters wait.
constexpr int most_forgotten = 5000;

struct Filled {
  Span span;
  Oid leaf;
  uint64 events;
  struct EmptiedChains *emptied;
};

// False: the default partition has no event of an interval that has ended, but what others added to those that were filled.
bool oldest_piece(const PartitionWork &work, const Cut &cut, const List *filled, Span *piece) {
  TimestampTz running = cut.around(GetCurrentTimestamp()).starts;
  Snapshot now = RegisterSnapshot(GetLatestSnapshot());
  run_sql_as_of(now, psprintf("SELECT min(\"timestamp\") FROM ONLY %s WHERE \"timestamp\" < $1", qualified(work.others)), true,
                {TimestampTzGetDatum(running)});
  UnregisterSnapshot(now);
  bool null;
  TimestampTz oldest = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
  if (null) return false;
  ListCell *cell;
  foreach (cell, filled)
    if (static_cast<const Filled *>(lfirst(cell))->span.has(oldest)) return false;
  if (!free_piece(cut, partition_spans(work.root), oldest, true, piece))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE),
                    errmsg("the default partition holds an event of %s, for which there is a partition", sql_moment(oldest)),
                    errhint("Partitions were altered by hand: see SELECT * FROM spine.find_chain_faults().")));
  return true;
}

// The columns that rows are made of.
const char *columns_of(Oid root) {
  run_sql("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
          " WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
          {{OIDOID, ObjectIdGetDatum(root)}});
  return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

// Not by a DELETE, which triggers and the guard refuse, whoever asks.
void remove_row(Relation others, ItemPointer row, Snapshot now) {
  TM_FailureData failure;
  TM_Result result = table_tuple_delete(others, row, GetCurrentCommandId(true), now, InvalidSnapshot, true, &failure, false);
  if (result != TM_Ok)
    ereport(ERROR, (errcode(ERRCODE_SPINE_PARTITION_BUSY), errmsg("an event was altered while it was moved"),
                    errhint("Somebody erased a part of it. Nothing was moved; call again.")));
}

// Moves the rows of the span that are committed now, as they are. Returns how many.
uint64 move_rows(const PartitionWork &work, Oid leaf, const Span &span) {
  Datum starts = TimestampTzGetDatum(span.starts), ends = TimestampTzGetDatum(span.ends);
  const char *columns = columns_of(work.root);
  const char *rows = psprintf("FROM ONLY %s WHERE \"timestamp\" >= $1 AND \"timestamp\" < $2", qualified(work.others));
  Snapshot now = RegisterSnapshot(GetLatestSnapshot());
  uint64 inserted = run_sql_as_of(now, psprintf("INSERT INTO %s (%s) SELECT %s %s", qualified(leaf), columns, columns, rows), false, {starts, ends});

  PushActiveSnapshot(now);
  Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
  Datum values[] = {starts, ends};
  Portal portal = SPI_cursor_open_with_args(nullptr, psprintf("SELECT ctid %s", rows), 2, types, values, nullptr, true, 0);
  Relation others = table_open(work.others, RowExclusiveLock);
  uint64 removed = 0;
  for (;;) {
    SPI_cursor_fetch(portal, true, rows_at_once);
    if (SPI_processed == 0) break;
    for (uint64 i = 0; i < SPI_processed; i++) {
      CHECK_FOR_INTERRUPTS();
      bool null;
      Datum row = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null);
      remove_row(others, reinterpret_cast<ItemPointer>(DatumGetPointer(row)), now);
    }
    removed += SPI_processed;
    SPI_freetuptable(SPI_tuptable);
  }
  SPI_cursor_close(portal);
  table_close(others, NoLock);
  PopActiveSnapshot();
  UnregisterSnapshot(now);
  CommandCounterIncrement();
  if (removed != inserted)
    ereport(ERROR, (errcode(ERRCODE_SPINE_PARTITION_BUSY),
                    errmsg("moved " UINT64_FORMAT " events, but removed " UINT64_FORMAT, inserted, removed),
                    errhint("Somebody else alters stored events. Call again, and verify the chains.")));
  return inserted;
}

void fill(const PartitionWork &work, Filled *one) {
  one->events += move_rows(work, one->leaf, one->span);
  note_chains(one->leaf, one->span.starts);
}

// The chains of the leaf that have nothing left in the default partition, each with its last event that was moved.
struct EmptiedChains {
  Datum organizations;
  Datum last;
  bool any;
};
EmptiedChains *emptied_chains(const PartitionWork &work, Oid leaf) {
  Snapshot now = RegisterSnapshot(GetLatestSnapshot());
  run_sql_as_of(now, psprintf("SELECT array_agg(organization_id), array_agg(last) FROM (SELECT organization_id, max(sequence) AS last FROM ONLY %s"
                              "  WHERE organization_id NOT IN (SELECT DISTINCT organization_id FROM ONLY %s WHERE organization_id IS NOT NULL)"
                              "  GROUP BY organization_id LIMIT %d) m", qualified(leaf), qualified(work.others), most_forgotten), true);
  UnregisterSnapshot(now);
  EmptiedChains *emptied = static_cast<EmptiedChains *>(palloc(sizeof(EmptiedChains)));
  bool null;
  emptied->organizations = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
  emptied->last = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null);
  emptied->any = !null;
  return emptied;
}

// With the default partition locked: but for those that have emitted since.
void forget_emptied(const PartitionWork &work, const EmptiedChains &emptied) {
  if (!emptied.any) return;
  Oid types[] = {UUIDARRAYOID, INT8ARRAYOID};
  Datum values[] = {emptied.organizations, emptied.last};
  const char *statement = psprintf("DELETE FROM spine.chain_partitions c USING unnest($1, $2) m (organization_id, last)"
                                   " WHERE c.organization_id = m.organization_id AND c.starts = 'infinity' AND NOT EXISTS (SELECT FROM ONLY %s e"
                                   "  WHERE e.organization_id = m.organization_id AND e.sequence > m.last)", qualified(work.others));
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("chain_partitions"));
  // A look into the index for each: the table is full of what was just moved.
  int level = NewGUCNestLevel();
  for (const char *other_way : {"enable_seqscan", "enable_hashjoin", "enable_mergejoin"})
    (void)set_config_option(other_way, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  Snapshot now = RegisterSnapshot(GetLatestSnapshot());
  (void)SPI_execute_snapshot(SPI_prepare(statement, 2, types), values, nullptr, now, InvalidSnapshot, false, true, 0);
  UnregisterSnapshot(now);
  AtEOXact_GUC(true, level);
  rights.end();
  announce_partitions();
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_move_from_default);
PGDLLEXPORT Datum spine_move_from_default(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Cut cut;
  cut.begin(PG_GETARG_INTERVAL_P(0));
  int most = PG_GETARG_INT32(1);
  if (most < 1 || most > most_moved)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_INTERVAL), errmsg("events cannot be moved into %d partitions", most),
                    errhint("Give a number from 1 to %d.", most_moved)));
  PartitionWork work;
  work.begin("spine.move_from_default()");
  // All that takes long comes first: nothing is locked by it that others wait for.
  List *filled = NIL;
  Span span;
  while (most-- > 0 && OidIsValid(work.others) && oldest_piece(work, cut, filled, &span)) {
    Filled *one = static_cast<Filled *>(palloc(sizeof(Filled)));
    *one = {span, make_leaf(work, span, true), 0, nullptr};
    fill(work, one);
    filled = lappend(filled, one);
  }
  if (filled == NIL) {
    work.end();
    return static_cast<Datum>(0);
  }
  ListCell *cell;
  foreach (cell, filled) {
    Filled *one = static_cast<Filled *>(lfirst(cell));
    one->emptied = emptied_chains(work, one->leaf);
  }
  summarize_others(work);
  XLogFlush(GetXLogInsertRecPtr());  // or the commit would write it while emitters wait
  // Whoever reads has planned where events lie: so the table itself is locked too, for the moment of the change.
  lock_briefly(work, list_make2_oid(work.root, work.others));
  foreach (cell, filled) {
    Filled *one = static_cast<Filled *>(lfirst(cell));
    if (others_have(work, one->span)) fill(work, one);
    attach_leaf(work, one->leaf, one->span, Bounds::made);
    forget_emptied(work, *one->emptied);
  }
  foreach (cell, filled) {
    const Filled *one = static_cast<const Filled *>(lfirst(cell));
    emit_partition_event("platform.partition.filled", one->leaf, one->span, {{"events", static_cast<int64>(one->events)}});
    Datum values[] = {ObjectIdGetDatum(one->leaf), Int64GetDatum(static_cast<int64>(one->events))};
    bool nulls[] = {false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  work.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
