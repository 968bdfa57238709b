// spine.retire_events: whole partitions go, the oldest first, after they were verified. Each chain goes on from an anchor.
#include "core/uuid.h"
#include "partitions/partition_work.h"
#include "partitions/retired.h"
#include "privacy/privacy.h"
#include "proof/proof.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "server/json.h"
#include "server/sql.h"
#include "store/entity_uuid.h"
#include "store/event_types.h"
#include "store/chain_partitions.h"
#include "store/own_statement.h"
#include "store/platform_event.h"

extern "C" {
#include <access/table.h>
#include <catalog/pg_type_d.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <storage/lmgr.h>
#include <utils/array.h>
#include <utils/guc.h>
#include <utils/jsonb.h>
#include <utils/memutils.h>
#include <utils/numeric.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// What a table holds, as verified, or the first of its faults. The anchors' hash: docs/hash.md.
constexpr const char *verify_leaf =
    "WITH v AS MATERIALIZED (SELECT * FROM spine.verify_table(%u::pg_catalog.regclass))"
    " SELECT (SELECT format('%%s at sequence %%s of organization %%s', first_fault, coalesce(first_fault_sequence::text, '?'), coalesce(organization_id::text, '?'))"
    "           FROM v WHERE faults > 0 ORDER BY organization_id LIMIT 1),"
    "        count(*), coalesce(sum(v.events), 0)::bigint,"
    "        encode(sha256(coalesce(string_agg(uuid_send(v.organization_id) || int8send(v.last_sequence) || v.head_hash, ''::bytea"
    "                                          ORDER BY v.organization_id), ''::bytea)), 'hex'),"
    "        array_agg(v.organization_id), array_agg(v.last_sequence), array_agg(e.\"timestamp\"), array_agg(v.head_hash)"
    "   FROM v JOIN ONLY %s e ON e.organization_id = v.organization_id AND e.sequence = v.last_sequence WHERE v.events > 0";
enum VerifiedColumn { fault_column = 1, chains_column, events_column, hash_column, anchors_column };
constexpr Oid anchor_types[] = {UUIDARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, BYTEAARRAYOID};

struct Retired {
  Span span;
  Oid leaf;
  int64 events, chains;
  const char *anchors_hash;
  Datum anchors[lengthof(anchor_types)];  // arrays, side by side; where there are no chains, none
  Uuid id;                                // of its event
};

// Those that end then or earlier, the oldest first. A list of Retired.
List *partitions_before(const PartitionWork &work, TimestampTz moment) {
  List *found = NIL;
  Relation root = table_open(work.root, AccessShareLock);
  ListCell *cell;
  foreach (cell, partition_spans(work.root)) {
    const Span *span = static_cast<const Span *>(lfirst(cell));
    if (span->ends > moment) break;
    Retired *one = static_cast<Retired *>(palloc0(sizeof(Retired)));
    one->span = *span;
    one->leaf = partition_from(root, span->starts).relid;
    if (!OidIsValid(one->leaf))
      ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE), errmsg("the partition from %s is partitioned itself", sql_moment(span->starts)),
                      errhint("A partition of spine.events must hold its events itself.")));
    found = lappend(found, one);
  }
  table_close(root, NoLock);
  return found;
}

// Whether a partition has events of an organization.
bool has_chain(Oid leaf, const Uuid &organization) {
  return run_sql(psprintf("SELECT FROM ONLY %s WHERE organization_id = $1 LIMIT 1", qualified(leaf)),
                 {{UUIDOID, uuid_datum(organization)}}) > 0;
}

// Nobody places a hold from here on.
void refuse_held(const List *partitions) {
  LockRelationOid(spine_table("legal_holds"), ShareLock);
  Holds holds = holds_of(nullptr);
  ListCell *cell;
  foreach (cell, partitions) {
    const Retired *one = static_cast<const Retired *>(lfirst(cell));
    for (const Hold *hold = holds.hold; hold < holds.hold + holds.count; hold++)
      if (hold->from < one->span.ends && hold->to >= one->span.starts && has_chain(one->leaf, hold->organization))
        ereport(ERROR, (errcode(ERRCODE_SPINE_HELD),
                        errmsg("partition %s has events of organization %s, which hold %s holds", qualified(one->leaf), uuid_text(hold->organization),
                               uuid_text(hold->id)),
                        errhint("Whoever keeps the holds ends it with spine.release_hold('%s', …).", uuid_text(hold->id))));
  }
}

void refuse_older_in_others(const PartitionWork &work, TimestampTz moment) {
  if (others_have(work, {DT_NOBEGIN, moment}))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_RETIRABLE), errmsg("the default partition has events from before %s", sql_moment(moment)),
                    errhint("The oldest go first: move them into partitions with spine.move_from_default.")));
}

void verify(Retired *one) {
  Snapshot now = RegisterSnapshot(GetLatestSnapshot());
  run_sql_as_of(now, psprintf(verify_leaf, one->leaf, qualified(one->leaf)), true);
  UnregisterSnapshot(now);
  HeapTuple row = SPI_tuptable->vals[0];
  TupleDesc columns = SPI_tuptable->tupdesc;
  if (const char *fault = SPI_getvalue(row, columns, fault_column))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_INTACT), errmsg("partition %s is not intact: %s", qualified(one->leaf), fault),
                    errhint("Nothing was retired. SELECT * FROM spine.find_chain_faults() says more; mend it first.")));
  bool null;
  one->chains = DatumGetInt64(SPI_getbinval(row, columns, chains_column, &null));
  one->events = DatumGetInt64(SPI_getbinval(row, columns, events_column, &null));
  one->anchors_hash = SPI_getvalue(row, columns, hash_column);
  for (int i = 0; i < static_cast<int>(lengthof(anchor_types)); i++)
    one->anchors[i] = SPI_getbinval(row, columns, anchors_column + i, &null);
}

// The chains' trees go on without what goes.
void keep_checkpoints(const Retired &one) {
  if (one.chains == 0) return;
  Datum *organizations, *sequences, *hashes;
  int count;
  deconstruct_array(DatumGetArrayTypeP(one.anchors[0]), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &organizations, nullptr, &count);
  deconstruct_array(DatumGetArrayTypeP(one.anchors[1]), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &sequences, nullptr, &count);
  deconstruct_array(DatumGetArrayTypeP(one.anchors[3]), BYTEAOID, -1, false, TYPALIGN_INT, &hashes, nullptr, &count);
  MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "chain that is retired", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(each);
  for (int i = 0; i < count; i++) {
    CHECK_FOR_INTERRUPTS();
    Hash head;  // as it was verified
    memcpy(head.data(), VARDATA_ANY(DatumGetPointer(hashes[i])), sizeof head);
    keep_checkpoint(uuid_of(organizations[i]), DatumGetInt64(sequences[i]), head);
    MemoryContextReset(each);
  }
  MemoryContextSwitchTo(before);
  MemoryContextDelete(each);
}

void emit(Retired *one, const char *reason) {
  const char *name = qualified(one->leaf);
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  const char *texts[][2] = {{"partition", name}, {"from", json_moment(one->span.starts)}, {"to", json_moment(one->span.ends)},
                            {"reason", reason}, {"anchors_hash", one->anchors_hash}};
  for (const auto &member : texts) push_member(&state, member[0], json_text(member[1]));
  const NumberMember numbers[] = {{"events", one->events}, {"chains", one->chains}};
  for (const NumberMember &number : numbers) {
    JsonbValue value;
    value.type = jbvNumeric;
    value.val.numeric = int64_to_numeric(number.value);
    push_member(&state, number.name, value);
  }
  Jsonb *payload = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
  one->id = emit_own_event(retired_event, nil_uuid, entity_uuid("platform", "partition", name), "high", JsonbPGetDatum(payload),
                           ChainedWhen::at_once);
}

// The texts need no search_path.
void put_anchors(const Retired &one) {
  OwnersRights rights;
  if (one.chains > 0) {
    rights.begin_as_owner_of(spine_table("anchors"));
    uint64 rows = run_sql("INSERT INTO spine.anchors (organization_id, sequence, \"timestamp\", event_hash, retirement_id)"
                          " SELECT a.*, $5 FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) a",
                          {{anchor_types[0], one.anchors[0]}, {anchor_types[1], one.anchors[1]}, {anchor_types[2], one.anchors[2]},
                           {anchor_types[3], one.anchors[3]}, {UUIDOID, uuid_datum(one.id)}});
    rights.end();
    if (rows != static_cast<uint64>(one.chains))
      ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_STORED), errmsg("a trigger on table \"spine.anchors\" suppressed an anchor"),
                      errhint("Drop the trigger that somebody added.")));
  }
  rights.begin_as_owner_of(spine_table("chain_partitions"));
  (void)run_sql("DELETE FROM spine.chain_partitions WHERE starts OPERATOR(pg_catalog.=) $1", {{TIMESTAMPTZOID, TimestampTzGetDatum(one.span.starts)}});
  rights.end();
  announce_partitions();
}

// It stays as immutable as it was: what spine.events gave it goes with it.
void detach(const PartitionWork &work, Oid leaf) {
  const char *table = qualified(leaf);
  run_own_statement(psprintf("ALTER TABLE %s DETACH PARTITION %s", qualified(work.root), table));
  run_own_statement(psprintf("CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON %s"
                             " FOR EACH ROW EXECUTE FUNCTION spine.refuse_change()", table));
  run_own_statement(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_row_change", table));
  run_sql(psprintf("COMMENT ON TRIGGER refuse_row_change ON %s IS 'Refuses UPDATE and DELETE where only row triggers fire'", table));
}

TimestampTz moment_of(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("before is null"), errhint("Pass the time before which all events are to go.")));
  TimestampTz moment = PG_GETARG_TIMESTAMPTZ(0);
  if (moment > GetCurrentTimestamp())
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_RETIRABLE), errmsg("%s is not past", sql_moment(moment)),
                    errhint("Events of a partition go once its time has ended.")));
  return moment;
}

}  // namespace

void remove_anchors(Oid leaf) {
  // Each chain of the table, with the anchors from its first event there on: there must be none, or its last event's alone.
  constexpr const char *chains =
      "WITH a AS MATERIALIZED (SELECT c.organization_id, a.sequence, a.retirement_id, a.sequence = c.last AND a.event_hash = e.event_hash AS fits"
      "    FROM (SELECT organization_id, min(sequence) AS first, max(sequence) AS last FROM ONLY %1$s GROUP BY 1) c"
      "    JOIN spine.anchors a ON a.organization_id = c.organization_id AND a.sequence >= c.first"
      "    LEFT JOIN ONLY %1$s e ON e.organization_id = c.organization_id AND e.sequence = c.last),"
      " gone AS (DELETE FROM spine.anchors USING a WHERE anchors.organization_id = a.organization_id AND anchors.sequence = a.sequence)"
      " SELECT min(organization_id::text) FILTER (WHERE fits IS NOT TRUE), count(*) = 0 OR"
      "        (count(DISTINCT a.retirement_id) = 1"
      "         AND count(*) = (SELECT count(*) FROM spine.anchors n WHERE n.retirement_id = (SELECT retirement_id FROM a LIMIT 1))"
      "         AND count(*) = (SELECT count(DISTINCT organization_id) FROM ONLY %1$s)) FROM a";
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("anchors"));
  int level = NewGUCNestLevel();
  (void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  (void)run_sql(psprintf(chains, qualified(leaf)));
  AtEOXact_GUC(true, level);
  rights.end();
  const char *unfit = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
  bool null;
  bool is_whole = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null));
  if (unfit == nullptr && is_whole) return;
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_PARTITION), errmsg("table %s cannot be attached: its events are not all that was retired last", qualified(leaf)),
                  unfit != nullptr ? errdetail("Those of organization %s do not end with the anchor of its chain.", unfit)
                                   : errdetail("Its chains are not those whose anchors were made when it was retired."),
                  errhint("What was retired last comes back first. spine.verify_table says whether a table is intact.")));
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_retire_events);
PGDLLEXPORT Datum spine_retire_events(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  TimestampTz moment = moment_of(fcinfo);
  require_reason(fcinfo, 1);
  const char *reason = text_to_cstring(PG_GETARG_TEXT_PP(1));
  PartitionWork work;
  work.begin("spine.retire_events()");
  List *partitions = partitions_before(work, moment);
  if (partitions == NIL) {
    work.end();
    return static_cast<Datum>(0);
  }
  TimestampTz ends = static_cast<const Retired *>(llast(partitions))->span.ends;
  refuse_older_in_others(work, ends);
  // All that takes long comes first. Nobody erases from here on what is verified, or writes it.
  ListCell *cell;
  foreach (cell, partitions) LockRelationOid(static_cast<const Retired *>(lfirst(cell))->leaf, ShareRowExclusiveLock);
  refuse_held(partitions);
  lock_checkpoints();
  foreach (cell, partitions) {
    Retired *one = static_cast<Retired *>(lfirst(cell));
    verify(one);
    if (one->chains > 0) refuse_kept(one->anchors[0], one->span.ends, qualified(one->leaf));
    keep_checkpoints(*one);
  }
  List *locked = list_make1_oid(work.root);
  foreach (cell, partitions) {
    Retired *one = static_cast<Retired *>(lfirst(cell));
    emit(one, reason);
    put_anchors(*one);
    locked = lappend_oid(locked, one->leaf);
  }
  if (OidIsValid(work.others)) locked = lappend_oid(locked, work.others);
  lock_briefly(work, locked);
  refuse_older_in_others(work, ends);
  foreach (cell, partitions) {
    const Retired *one = static_cast<const Retired *>(lfirst(cell));
    detach(work, one->leaf);
    Datum values[] = {ObjectIdGetDatum(one->leaf), Int64GetDatum(one->events), Int64GetDatum(one->chains), uuid_datum(one->id)};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  work.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
