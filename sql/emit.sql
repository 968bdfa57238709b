-- spine.emit_event and spine.emit_events: what they store, and from where.
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000e0001';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';

-- The call of the specification.
SELECT spine.emit_event(
  event_type => 'hcm.employee.created', entity_type => 'employee',
  entity_id => '00000000-0000-4000-8000-0000000000e1', action => 'created',
  actor_id => '00000000-0000-4000-8000-0000000000a2',
  payload => '{"name": "Ada", "department": "d-7"}') IS NOT NULL AS emitted;

-- Every default, then every argument.
SELECT spine.emit_event('hcm.employee.updated', entity_id => '00000000-0000-4000-8000-0000000000e1') IS NOT NULL AS emitted;
SELECT spine.emit_event('hcm.employee.left', 'employee', '00000000-0000-4000-8000-0000000000e1', 'left',
  '00000000-0000-4000-8000-0000000000a3', '{"reason": "retired"}', '00000000-0000-4000-8000-0000000e0002',
  'pipeline', 'critical', 'test') IS NOT NULL AS emitted;
-- NULL means omitted.
SELECT spine.emit_event('hcm.employee.updated', NULL, '00000000-0000-4000-8000-0000000000e1', NULL, NULL, NULL, NULL,
  NULL, NULL, NULL) IS NOT NULL AS emitted;
SET people_os_spine.actor_type = 'system';
SELECT spine.emit_event('hcm.employee.updated', entity_id => '00000000-0000-4000-8000-0000000000e1') IS NOT NULL AS emitted;
RESET people_os_spine.actor_type;

SELECT sequence, event_type, domain, entity_type, action, entity_id, actor_id, actor_type, organization_id, environment,
       severity, payload
  FROM spine.events WHERE organization_id::text LIKE '%0e000_' ORDER BY organization_id, sequence;

-- What the spine gives.
SELECT sequence,
       substr(id::text, 15, 1) AS version,
       abs(extract(epoch FROM now()) - ('x' || translate(substr(id::text, 1, 13), '-', ''))::bit(48)::bigint / 1000.0) < 60 AS id_is_recent,
       "timestamp" BETWEEN now() - interval '1 minute' AND clock_timestamp() AS timestamp_is_recent,
       recorded_by = session_user AS recorded_by_session_user,
       octet_length(event_hash) AS hash_size,
       previous_hash = coalesce(lag(event_hash) OVER (ORDER BY sequence), decode(repeat('00', 32), 'hex')) AS linked,
       event_hash = sha256(convert_to(spine.canonical_event(e), 'UTF8')) AS hashed,
       event_hash = spine.event_digest(e) AS digest_agrees
  FROM spine.events e WHERE organization_id = '00000000-0000-4000-8000-0000000e0001' ORDER BY sequence;
SELECT count(DISTINCT id) = count(*) AS ids_differ FROM spine.events;

-- The transaction is the top-level one, and ids carry the moment of emitting, in order.
BEGIN;
SAVEPOINT s;
SELECT spine.emit_event('a.b.in_savepoint', entity_id => spine.entity_uuid('a', 'b', '1')) IS NOT NULL AS emitted;
RELEASE s;
SELECT transaction_id = pg_current_xact_id() AS top_level FROM spine.events WHERE action = 'in_savepoint';
COMMIT;

-- A business row and its event commit together, and roll back together.
CREATE TABLE emit_business (name text);
BEGIN;
INSERT INTO emit_business VALUES ('kept');
SELECT spine.emit_event('a.b.kept', entity_id => spine.entity_uuid('a', 'b', '1')) IS NOT NULL AS emitted;
COMMIT;
BEGIN;
INSERT INTO emit_business VALUES ('dropped');
SELECT spine.emit_event('a.b.dropped', entity_id => spine.entity_uuid('a', 'b', '1')) IS NOT NULL AS emitted;
ROLLBACK;
SELECT * FROM emit_business;
SELECT action, sequence FROM spine.events WHERE action IN ('kept', 'dropped') AND organization_id::text LIKE '%e000_';

-- An error in a block is a savepoint that is rolled back: no gap.
DO $$
BEGIN
  PERFORM spine.emit_event('a.b.one', entity_id => spine.entity_uuid('a', 'b', '1'));
  BEGIN
    PERFORM spine.emit_event('a.b.lost', entity_id => spine.entity_uuid('a', 'b', '1'));
    RAISE 'never mind';
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
  PERFORM spine.emit_event('a.b.two', entity_id => spine.entity_uuid('a', 'b', '1'));
END
$$;
SELECT action, sequence - min(sequence) OVER () AS distance FROM spine.events
 WHERE action IN ('one', 'lost', 'two') AND organization_id::text LIKE '%e000_' ORDER BY sequence;

-- Batches: ids in the order of the array, JSON null means omitted.
CREATE TABLE emit_batch AS
SELECT * FROM spine.emit_events('[
  {"event_type": "batch.item.first", "entity_id": "00000000-0000-4000-8000-0000000000e1", "payload": {"n": 1}},
  {"event_type": "batch.item.second", "entity_id": "{00000000-0000-4000-8000-0000000000E1}", "severity": "high",
   "actor_type": "pipeline", "organization_id": "00000000-0000-4000-8000-0000000e0002"},
  {"event_type": "batch.item.third", "entity_id": "00000000-0000-4000-8000-0000000000e1", "entity_type": "item",
   "action": "third", "actor_id": null, "payload": null, "environment": "test", "organization_id": null}
]') WITH ORDINALITY AS t (id, position);
SELECT position, event_type, severity, actor_type, organization_id, payload
  FROM emit_batch JOIN spine.events USING (id) ORDER BY position;
SELECT count(*) FROM spine.emit_events('[]');
SELECT count(*) FROM (SELECT spine.emit_events('[{"event_type": "a.b.c", "entity_id": "00000000-0000-4000-8000-0000000000e1"}]')) t;

-- In the select list of a large statement.
SELECT count(spine.emit_event('a.b.many', entity_id => spine.entity_uuid('a', 'b', i::text),
  organization_id => ('00000000-0000-4000-8000-0000000e001' || i % 3)::uuid)) FROM generate_series(1, 1000) i;

-- entity_uuid: version 5 under the documented namespace, dots keep the parts apart.
SELECT spine.entity_uuid('hcm', 'employee', '4711') AS documented,
       spine.entity_uuid('hcm', 'employee', '') IS NOT NULL AS empty_key,
       spine.entity_uuid('a', 'b', 'c.d') = spine.entity_uuid('a', 'b', 'c') AS same,
       spine.entity_uuid(NULL, 'b', 'c') IS NULL AS strict;

SELECT organization_id, intact, events, first_sequence, last_sequence, faults FROM spine.verify_chain() WHERE organization_id::text ~ 'e00..$';
DROP TABLE emit_business, emit_batch;

-- A second batch for the same organizations takes no further lock: twice 20 are still 20.
BEGIN;
CREATE TEMP TABLE emit_twenty AS SELECT jsonb_agg(jsonb_build_object('event_type', 'a.b.c', 'entity_id', spine.entity_uuid('a', 'b', i::text),
  'organization_id', '00000000-0000-4000-8000-0000000e02' || lpad(i::text, 2, '0'))) AS events FROM generate_series(1, 20) i;
SELECT count(*) FROM emit_twenty, spine.emit_events(events);
SELECT count(*) FROM emit_twenty, spine.emit_events(events);
SELECT count(*) FILTER (WHERE objsubid = 21328) AS chains, count(*) FILTER (WHERE objsubid = 21330 AND mode = 'ExclusiveLock') AS bulk
  FROM pg_locks WHERE pid = pg_backend_pid();
ROLLBACK;
