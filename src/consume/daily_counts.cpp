// spine.refresh_dashboards, which keeps what the views of counts show.
//
// An exact count needs for each chain how far it is counted: spine.counted_chains. Which chains have news, the index on id tells:
// ids rise with the clock. A transaction takes its number before it makes the first id, so once all transactions before a number have
// ended, no event can come any more whose id is older than the moment before that number was the next. Up to there
// (counted_before) everything is counted, and the views look from there on. What comes later than its id says (a row that
// is restored or replicated, a clock that was set back) is found chain by chain: some of them at each call, in turn.
#include "access/access.h"
#include "core/uuid.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/emit.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/table.h>
#include <access/tableam.h>
#include <access/transam.h>
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
#include <utils/xid8.h>
}

namespace spine {

namespace {

constexpr int64 step_events = 100000;
constexpr int64 step_chains = 1000;

// The row is locked to the end of the transaction.
constexpr const char *make_progress_row = R"sql(
INSERT INTO spine.dashboard_progress (counted_before, next_chain) VALUES ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000')
ON CONFLICT (one) DO NOTHING
)sql";
constexpr const char *lock_progress = "SELECT FROM spine.dashboard_progress FOR UPDATE";

// Whether a transaction with a number before $1 is still under way; $2: the caller's own, where it had one when it called. A snapshot
// lists those that are before the last one that has ended: behind it, all are under way.
#define ANY_BEFORE(number, own)                                                                                  \
  "(pg_snapshot_xmax(pg_current_snapshot()) < " number " OR coalesce(" own " < " number ", false)"               \
  " OR EXISTS (SELECT FROM pg_snapshot_xip(pg_current_snapshot()) x WHERE x < " number "))"
constexpr const char *any_before = "SELECT " ANY_BEFORE("$1", "$2");

// Begins to count from counted_before, unless that is under way. $1: the least id of now, $2: the transaction that is next, $3:
// whether all before it have ended, $4: the caller's own number where it had one before, $5: the least id to look at again, $6:
// likewise, where the clock was set back.
constexpr const char *begin_counting = R"sql(
UPDATE spine.dashboard_progress p SET
  counted_before = least(p.counted_before, b.again),
  next_id = least(coalesce(p.next_id, p.counted_before), b.again),
  counted_then = CASE WHEN p.next_id IS NULL THEN least(coalesce(b.reached, p.counted_before), $1) ELSE least(p.counted_then, $1) END,
  next_before = CASE WHEN b.is_over THEN $1 ELSE p.next_before END,
  next_transaction = CASE WHEN b.is_over THEN $2 ELSE p.next_transaction END
  FROM (SELECT least($5, CASE WHEN $1 < o.counted_before THEN $6 END) AS again, o.is_over,
               CASE WHEN $3 THEN $1 WHEN o.is_over THEN o.next_before END AS reached
          FROM (SELECT n.*, n.next_transaction IS NULL OR n.next_transaction > $2 OR NOT )sql" ANY_BEFORE("n.next_transaction", "$4") R"sql( AS is_over
                  FROM spine.dashboard_progress n) o) b
)sql";
#undef ANY_BEFORE

// Chains with events that are not counted, of $1 that are next in turn; behind one that has more than $2 of them, none. They are seen
// before count_events is run, so that it sees all that they have.
constexpr const char *look_through_chains = R"sql(
WITH seen AS MATERIALIZED (
  SELECT h.organization_id, h.sequence, h.sequence - coalesce((SELECT c.sequence FROM spine.counted_chains c WHERE c.organization_id = h.organization_id), 0) AS uncounted
    FROM spine.dashboard_progress p, spine.read_chain_heads(p.next_chain, $1) h
), long AS (SELECT organization_id FROM seen WHERE uncounted > $2 ORDER BY organization_id LIMIT 1),
moved AS (
  UPDATE spine.dashboard_progress SET next_chain =
    CASE WHEN EXISTS (SELECT FROM long)
           THEN coalesce((SELECT s.organization_id FROM seen s, long l WHERE s.organization_id < l.organization_id ORDER BY 1 DESC LIMIT 1), next_chain)
         WHEN (SELECT count(*) FROM seen) < $1 THEN '00000000-0000-0000-0000-000000000000'
         ELSE (SELECT organization_id FROM seen ORDER BY 1 DESC LIMIT 1) END
)
SELECT array_agg(s.organization_id), array_agg(s.sequence) FROM seen s
 WHERE s.uncounted > 0 AND NOT EXISTS (SELECT FROM long l WHERE s.organization_id > l.organization_id)
)sql";

// The next events by id, and of their chains all that come before them and are not counted: mostly none, so that they need not be
// looked for. $1: so many of each, $2 and $3: chains to count besides.
constexpr const char *count_events = R"sql(
WITH found AS MATERIALIZED (
  SELECT e.id, e.organization_id, e.sequence, (e."timestamp" AT TIME ZONE 'UTC')::date AS day, e.event_type, e.severity, e.actor_type, e.actor_id
    FROM spine.events e WHERE e.id >= $4 ORDER BY e.id LIMIT $1
), reached AS MATERIALIZED (
  SELECT r.organization_id, r.upto, r.events, r.first, coalesce((SELECT c.sequence FROM spine.counted_chains c WHERE c.organization_id = r.organization_id), 0) AS counted
    FROM (SELECT organization_id, max(sequence) AS upto, count(*) AS events, min(sequence) AS first FROM found GROUP BY organization_id
          UNION ALL SELECT organization_id, sequence, 0, 0 FROM unnest($2, $3) AS s (organization_id, sequence)
           WHERE NOT EXISTS (SELECT FROM found f WHERE f.organization_id = s.organization_id)) r
), chain AS MATERIALIZED (
  SELECT organization_id, counted, least(upto, counted + $1) AS upto, upto > counted + $1 AS is_part, first > counted AND events = upto - counted AS is_found
    FROM reached WHERE upto > counted
), fresh AS MATERIALIZED (
  SELECT f.organization_id, f.day, f.event_type, f.severity, f.actor_type, f.actor_id FROM found f JOIN chain c USING (organization_id) WHERE c.is_found
  UNION ALL
  SELECT c.organization_id, e.day, e.event_type, e.severity, e.actor_type, e.actor_id
    FROM chain c
   CROSS JOIN LATERAL (SELECT (i."timestamp" AT TIME ZONE 'UTC')::date AS day, i.event_type, i.severity, i.actor_type, i.actor_id FROM spine.events i
                        WHERE i.organization_id = c.organization_id AND i.sequence > c.counted AND i.sequence <= c.upto OFFSET 0) e
   WHERE NOT c.is_found
), types AS (
  INSERT INTO spine.daily_counts AS d (organization_id, day, event_type, severity, events)
  SELECT organization_id, day, event_type, severity, count(*) FROM fresh GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
  ON CONFLICT (organization_id, day, event_type, severity) DO UPDATE SET events = d.events + excluded.events
), actors AS (
  INSERT INTO spine.daily_actor_counts AS d (organization_id, day, actor_type, actor_id, events)
  SELECT organization_id, day, actor_type, actor_id, count(*) FROM fresh GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
  ON CONFLICT (organization_id, day, actor_type, actor_id) DO UPDATE SET events = d.events + excluded.events
), totals AS (
  INSERT INTO spine.daily_totals AS d (day, event_type, severity, actor_type, events)
  SELECT day, event_type, severity, actor_type, count(*) FROM fresh GROUP BY 1, 2, 3, 4
  ON CONFLICT (day, event_type, severity, actor_type) DO UPDATE SET events = d.events + excluded.events
), chains AS (
  INSERT INTO spine.counted_chains AS c (organization_id, sequence)
  SELECT organization_id, upto FROM chain ORDER BY 1
  ON CONFLICT (organization_id) DO UPDATE SET sequence = excluded.sequence
)
SELECT (SELECT count(*) FROM fresh), (SELECT count(*) FROM found), (SELECT id FROM found ORDER BY id DESC LIMIT 1),
       EXISTS (SELECT FROM chain WHERE is_part)
)sql";

// $1: where to go on; NULL: nothing is left.
constexpr const char *end_step = R"sql(
UPDATE spine.dashboard_progress SET next_id = $1, counted_before = CASE WHEN $1 IS NULL THEN counted_then ELSE counted_before END
)sql";

Datum first_row(int column, bool *null) { return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, null); }

bool run_test(const char *statement, std::initializer_list<SqlArgument> arguments) {
  bool null;
  run_sql(statement, arguments);
  return DatumGetBool(first_row(1, &null));
}

// The least id that can be made at a moment.
Datum least_id(TimestampTz moment) {
  static constexpr uint8_t none[8] = {};
  return uuid_datum(make_uuid_v7(static_cast<uint64_t>(Max(unix_time(moment), 0)), none));
}

// One step; looks: also through some chains, and again while one has more events than a step takes. False: nothing is left.
bool count_some(int64 most, bool *looks, int64 *counted) {
  bool null, none_found;
  run_sql("SELECT next_id FROM spine.dashboard_progress");
  SqlArgument from{UUIDOID, first_row(1, &null)};
  SqlArgument organizations{UUIDARRAYOID, static_cast<Datum>(0), true}, sequences{INT8ARRAYOID, static_cast<Datum>(0), true};
  if (*looks) {
    run_sql(look_through_chains, {{INT8OID, Int64GetDatum(step_chains)}, {INT8OID, Int64GetDatum(most)}});
    organizations.value = first_row(1, &organizations.null);
    sequences.value = first_row(2, &sequences.null);
  }
  run_sql(count_events, {{INT8OID, Int64GetDatum(most)}, organizations, sequences, from});
  *counted += DatumGetInt64(first_row(1, &null));
  bool is_end = DatumGetInt64(first_row(2, &null)) < most;
  Datum last = first_row(3, &none_found);
  bool is_part = DatumGetBool(first_row(4, &null));
  *looks = *looks && is_part;
  SqlArgument next = from;
  if (!is_part && is_end)
    next.null = true;
  else if (!is_part)
    next.value = uuid_datum(uuid_after(uuid_of(last)));
  run_sql(end_step, {next});
  return !next.null;
}

// Those who emit do so in milliseconds, most of them.
bool wait_for_all_before(const SqlArgument &next, const SqlArgument &mine) {
  for (int looks = 0; run_test(any_before, {next, mine}); looks++) {
    if (looks == 50) return false;
    CHECK_FOR_INTERRUPTS();
    pg_usleep(1000);
  }
  return true;
}

}  // namespace

extern "C" {

// As the query that asks sees it, so that it fits to what that sees of the counts.
PG_FUNCTION_INFO_V1(spine_uncounted_from);
PGDLLEXPORT Datum spine_uncounted_from(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  constexpr AttrNumber counted_before = 2;
  Uuid from = nil_uuid;
  Relation relation = open_kept_table(spine_table("dashboard_progress"), {BOOLOID, UUIDOID});
  if (relation == nullptr) return uuid_datum(from);
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
  bool null = true;
  if (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    Datum value = slot_getattr(slot, counted_before, &null);
    if (!null) from = uuid_of(value);
  }
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  table_close(relation, AccessShareLock);
  return uuid_datum(from);
}

PG_FUNCTION_INFO_V1(spine_refresh_dashboards);
PGDLLEXPORT Datum spine_refresh_dashboards(PG_FUNCTION_ARGS) {
  require_writable("spine.refresh_dashboards()");
  // An older snapshot shows events of this transaction without those before them, which would never be counted.
  if (IsolationUsesXactSnapshot())
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("spine.refresh_dashboards() counts in isolation level READ COMMITTED only"),
                    errhint("BEGIN ISOLATION LEVEL READ COMMITTED, or call it outside of a transaction.")));
  bool is_bounded = !PG_ARGISNULL(0);
  int64 most = is_bounded ? PG_GETARG_INT64(0) : step_events;
  if (most < 1)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RANGE), errmsg("max_events is " INT64_FORMAT, most),
                    errhint("Pass how many events to count at most, 1 or more, or NULL for all.")));
  bool hidden = !sees_all_events(GetUserId());
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  FullTransactionId own = GetTopFullTransactionIdIfAny();
  SqlArgument mine{XID8OID, FullTransactionIdGetDatum(own), !FullTransactionIdIsValid(own)};
  // In this order, and before this transaction has a number: whoever has a later one makes later ids.
  SqlArgument now{UUIDOID, least_id(GetCurrentTimestamp())};
  SqlArgument next{XID8OID, FullTransactionIdGetDatum(ReadNextFullTransactionId())};
  // What a step sorts and joins stays in memory.
  int settings_level = NewGUCNestLevel();
  (void)set_config_option("work_mem", "64MB", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  run_sql(make_progress_row);
  run_sql(lock_progress);
  SqlArgument since{UUIDOID, PG_ARGISNULL(1) ? static_cast<Datum>(0) : least_id(PG_GETARG_TIMESTAMPTZ(1)), PG_ARGISNULL(1)};
  SqlArgument is_over{BOOLOID, BoolGetDatum(wait_for_all_before(next, mine))};
  SqlArgument yesterday{UUIDOID, least_id(GetCurrentTimestamp() - USECS_PER_DAY)};
  run_sql(begin_counting, {now, next, is_over, mine, since, yesterday});
  int64 counted = 0;
  bool more, looks = true;
  do {
    CHECK_FOR_INTERRUPTS();
    more = count_some(most, &looks, &counted);
  } while (more && !is_bounded);
  SPI_finish();
  rights.end();
  AtEOXact_GUC(true, settings_level);
  Datum values[] = {Int64GetDatum(counted), BoolGetDatum(more)};
  bool nulls[] = {hidden, false};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
