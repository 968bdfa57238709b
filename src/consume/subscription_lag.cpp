// spine.read_subscriptions.
#include "consume/subscription_walk.h"
#include "store/owners_rights.h"

extern "C" {
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/acl.h>
#include <utils/timestamp.h>
}

namespace spine {

extern "C" {

PG_FUNCTION_INFO_V1(spine_read_subscriptions);
PGDLLEXPORT Datum spine_read_subscriptions(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Organizations readable = require_reading(events_relid());
  Oid role = GetUserId();
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  uint64 count = run_sql(
      "SELECT s.organizations, s.domains, s.event_types, s.entity_types, s.actors, s.minimum_severity, s.redeliver_after, s.created_at, s.name, s.owner,"
      " b.outstanding, b.oldest, b.redeliveries FROM spine.subscriptions s"
      " LEFT JOIN LATERAL (SELECT pg_catalog.count(*) AS outstanding, pg_catalog.min(taken_at) AS oldest,"
      " coalesce(pg_catalog.sum(delivery - 1), 0)::bigint AS redeliveries FROM spine.subscription_batches WHERE subscription = s.name"
      " AND ($1 IS NULL OR organizations <@ $1)) b ON true ORDER BY s.name",
      {array_of(readable)});
  SPITupleTable *rows = SPI_tuptable;
  ChainScan scan;
  scan.begin(bit(Column::timestamp));
  for (uint64 i = 0; i < count; i++) {
    SPI_tuptable = rows;
    Datum owner = field(i, 10);
    if (!has_privs_of_role(role, DatumGetObjectId(owner))) continue;
    Subscription subscription;
    subscription.read(i, 1);
    bool no_batches;
    Datum values[11] = {field(i, 9), owner, 0, subscription.redeliver_after, field(i, 8), 0, 0, 0, field(i, 11), field(i, 12, &no_batches), field(i, 13)};
    int64 behind = 0, organizations = 0;
    TimestampTz oldest = PG_INT64_MAX;
    Visited visited;
    visited.restrict_to(readable, subscription.organizations);
    walk(text_to_cstring(DatumGetTextPP(values[0])), visited, &scan, last_uuid, [&](const Uuid &organization, int64 position, bool) {
      if (scan.event().has(Column::timestamp)) oldest = Min(oldest, scan.event().timestamp - unix_time(0));
      scan.seek(organization, position, organization);
      if (scan.last()) behind += scan.event().sequence - position;
      organizations++;
      return true;
    });
    values[2] = BoolGetDatum(subscription.is_filtered());
    values[5] = Int64GetDatum(behind);
    values[6] = Int64GetDatum(organizations);
    values[7] = TimestampTzGetDatum(oldest);
    bool nulls[11] = {};
    nulls[7] = oldest == PG_INT64_MAX;
    nulls[9] = no_batches;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  scan.end();
  SPI_finish();
  rights.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
