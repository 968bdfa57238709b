// spine.to_ocsf: an event as the Open Cybersecurity Schema Framework has it. One expression, planned once a session.
#include "server/sql.h"
#include "store/event_table.h"

extern "C" {
#include <catalog/pg_type.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

// $1: the event, $2: as_compliance. What has no value has no member, but in unmapped, which holds what OCSF has no place for.
constexpr const char *expression = R"sql(
  SELECT jsonb_strip_nulls(jsonb_build_object(
      'category_uid', k.class / 1000, 'category_name', CASE k.class WHEN 3004 THEN 'Identity & Access Management' ELSE 'Findings' END,
      'class_uid', k.class, 'class_name', CASE k.class WHEN 2003 THEN 'Compliance Finding' WHEN 2004 THEN 'Detection Finding' ELSE 'Entity Management' END,
      'activity_id', a.activity, 'type_uid', k.class * 100 + a.activity,
      'activity_name', CASE a.activity WHEN 99 THEN event.action WHEN 1 THEN 'Create' WHEN 4 THEN 'Delete' WHEN 2 THEN CASE k.class WHEN 3004 THEN 'Read' ELSE 'Update' END
                                       ELSE CASE k.class WHEN 3004 THEN 'Update' ELSE 'Close' END END,
      'severity_id', CASE event.severity WHEN 'low' THEN 2 WHEN 'medium' THEN 3 WHEN 'high' THEN 4 ELSE 5 END, 'severity', initcap(event.severity::text),
      'time', m.chained, 'message', CASE k.class WHEN 3004 THEN event.event_type ELSE coalesce(event.payload ->> 'sentence', event.payload ->> 'reason') END,
      'actor', jsonb_build_object('user', jsonb_build_object('uid', event.actor_id,
        'type_id', CASE event.actor_type WHEN 'human' THEN 1 WHEN 'system' THEN 3 ELSE 99 END, 'type', CASE event.actor_type WHEN 'human' THEN 'User' ELSE initcap(event.actor_type::text) END)),
      'metadata', jsonb_build_object('version', '1.5.0', 'uid', event.id, 'event_code', event.event_type, 'sequence', event.sequence, 'tenant_uid', event.organization_id,
        'correlation_uid', event.correlation_id, 'original_time', to_jsonb(event.occurred_at AT TIME ZONE 'UTC') #>> '{}' || 'Z', 'logged_time', m.chained,
        'log_name', 'spine.events', 'product', jsonb_build_object('name', 'people_os_spine', 'vendor_name', 'people_os_spine')),
      'raw_data', spine.canonical_event($1), 'raw_data_hash', jsonb_build_object('algorithm_id', 3, 'algorithm', 'SHA-256', 'value', encode(event.event_hash, 'hex')))
    || CASE k.class WHEN 3004 THEN jsonb_build_object('entity', jsonb_build_object('uid', event.entity_id, 'type', event.domain || '.' || event.entity_type))
       ELSE jsonb_build_object(
         'status_id', CASE event.action WHEN 'raised' THEN 1 WHEN 'confirmed' THEN 2 WHEN 'dismissed' THEN 3 ELSE 4 END,
         'status', CASE event.action WHEN 'raised' THEN 'New' WHEN 'confirmed' THEN 'In Progress' WHEN 'dismissed' THEN 'Suppressed' ELSE 'Resolved' END,
         'comment', event.payload ->> 'reason',
         'finding_info', jsonb_build_object('uid', event.entity_id, 'title', coalesce(event.payload ->> 'title', event.payload ->> 'rule'), 'desc', event.payload ->> 'sentence',
           'analytic', jsonb_build_object('type_id', 1, 'type', 'Rule', 'uid', event.payload ->> 'rule', 'name', event.payload ->> 'rule', 'version', event.payload ->> 'rule_version'),
           'created_time', CASE event.action WHEN 'raised' THEN m.chained END,
           'first_seen_time', floor(extract(epoch FROM (event.payload ->> 'from')::timestamptz) * 1000)::bigint,
           'last_seen_time', floor(extract(epoch FROM (event.payload ->> 'to')::timestamptz) * 1000)::bigint,
           'related_events_count', event.payload #> '{numbers,events}',
           'related_events', (SELECT jsonb_agg(jsonb_build_object('uid', event.organization_id || '/' || (e.value ->> 'sequence')) ORDER BY e.ordinality)
                                FROM jsonb_array_elements(event.payload -> 'events') WITH ORDINALITY e)))
         || CASE k.class WHEN 2003 THEN jsonb_build_object('compliance', jsonb_build_object('standards', event.payload -> 'control',
              'control', event.payload ->> 'rule', 'status_id', CASE event.action WHEN 'dismissed' THEN 1 WHEN 'closed' THEN 2 ELSE 3 END,
              'status', CASE event.action WHEN 'dismissed' THEN 'Pass' WHEN 'closed' THEN 'Warning' ELSE 'Fail' END)) ELSE '{}' END END)
    || jsonb_build_object('unmapped', jsonb_build_object('payload', event.payload, 'environment', event.environment, 'recorded_by', event.recorded_by,
         'causation_id', event.causation_id, 'payload_salt', encode(event.payload_salt, 'hex')))
  FROM (SELECT ($1).*) event,
       LATERAL (SELECT CASE WHEN event.domain <> 'platform' OR event.entity_type <> 'finding' THEN 3004
                    WHEN $2 AND jsonb_typeof(event.payload -> 'control') = 'array' AND event.payload -> 'control' <> '[]' THEN 2003 ELSE 2004 END AS class) k,
       LATERAL (SELECT CASE WHEN k.class = 3004 THEN CASE WHEN event.action IN ('created', 'added', 'hired', 'opened', 'submitted', 'granted', 'placed') THEN 1
                                                          WHEN event.action IN ('read', 'viewed', 'exported') THEN 2
                                                          WHEN event.action IN ('updated', 'changed', 'set') THEN 3
                                                          WHEN event.action IN ('deleted', 'removed', 'erased', 'revoked') THEN 4 ELSE 99 END
                            ELSE CASE event.action WHEN 'raised' THEN 1 WHEN 'confirmed' THEN 2 ELSE 3 END END AS activity) a,
       LATERAL (SELECT floor(extract(epoch FROM event."timestamp") * 1000)::bigint AS chained) m
)sql";

SPIPlanPtr plan;
Oid planned_for;  // the type of events: an extension that was made anew has another

void prepare(Oid type) {
  if (plan != nullptr && planned_for == type) return;
  Oid types[] = {type, BOOLOID};
  SPIPlanPtr made = SPI_prepare(expression, lengthof(types), types);
  (void)SPI_keepplan(made);
  if (plan != nullptr) (void)SPI_freeplan(plan);
  plan = made;
  planned_for = type;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_to_ocsf);
PGDLLEXPORT Datum spine_to_ocsf(PG_FUNCTION_ARGS) {
  MemoryContext outer = CurrentMemoryContext;
  SPI_connect();
  prepare(get_rel_type_id(events_relid()));
  Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
  (void)SPI_execute_plan(plan, values, nullptr, true, 1);
  bool null;
  Datum found = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
  MemoryContext connected = MemoryContextSwitchTo(outer);
  Datum copy = PointerGetDatum(PG_DETOAST_DATUM_COPY(found));
  MemoryContextSwitchTo(connected);
  SPI_finish();
  PG_RETURN_DATUM(copy);
}

}  // extern "C"

}  // namespace spine
