// spine.attach_partition, and what follows when somebody attaches a partition by ALTER TABLE.
#include "partitions/partition_work.h"
#include "partitions/partitions.h"
#include "partitions/retired.h"
#include "server/errors.h"
#include "server/sql.h"
#include "server/cached_table.h"
#include "store/restored_chains.h"

extern "C" {
#include <access/table.h>
#include <catalog/namespace.h>
#include <catalog/pg_class.h>
#include <catalog/pg_type_d.h>
#include <storage/lmgr.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

[[noreturn]] void cannot_attach(const char *table, const char *why, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_PARTITION), errmsg("table %s cannot be attached: %s", table, why), errhint("%s", hint)));
}

void check_table(const PartitionWork &work, Oid table) {
  if (get_rel_relkind(table) != RELKIND_RELATION || get_rel_relispartition(table) || get_rel_namespace(table) != get_rel_namespace(work.root))
    cannot_attach(qualified(table), "it is no table of schema spine, or a partition already",
                  "Make it like spine.events in schema spine, as a partition that was detached is.");
}

// Nobody may write what is checked.
void check_rows(Oid table, const Span &span) {
  LockRelationOid(table, ShareRowExclusiveLock);
  Snapshot now = RegisterSnapshot(GetLatestSnapshot());
  uint64 rows = run_sql_as_of(now, psprintf("SELECT FROM ONLY %s WHERE NOT coalesce(\"timestamp\" >= $1 AND \"timestamp\" < $2, false) LIMIT 1", qualified(table)),
                              true, {TimestampTzGetDatum(span.starts), TimestampTzGetDatum(span.ends)});
  UnregisterSnapshot(now);
  if (rows > 0)
    cannot_attach(qualified(table), psprintf("it has events that are not from %s to before %s", sql_moment(span.starts), sql_moment(span.ends)),
                  "Give the bounds that it had.");
}

void check_others(const PartitionWork &work, Oid table, const Span &span) {
  if (others_have(work, span))
    cannot_attach(qualified(table), "the default partition has events of that time",
                  "Move them with spine.move_from_default, or give other bounds.");
}

}  // namespace

void note_attached(const AlterTableStmt *statement) {
  ListCell *cell;
  foreach (cell, statement->cmds) {
    const AlterTableCmd *command = castNode(AlterTableCmd, lfirst(cell));
    if (command->subtype != AT_AttachPartition || is_attaching()) continue;
    Oid root = RangeVarGetRelid(statement->relation, NoLock, true);
    Oid leaf = RangeVarGetRelid(castNode(PartitionCmd, command->def)->name, NoLock, true);
    if (!OidIsValid(leaf) || !OidIsValid(root) || root != find_spine_table("events") || get_rel_relkind(leaf) != RELKIND_RELATION) continue;
    CommandCounterIncrement();
    SPI_connect();
    note_chains(leaf, start_of(root, leaf));
    remove_anchors(leaf);
    forget_progress();
    SPI_finish();
  }
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_attach_partition);
PGDLLEXPORT Datum spine_attach_partition(PG_FUNCTION_ARGS) {
  Oid table = PG_GETARG_OID(0);
  Span span{PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TIMESTAMPTZ(2)};
  if (span.starts >= span.ends)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_INTERVAL), errmsg("from %s to before %s is no time", sql_moment(span.starts), sql_moment(span.ends)),
                    errhint("A partition ends after it starts.")));
  PartitionWork work;
  work.begin("spine.attach_partition()");
  check_table(work, table);
  check_rows(table, span);
  check_others(work, table, span);
  note_chains(table, span.starts);
  remove_anchors(table);
  forget_progress();
  guard_leaf(table);
  if (OidIsValid(work.others)) summarize_others(work);
  // Or a reader who has planned already would not see its events.
  lock_briefly(work, OidIsValid(work.others) ? list_make2_oid(work.root, work.others) : list_make1_oid(work.root));
  check_others(work, table, span);
  attach_leaf(work, table, span, Bounds::checked);
  emit_partition_event("platform.partition.attached", table, span);
  work.end();
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace spine
