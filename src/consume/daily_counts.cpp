// spine.refresh_dashboards, which keeps what the views of counts show.
#include "access/access.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/emit.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/xact.h>
#include <miscadmin.h>
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

}  // namespace

extern "C" {

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

}  // extern "C"

}  // namespace spine
