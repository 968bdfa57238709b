-- spine.to_cloudevent: the official SDK reads it in test/vectors.
CREATE TEMP TABLE worked AS SELECT (
  '019bd5a0-1234-7abc-8def-0123456789ab', 'hcm.employee.created', 'hcm', 'employee', '00000000-0000-4000-8000-0000000000e1',
  'created', '00000000-0000-4000-8000-0000000000a1', 'human', '00000000-0000-4000-8000-000000000001', 'prod',
  '2026-01-19 09:30:00+00', 'low', '{"name": "Ada", "salary": 120000.50, "department": "d-7"}', 1, '771', 'payroll',
  decode(repeat('00', 32), 'hex'), decode('8ba6cfb11b77aadd42fdbe0355774209951c657d7a19c7fbcb6fa7fcc866ea72', 'hex'),
  '\x000102030405060708090a0b0c0d0e0f'::bytea, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::spine.events AS e;
\pset format unaligned
SELECT key, value FROM worked, jsonb_each(spine.to_cloudevent(e)) ORDER BY key COLLATE "C";

-- Names of attributes are as CloudEvents has them.
SELECT key AS is_no_name FROM worked, jsonb_each(spine.to_cloudevent(e)) WHERE key !~ '^[a-z0-9]{1,20}$';
-- Nothing of the event is lost: the columns come back, and with them the hash. No digit of a number either.
CREATE FUNCTION pg_temp.event_of(c jsonb) RETURNS spine.events LANGUAGE sql AS $$
  SELECT jsonb_populate_record(NULL::spine.events, jsonb_build_object('id', c -> 'id', 'event_type', c -> 'type', 'domain', c -> 'domain',
    'entity_type', c -> 'entitytype', 'entity_id', c -> 'entityid', 'action', c -> 'action', 'actor_id', c -> 'actorid', 'actor_type', c -> 'actortype',
    'organization_id', c -> 'organizationid', 'environment', c -> 'environment', 'timestamp', c -> 'time', 'severity', c -> 'severity',
    'payload', c -> 'data', 'sequence', c -> 'sequence', 'transaction_id', c -> 'transactionid', 'recorded_by', c -> 'recordedby',
    'previous_hash', '\x' || (c ->> 'previoushash'), 'event_hash', '\x' || (c ->> 'eventhash'))
    || jsonb_build_object('payload_salt', '\x' || (c ->> 'payloadsalt'), 'payload_hash', '\x' || (c ->> 'payloadhash'), 'personal_hash', '\x' || (c ->> 'personalhash'),
      'occurred_at', c -> 'occurredat', 'correlation_id', c -> 'correlationid', 'causation_id', c -> 'causationid')) $$;
SELECT pg_temp.event_of(spine.to_cloudevent(e)) = e AS comes_back, spine.event_digest(pg_temp.event_of(spine.to_cloudevent(e))) = (e).event_hash AS hashes FROM worked;
SELECT spine.to_cloudevent(jsonb_populate_record(e, jsonb_build_object('payload', p))) ->> 'data' AS data FROM worked,
  unnest(ARRAY['{}', '{"n": [12345678901234567890, 0.1000000000000000055, 1.50, -0.0, 1e-7, {"": [[], {}, null, true, "\ud83d\ude00\u0001"]}]}']::jsonb[]) p;
-- Of a payload that lies in the TOAST table, compressed or not; "sequence" sorts as the numbers do; years 1 and 9999.
BEGIN;
SELECT spine.emit_event('cloud.toast.kept', entity_id => '00000000-0000-4000-8000-0000000000e1', actor_id => '00000000-0000-4000-8000-0000000000a1',
  organization_id => '00000000-0000-4000-8000-0000000000ce', payload => p) IS NOT NULL AS emitted
  FROM unnest(ARRAY[jsonb_build_object('x', repeat('x', 100000)),
    (SELECT jsonb_object_agg(i, md5(i::text)) FROM generate_series(1, 1000) i), '{"short": 1}']) p;
SELECT sequence, spine.to_cloudevent(e) -> 'data' = payload AS same, pg_temp.event_of(spine.to_cloudevent(e)) = e AS comes_back
  FROM spine.events e WHERE domain = 'cloud' ORDER BY spine.to_cloudevent(e) ->> 'sequence' COLLATE "C";
ROLLBACK;
SELECT c ->> 'sequence' AS sequence, c ->> 'time' AS time, c ->> 'transactionid' AS transactionid FROM (VALUES (2, '0001-01-01 00:00:00+00', '0'), (10, '1969-12-31 23:59:59.999999+00', '771'),
  (9223372036854775807, '9999-12-31 23:59:59.999999+00', '18446744073709551615')) v(s, t, x), worked,
  LATERAL spine.to_cloudevent(jsonb_populate_record(e, jsonb_build_object('sequence', s, 'timestamp', t, 'transaction_id', x))) c ORDER BY c ->> 'sequence' COLLATE "C";
-- A column that is NULL has no attribute.
SELECT spine.to_cloudevent(ROW(NULL, 'a.b.c', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'high', NULL, 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::spine.events);
SELECT spine.to_cloudevent(NULL) IS NULL AS of_null;

-- What speaks of persons stays inside: its hash is enough to check the event. So does the hash of what was erased.
BEGIN;
SELECT spine.emit_event('cloud.person.named', entity_id => '00000000-0000-4000-8000-0000000000e1', actor_id => '00000000-0000-4000-8000-0000000000a1',
  organization_id => '00000000-0000-4000-8000-0000000000ce', personal => '{"name": "Ada"}', occurred_at => '2026-01-18 10:30:00+01',
  correlation_id => '00000000-0000-4000-8000-0000000000c1', causation_id => '00000000-0000-4000-8000-0000000000c2') IS NOT NULL AS emitted;
SELECT spine.to_cloudevent(e)::text LIKE '%Ada%' AS names_her, spine.to_cloudevent(e) ->> 'occurredat' AS occurredat, spine.to_cloudevent(e) ->> 'correlationid' AS correlationid,
  spine.to_cloudevent(e) ->> 'causationid' AS causationid, spine.event_digest(pg_temp.event_of(spine.to_cloudevent(e))) = event_hash AS hashes FROM spine.events e WHERE domain = 'cloud';
SELECT spine.to_cloudevent(erased) ? 'data' AS has_data, spine.event_digest(pg_temp.event_of(spine.to_cloudevent(erased))) = (erased).event_hash AS hashes
  FROM spine.events e, jsonb_populate_record(e, jsonb_build_object('payload', NULL, 'payload_salt', NULL, 'personal', NULL, 'personal_salt', NULL,
    'payload_hash', sha256(payload_salt || convert_to(spine.canonical_json(payload), 'UTF8')),
    'personal_hash', sha256(personal_salt || convert_to(spine.canonical_json(personal), 'UTF8')))) erased WHERE e.domain = 'cloud';
ROLLBACK;

-- For readers: a feed of CloudEvents.
BEGIN;
CREATE ROLE cloud_reader;
SELECT spine.grant_reader('cloud_reader', ARRAY['00000000-0000-4000-8000-0000000000ce']::uuid[]);
SELECT count(spine.emit_event('cloud.feed.read', entity_id => o, actor_id => o, organization_id => o))
  FROM unnest(ARRAY['00000000-0000-4000-8000-0000000000ce', '00000000-0000-4000-8000-0000000000cf']::uuid[]) o;
SET LOCAL ROLE cloud_reader;
SELECT spine.to_cloudevent(e) ->> 'type' AS type, spine.to_cloudevent(e) ->> 'sequence' AS sequence
  FROM unnest(ARRAY['00000000-0000-4000-8000-0000000000ce', '00000000-0000-4000-8000-0000000000cf']::uuid[]) o, spine.read_events(o) e;
ROLLBACK;

-- Nothing in the session changes it.
SELECT spine.to_cloudevent(e) AS cloud FROM worked \gset
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'German, DMY';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET search_path = pg_temp, public;
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000000ff';
SELECT spine.to_cloudevent(e) = :'cloud' AS same FROM worked;
