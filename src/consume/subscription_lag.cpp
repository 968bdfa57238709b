// spine.read_subscriptions and spine.read_set_aside_batches.
#include "consume/subscription_news.h"
#include "consume/subscription_positions.h"
#include "store/owners_rights.h"

extern "C" {
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/acl.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// How far a subscription is behind in organizations that a role may read.
struct Lag {
  int64 events, organizations;
  TimestampTz oldest;  // PG_INT64_MAX: none
  bool counts_all;

  // Any of them, with the scan's wanted columns.
  void look(const Uuid &organization, const Subscription &subscription, PositionScan *positions, ChainScan *scan) {
    int64 position;
    if (!positions->find(organization, &position)) position = subscription.beginning(organization, scan);
    scan->seek(organization, position, organization);
    if (!scan->next()) return;
    if (scan->event().has(Column::timestamp)) oldest = Min(oldest, scan->event().timestamp - unix_time(0));
    scan->seek(organization, position, organization);
    if (scan->last()) events += scan->event().sequence - position;
    organizations++;
  }
};

constexpr int most_looked = 10000;  // organizations of a subscription to all

Lag measure(const Subscription &subscription, const Visited &visited) {
  Lag lag{0, 0, PG_INT64_MAX, true};
  constexpr uint32 wanted = bit(Column::timestamp) | Subscription::origin_columns;
  NewsScan news;
  if (visited.all) news.begin(subscription.name, NewsScan::First::queued, most_looked);
  ChainScan scan;
  scan.begin(wanted);
  PositionScan positions;
  positions.begin(subscription.name);
  for (int i = 0; !visited.all && i < visited.count; i++) lag.look(visited.sorted[i], subscription, &positions, &scan);
  Uuid organization;
  for (int looked = 0; visited.all && lag.counts_all && news.next(&organization); looked++) {
    if (looked == most_looked)
      lag.counts_all = false;
    else
      lag.look(organization, subscription, &positions, &scan);
  }
  if (visited.all && !news.looked_at_all()) lag.counts_all = false;
  positions.end();
  scan.end();
  if (visited.all) news.end();
  return lag;
}

}  // namespace

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
      "SELECT " SPINE_COLUMNS_OF_SUBSCRIPTION ", name, owner, b.outstanding, b.oldest, b.redeliveries, b.set_aside FROM spine.subscriptions s"
      " LEFT JOIN LATERAL (SELECT pg_catalog.count(*) FILTER (WHERE set_aside_at IS NULL) AS outstanding,"
      " pg_catalog.min(taken_at) FILTER (WHERE set_aside_at IS NULL) AS oldest,"
      " coalesce(pg_catalog.sum(greatest(delivery - 1, 0)) FILTER (WHERE set_aside_at IS NULL), 0)::bigint AS redeliveries,"
      " pg_catalog.count(set_aside_at) AS set_aside FROM spine.subscription_batches b WHERE b.subscription = s.name"
      " AND ($1 IS NULL OR b.organizations <@ $1)) b ON true ORDER BY s.name",
      {array_of(readable)});
  SPITupleTable *rows = SPI_tuptable;
  for (uint64 i = 0; i < count; i++) {
    SPI_tuptable = rows;
    Datum owner = field(i, 13);
    if (!has_privs_of_role(role, DatumGetObjectId(owner))) continue;
    Subscription subscription;
    Datum name = field(i, 12);
    subscription.name = text_to_cstring(DatumGetTextPP(name));
    subscription.read(i, 1);
    SPI_tuptable = rows;
    bool no_batches;
    Datum values[13] = {name, owner, BoolGetDatum(subscription.is_filtered()), subscription.redeliver_after, subscription.created_at, 0, 0, 0,
                        field(i, 14), field(i, 15, &no_batches), field(i, 16), field(i, 17), 0};
    Visited visited;
    visited.restrict_to(readable, subscription.organizations);
    Lag lag = measure(subscription, visited);
    values[5] = Int64GetDatum(lag.events);
    values[6] = Int64GetDatum(lag.organizations);
    values[7] = TimestampTzGetDatum(lag.oldest);
    values[12] = BoolGetDatum(lag.counts_all);
    bool nulls[13] = {};
    nulls[7] = lag.oldest == PG_INT64_MAX;
    nulls[9] = no_batches;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  SPI_finish();
  rights.end();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_read_set_aside_batches);
PGDLLEXPORT Datum spine_read_set_aside_batches(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Organizations readable = require_reading(events_relid());
  Oid role = GetUserId();
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  uint64 count = run_sql(
      "SELECT b.subscription, b.batch, b.events, b.delivery, b.taken_by, b.taken_at, b.set_aside_at, b.organizations, b.first_sequences, b.last_sequences,"
      " s.owner FROM spine.subscription_batches b JOIN spine.subscriptions s ON s.name = b.subscription WHERE b.set_aside_at IS NOT NULL"
      " AND ($1 IS NULL OR b.organizations <@ $1) ORDER BY b.subscription, b.batch",
      {array_of(readable)});
  for (uint64 i = 0; i < count; i++) {
    if (!has_privs_of_role(role, DatumGetObjectId(field(i, 11)))) continue;
    Datum values[10];
    bool nulls[10];
    for (int column = 0; column < 10; column++) values[column] = field(i, column + 1, &nulls[column]);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  SPI_finish();
  rights.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
