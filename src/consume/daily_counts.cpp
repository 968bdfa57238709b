// spine.read_chain_heads, and the two functions that keep what the views of chains and counts show.
#include "access/access.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/emit.h"
#include "store/event_scan.h"
#include "store/event_table.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/table.h>
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
}

namespace spine {

namespace {

// Held to the end of the transaction.
constexpr const char *exclude_others = "LOCK TABLE spine.counted_chains IN SHARE ROW EXCLUSIVE MODE";

// Up to what was counted, not up to the heads: those are younger than the statement's snapshot.
constexpr const char *count_events = R"sql(
WITH counted AS MATERIALIZED (
  SELECT organization_id, day, event_type, severity, actor_type, actor_id, count(*) AS events, max(sequence) AS sequence
    FROM spine.uncounted_events GROUP BY organization_id, day, event_type, severity, actor_type, actor_id
), types AS (
  INSERT INTO spine.daily_counts AS d (organization_id, day, event_type, severity, events)
  SELECT organization_id, day, event_type, severity, sum(events) FROM counted GROUP BY organization_id, day, event_type, severity
  ON CONFLICT (organization_id, day, event_type, severity) DO UPDATE SET events = d.events + excluded.events
), actors AS (
  INSERT INTO spine.daily_actor_counts AS d (organization_id, day, actor_type, actor_id, events)
  SELECT organization_id, day, actor_type, actor_id, sum(events) FROM counted GROUP BY organization_id, day, actor_type, actor_id
  ON CONFLICT (organization_id, day, actor_type, actor_id) DO UPDATE SET events = d.events + excluded.events
), chains AS (
  INSERT INTO spine.counted_chains AS c (organization_id, sequence)
  SELECT organization_id, max(sequence) FROM counted GROUP BY organization_id
  ON CONFLICT (organization_id) DO UPDATE SET sequence = excluded.sequence
)
SELECT coalesce(sum(events), 0)::bigint FROM counted
)sql";

constexpr const char *verify = "SELECT * FROM spine.verify_chain($1)";

constexpr const char *record_one =
    "INSERT INTO spine.verifications AS v (organization_id, verified_at, verified_by, intact, last_sequence, head_hash, faults)"
    " VALUES ($1, clock_timestamp(), session_user, $2, $3, $4, $5)"
    " ON CONFLICT (organization_id) DO UPDATE SET verified_at = excluded.verified_at, verified_by = excluded.verified_by,"
    " intact = excluded.intact, last_sequence = excluded.last_sequence, head_hash = excluded.head_hash, faults = excluded.faults";

// What verify_chain returns.
enum Summary { summary_organization, summary_intact, summary_events, summary_first, summary_last, summary_head, summary_faults, summary_columns = 9 };

void put_head(ReturnSetInfo *result, const EventTable *table, TupleTableSlot *slot) {
  constexpr Column columns[] = {Column::organization_id, Column::sequence, Column::event_hash, Column::timestamp};
  Datum values[lengthof(columns)];
  bool nulls[lengthof(columns)];
  for (size_t i = 0; i < lengthof(columns); i++) values[i] = slot_getattr(slot, table->attnum[static_cast<int>(columns[i])], &nulls[i]);
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_read_chain_heads);
PGDLLEXPORT Datum spine_read_chain_heads(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Oid relid = events_relid();
  Organizations readable = require_reading(relid);
  Relation relation = table_open(relid, AccessShareLock);
  Oid index = event_table(relation)->sequence_index;
  if (!OidIsValid(index)) report_no_index(relation);
  EventScan scan;
  scan.begin(relation, index, 1);
  ScanKeyData key;
  if (readable.all) {
    // From the end of one chain to the end of the one before, whatever lies between.
    Uuid last;
    last.fill(0xff);
    ScanKeyInit(&key, 1, BTLessEqualStrategyNumber, F_UUID_LE, uuid_datum(last));
    for (;;) {
      scan.find(&key);
      TupleTableSlot *slot = scan.next(BackwardScanDirection);
      if (slot == nullptr) break;
      put_head(result, event_table(relation), slot);
      bool null;
      last = uuid_of(slot_getattr(slot, event_table(relation)->attnum[static_cast<int>(Column::organization_id)], &null));
      pfree(DatumGetPointer(key.sk_argument));
      ScanKeyInit(&key, 1, BTLessStrategyNumber, F_UUID_LT, uuid_datum(last));
    }
  }
  for (int i = 0; i < readable.count; i++) {
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(readable.sorted[i]));
    scan.find(&key);
    TupleTableSlot *slot = scan.next(BackwardScanDirection);
    if (slot != nullptr) put_head(result, event_table(relation), slot);
    pfree(DatumGetPointer(key.sk_argument));
  }
  scan.end();
  table_close(relation, AccessShareLock);
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_refresh_dashboards);
PGDLLEXPORT Datum spine_refresh_dashboards(PG_FUNCTION_ARGS) {
  require_writable("spine.refresh_dashboards()");
  // An older snapshot shows events of this transaction without those before them, which would never be counted.
  if (IsolationUsesXactSnapshot())
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("spine.refresh_dashboards() counts in isolation level READ COMMITTED only"),
                    errhint("BEGIN ISOLATION LEVEL READ COMMITTED, or call it outside of a transaction.")));
  bool hidden = !sees_all_events(GetUserId());
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  run_sql(exclude_others);
  run_sql(count_events);
  bool null;
  int64 counted = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
  SPI_finish();
  rights.end();
  fcinfo->isnull = hidden;
  return Int64GetDatum(counted);
}

PG_FUNCTION_INFO_V1(spine_record_verification);
PGDLLEXPORT Datum spine_record_verification(PG_FUNCTION_ARGS) {
  require_writable("spine.record_verification()");
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  SPI_connect();
  run_sql(verify, {{UUIDOID, PG_ARGISNULL(0) ? static_cast<Datum>(0) : PG_GETARG_DATUM(0), PG_ARGISNULL(0)}});
  SPITupleTable *verified = SPI_tuptable;
  OwnersRights rights;
  rights.begin();
  for (uint64 i = 0; i < verified->numvals; i++) {
    CHECK_FOR_INTERRUPTS();
    Datum value[summary_columns];
    bool null[summary_columns];
    heap_deform_tuple(verified->vals[i], verified->tupdesc, value, null);
    tuplestore_putvalues(result->setResult, result->setDesc, value, null);
    // Rows that cannot say whose they are, and chains of which nothing was checked, have no place there.
    if (null[summary_organization] || null[summary_intact]) continue;
    run_sql(record_one, {{UUIDOID, value[summary_organization]},
                         {BOOLOID, value[summary_intact]},
                         {INT8OID, value[summary_last], null[summary_last]},
                         {BYTEAOID, value[summary_head], null[summary_head]},
                         {INT8OID, value[summary_faults]}});
  }
  rights.end();
  SPI_finish();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
