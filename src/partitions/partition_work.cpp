#include "partitions/partition_work.h"

#include "core/uuid.h"
#include "server/cached_table.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/json.h"
#include "server/sql.h"
#include "server/subtransaction.h"
#include "store/chain_lock.h"
#include "store/emit.h"
#include "store/chain_partitions.h"
#include "store/own_statement.h"
#include "store/platform_event.h"
#include "store/shared_heads.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <catalog/heap.h>
#include <catalog/namespace.h>
#include <catalog/pg_type_d.h>
#include <commands/tablespace.h>
#include <commands/trigger.h>
#include <nodes/makefuncs.h>
#include <nodes/parsenodes.h>
#include <parser/parser.h>
#include <storage/latch.h>
#include <storage/lmgr.h>
#include <utils/guc.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
#include <utils/numeric.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>
#include <utils/wait_event.h>
#include <miscadmin.h>
}

namespace spine {

namespace {

// While a lock is waited for, emitters wait behind it; in the pauses they do not.
constexpr const char *longest_wait = "50ms";
constexpr long pause_milliseconds = 200;
constexpr int most_tries = 40;

constexpr const char *promise_name = "people_os_spine_attaching";

bool attaching;

const char *inside(const Span &span) {
  return psprintf("\"timestamp\" IS NOT NULL AND \"timestamp\" >= '%s'::pg_catalog.timestamptz AND \"timestamp\" < '%s'::pg_catalog.timestamptz",
                  sql_moment(span.starts), sql_moment(span.ends));
}

// Of a relation or a schema.
Oid owner_of(int cache, Oid object) {
  HeapTuple row = SearchSysCache1(cache, ObjectIdGetDatum(object));
  if (!HeapTupleIsValid(row))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("object %u is gone", object),
                    errhint("Somebody dropped it meanwhile. Call again.")));
  Oid owner = cache == RELOID ? reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner
                              : reinterpret_cast<Form_pg_namespace>(GETSTRUCT(row))->nspowner;
  ReleaseSysCache(row);
  return owner;
}

Node *parse_expression(const char *text) {
  RawStmt *statement = linitial_node(RawStmt, raw_parser(text, RAW_PARSE_PLPGSQL_EXPR));
  return linitial_node(ResTarget, castNode(SelectStmt, statement->stmt)->targetList)->val;
}

// A CHECK constraint that holds as the caller knows, so that nothing is read for it.
void promise(Oid table, const char *expression) {
  Relation relation = table_open(table, AccessExclusiveLock);
  Constraint *constraint = makeNode(Constraint);
  constraint->contype = CONSTR_CHECK;
  constraint->conname = pstrdup(promise_name);
  constraint->raw_expr = parse_expression(expression);
  constraint->initially_valid = true;
#if PG_VERSION_NUM >= 180000
  constraint->is_enforced = true;
#endif
  constraint->location = -1;
  (void)AddRelationNewConstraints(relation, NIL, list_make1(constraint), false, true, true, nullptr);
  table_close(relation, NoLock);
  CommandCounterIncrement();
}

void drop_promise(Oid table) {
  run_own_statement(psprintf("ALTER TABLE %s DROP CONSTRAINT %s", qualified(table), promise_name));
}

// Who holds locks on the table, as a sentence says it.
const char *holders_of(Oid relid) {
  constexpr const char *holders =
      "SELECT string_agg(format('process %s (%s, %s)', l.pid, coalesce(a.usename, '?'), coalesce(nullif(a.application_name, ''), a.backend_type, '?')), ', ')"
      "  FROM (SELECT DISTINCT pid FROM pg_locks WHERE granted AND relation = $1 AND locktype = 'relation'"
      "           AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()) l"
      "  LEFT JOIN pg_stat_activity a USING (pid)";
  if (run_sql(holders, {{OIDOID, ObjectIdGetDatum(relid)}}) == 0) return nullptr;
  return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

bool is_timeout(const ErrorData &error) {
  return error.sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE || error.sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

void pause_before_next_try() {
  (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause_milliseconds, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

}  // namespace

void PartitionWork::begin(const char *function) {
  require_writable(function);
  Oid events = events_relid();
  if (!compat_owns_table(events, GetUserId()))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table spine.events"),
                    errhint("Its partitions are its owner's and superusers' to make and to retire.")));
  root = events;
  Relation relation = table_open(events, ShareUpdateExclusiveLock);
  if (!event_table(relation)->is_cut_by_time)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE),
                    errmsg("\"%s\" is not partitioned by ranges of its timestamp", RelationGetRelationName(relation)),
                    errhint("Events are emitted into the table that CREATE EXTENSION made; put it back.")));
  others = partition_from(relation, default_partition_starts).relid;
  table_close(relation, NoLock);
  rights.begin_as(owner_of(NAMESPACEOID, get_rel_namespace(root)));
  SPI_connect();
}

void PartitionWork::end() {
  SPI_finish();
  rights.end();
}

const char *qualified(Oid relid) {
  return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

Oid make_leaf(const PartitionWork &work, const Span &span, bool with_bounds) {
  Oid schema = get_rel_namespace(work.root);
  const char *name = partition_name(span.starts);
  if (OidIsValid(get_relname_relid(name, schema)))
    ereport(ERROR, (errcode(ERRCODE_SPINE_PARTITION_EXISTS), errmsg("table spine.%s exists already, and is no partition", name),
                    errhint("It was detached. Attach it again with spine.attach_partition, or have it renamed or dropped.")));
  const char *table = quote_qualified_identifier(get_namespace_name(schema), name);
  Oid tablespace = get_rel_tablespace(work.root);
  run_own_statement(psprintf("CREATE TABLE %s (LIKE %s INCLUDING COMPRESSION INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED"
                             " INCLUDING INDEXES INCLUDING STORAGE%s)%s",
                             table, qualified(work.root),
                             with_bounds ? psprintf(", CONSTRAINT %s CHECK (%s)", promise_name, inside(span)) : "",
                             OidIsValid(tablespace) ? psprintf(" TABLESPACE %s", quote_identifier(get_tablespace_name(tablespace))) : ""));
  Oid leaf = get_relname_relid(name, schema);
  guard_leaf(leaf);
  // ANALYZE would keep values that may have to be erased.
  run_own_statement(psprintf("ALTER TABLE %s ALTER payload SET STATISTICS 0, ALTER payload_salt SET STATISTICS 0,"
                             " ALTER personal SET STATISTICS 0, ALTER personal_salt SET STATISTICS 0",
                             table));
  Oid owner = owner_of(RELOID, work.root);
  if (owner != GetUserId())
    run_own_statement(psprintf("ALTER TABLE %s OWNER TO %s", table, quote_identifier(GetUserNameFromId(owner, false))));
  run_sql(psprintf("COMMENT ON TABLE %s IS 'The events from %s to before %s: read and written through spine.events'", table,
                   sql_moment(span.starts), sql_moment(span.ends)));
  return leaf;
}

void lock_briefly(const PartitionWork &work, const List *relids) {
  Oid busy = InvalidOid;
  for (int attempt = 1;; attempt++) {
    ErrorData *error = catch_error(
        [&] {
          int level = NewGUCNestLevel();
          (void)set_config_option("lock_timeout", longest_wait, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
          busy = InvalidOid;
          lock_chain(work.root, nil_uuid);
          ListCell *cell;
          foreach (cell, relids) {
            busy = lfirst_oid(cell);
            LockRelationOid(busy, AccessExclusiveLock);
          }
          AtEOXact_GUC(true, level);
        },
        is_timeout);
    if (error == nullptr) return;
    if (attempt < most_tries) {
      pause_before_next_try();
      continue;
    }
    const char *who = OidIsValid(busy) ? holders_of(busy) : nullptr;
    ereport(ERROR, (errcode(ERRCODE_SPINE_PARTITION_BUSY),
                    OidIsValid(busy) ? errmsg("table %s is in use", qualified(busy)) : errmsg("the platform's chain is in use"),
                    who != nullptr ? errdetail("It is locked by %s.", who) : 0,
                    errhint("Nothing was changed. Call again once the transactions that read or emit events have ended; "
                            "emitters were not kept waiting for it.")));
  }
}

void attach_leaf(const PartitionWork &work, Oid leaf, const Span &span, Bounds bounds) {
  if (OidIsValid(work.others)) promise(work.others, psprintf("NOT (%s)", inside(span)));
  if (bounds == Bounds::checked) promise(leaf, inside(span));
  attaching = true;
  PG_TRY();
  {
    run_own_statement(psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')", qualified(work.root),
                               qualified(leaf), sql_moment(span.starts), sql_moment(span.ends)));
  }
  PG_FINALLY();
  {
    attaching = false;
  }
  PG_END_TRY();
  if (OidIsValid(work.others)) drop_promise(work.others);
  if (bounds != Bounds::empty) drop_promise(leaf);
}

bool is_attaching() { return attaching; }

void guard_leaf(Oid leaf) {
  const char *table = qualified(leaf);
  // It gets that of spine.events.
  if (OidIsValid(get_trigger_oid(leaf, "refuse_row_change", true))) run_own_statement(psprintf("DROP TRIGGER refuse_row_change ON %s", table));
  run_own_statement(psprintf("CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %s"
                             " FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change()", table));
  run_own_statement(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_change, ENABLE ROW LEVEL SECURITY", table));
  run_sql(psprintf("COMMENT ON TRIGGER refuse_change ON %s IS 'Refuses UPDATE, DELETE and TRUNCATE that name the partition'", table));
  ListCell *grantee;
  foreach (grantee, grantees_of(leaf))
    run_own_statement(psprintf("REVOKE ALL ON %s FROM %s CASCADE", table, static_cast<const char *>(lfirst(grantee))));
}

void note_chains(Oid leaf, TimestampTz starts) {
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("chain_partitions"));
  // Its text needs no search_path.
  run_sql(psprintf("INSERT INTO spine.chain_partitions SELECT DISTINCT organization_id, $1 FROM ONLY %s ON CONFLICT DO NOTHING", qualified(leaf)),
          {{TIMESTAMPTZOID, TimestampTzGetDatum(starts)}});
  rights.end();
  announce_partitions();
  forget_shared_heads_in(leaf);
}

uint64 run_sql_as_of(Snapshot snapshot, const char *statement, bool read_only, std::initializer_list<Datum> moments) {
  Oid types[4];
  Datum values[4];
  int count = 0;
  Assert(moments.size() <= lengthof(values));
  for (Datum moment : moments) {
    types[count] = TIMESTAMPTZOID;
    values[count++] = moment;
  }
  (void)SPI_execute_snapshot(SPI_prepare(statement, count, types), values, nullptr, snapshot, InvalidSnapshot, read_only, true, 0);
  return SPI_processed;
}

bool others_have(const PartitionWork &work, const Span &span) {
  if (!OidIsValid(work.others)) return false;
  int level = NewGUCNestLevel();
  (void)set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  Snapshot now = RegisterSnapshot(GetLatestSnapshot());
  uint64 rows = run_sql_as_of(now, psprintf("SELECT FROM ONLY %s WHERE \"timestamp\" >= $1 AND \"timestamp\" < $2 LIMIT 1", qualified(work.others)),
                              true, {TimestampTzGetDatum(span.starts), TimestampTzGetDatum(span.ends)});
  UnregisterSnapshot(now);
  AtEOXact_GUC(true, level);
  return rows > 0;
}

void summarize_others(const PartitionWork &work) {
  run_sql("SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
          " JOIN pg_am m ON m.oid = c.relam WHERE i.indrelid = $1 AND m.amname = 'brin' AND i.indisvalid",
          {{OIDOID, ObjectIdGetDatum(work.others)}});
}

void emit_partition_event(const char *event_type, Oid leaf, const Span &span, std::initializer_list<NumberMember> numbers) {
  const char *name = qualified(leaf);
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  push_member(&state, "partition", json_text(name));
  push_member(&state, "from", json_text(json_moment(span.starts)));
  push_member(&state, "to", json_text(json_moment(span.ends)));
  for (const NumberMember &number : numbers) {
    JsonbValue value;
    value.type = jbvNumeric;
    value.val.numeric = int64_to_numeric(number.value);
    push_member(&state, number.name, value);
  }
  Jsonb *payload = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
  emit_platform_event(event_type, name, "low", JsonbPGetDatum(payload), ChainedWhen::at_once);
}

}  // namespace spine
