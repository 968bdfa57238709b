-- OCSF: events for tools of security

CREATE FUNCTION spine.to_ocsf(event spine.events, as_compliance boolean DEFAULT false) RETURNS jsonb
  LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object(
      'category_uid', k.class / 1000, 'category_name', CASE k.class WHEN 3004 THEN 'Identity & Access Management' ELSE 'Findings' END,
      'class_uid', k.class, 'class_name', CASE k.class WHEN 2003 THEN 'Compliance Finding' WHEN 2004 THEN 'Detection Finding' ELSE 'Entity Management' END,
      'activity_id', a.activity, 'type_uid', k.class * 100 + a.activity,
      'activity_name', CASE a.activity WHEN 99 THEN event.action WHEN 1 THEN 'Create' WHEN 4 THEN 'Delete' WHEN 2 THEN CASE k.class WHEN 3004 THEN 'Read' ELSE 'Update' END
                                       ELSE CASE k.class WHEN 3004 THEN 'Update' ELSE 'Close' END END,
      'severity_id', CASE event.severity WHEN 'low' THEN 2 WHEN 'medium' THEN 3 WHEN 'high' THEN 4 ELSE 5 END, 'severity', initcap(event.severity::text),
      'time', m.chained, 'message', CASE k.class WHEN 3004 THEN event.event_type ELSE coalesce(event.payload ->> 'sentence', event.payload ->> 'reason') END,
      'actor', jsonb_build_object('user', jsonb_build_object('uid', event.actor_id,
        'type_id', CASE event.actor_type WHEN 'human' THEN 1 WHEN 'system' THEN 3 ELSE 99 END, 'type', initcap(event.actor_type::text))),
      'metadata', jsonb_build_object('version', '1.5.0', 'uid', event.id, 'event_code', event.event_type, 'sequence', event.sequence, 'tenant_uid', event.organization_id,
        'correlation_uid', event.correlation_id, 'original_time', to_jsonb(event.occurred_at AT TIME ZONE 'UTC') #>> '{}', 'logged_time', m.chained,
        'log_name', 'spine.events', 'product', jsonb_build_object('name', 'people_os_spine', 'vendor_name', 'people_os_spine')),
      'raw_data', spine.canonical_event(event), 'raw_data_hash', jsonb_build_object('algorithm_id', 3, 'algorithm', 'SHA-256', 'value', encode(event.event_hash, 'hex')))
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
    -- What OCSF has no place for, nulls included.
    || jsonb_build_object('unmapped', jsonb_build_object('payload', event.payload, 'environment', event.environment, 'recorded_by', event.recorded_by,
         'causation_id', event.causation_id, 'payload_salt', encode(event.payload_salt, 'hex')))
  FROM (SELECT CASE WHEN event.domain <> 'platform' OR event.entity_type <> 'finding' THEN 3004
                    WHEN as_compliance AND jsonb_typeof(event.payload -> 'control') = 'array' AND event.payload -> 'control' <> '[]' THEN 2003 ELSE 2004 END AS class) k,
       LATERAL (SELECT CASE WHEN k.class = 3004 THEN CASE WHEN event.action IN ('created', 'added', 'hired', 'opened', 'submitted', 'granted', 'placed') THEN 1
                                                          WHEN event.action IN ('read', 'viewed', 'exported') THEN 2
                                                          WHEN event.action IN ('updated', 'changed', 'set') THEN 3
                                                          WHEN event.action IN ('deleted', 'removed', 'erased', 'revoked') THEN 4 ELSE 99 END
                            ELSE CASE event.action WHEN 'raised' THEN 1 WHEN 'confirmed' THEN 2 ELSE 3 END END AS activity) a,
       LATERAL (SELECT floor(extract(epoch FROM event."timestamp") * 1000)::bigint AS chained) m
$$;
COMMENT ON FUNCTION spine.to_ocsf(spine.events, boolean) IS
  'The event in OCSF 1.5: a finding of the watch as Detection Finding (class 2004), or with as_compliance, where its rule names controls, as '
  'Compliance Finding (2003); any other event as Entity Management (3004). raw_data is what the event''s hash is of, and raw_data_hash '
  'that hash; unmapped holds the payload with its salt, null where it was erased. Nothing of the personal part';
