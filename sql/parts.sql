-- The parts of an event, payload and personal, and what else it may say: when it occurred, what it belongs to, what caused it.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SET people_os_spine.organization_id = '00000000-0000-4000-8000-00000000aa51';
SELECT spine.emit_event('hcm.employee.created', entity_id => '00000000-0000-4000-8000-0000000000e1', payload => '{"grade": 7}',
  personal => '{"name": "Ada"}', occurred_at => '2026-01-18 10:30:00+01', correlation_id => '00000000-0000-4000-8000-0000000000c1',
  causation_id => '00000000-0000-4000-8000-0000000000c2') IS NOT NULL AS emitted;
SELECT count(*) FROM spine.emit_events('[{"event_type": "hcm.employee.updated", "entity_id": "00000000-0000-4000-8000-0000000000e1", "personal": {"name": "Ada L."},
  "occurred_at": "2026-01-18T09:30:00Z", "correlation_id": "00000000-0000-4000-8000-0000000000c1", "causation_id": null},
  {"event_type": "hcm.employee.updated", "entity_id": "00000000-0000-4000-8000-0000000000e1", "personal": null}]');
INSERT INTO spine.events (event_type, entity_id, personal, occurred_at, correlation_id) VALUES
  ('hcm.employee.moved', '00000000-0000-4000-8000-0000000000e1', '{"street": "x"}', '0001-01-01 00:00:00+00', '00000000-0000-4000-8000-0000000000c3');
SELECT sequence, payload, personal, octet_length(payload_salt) AS salt, octet_length(personal_salt) AS personal_salt, payload_hash IS NULL AND personal_hash IS NULL AS whole,
  occurred_at AT TIME ZONE 'UTC' AS occurred_at, right(correlation_id::text, 2) AS correlation, right(causation_id::text, 2) AS causation
  FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-00000000aa51' ORDER BY sequence;

-- Each salt is its own: nobody can tell two equal parts from two others.
SELECT count(DISTINCT salt) = count(*) AS each_its_own FROM (SELECT unnest(ARRAY[payload_salt, personal_salt]) FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-00000000aa51') s (salt) WHERE salt IS NOT NULL;

-- The document has the hash of a part, and a part that is not there has none; an event can be checked in SQL.
SELECT sequence, spine.canonical_event(e)::jsonb ? 'personal_hash' AS has_personal, spine.canonical_event(e) LIKE '%Ada%' AS names_her,
  spine.canonical_event(e)::jsonb ->> 'payload_hash' = encode(sha256(payload_salt || convert_to(spine.canonical_json(payload), 'UTF8')), 'hex') AS payload_hash,
  spine.canonical_event(e)::jsonb ->> 'personal_hash' = encode(sha256(personal_salt || convert_to(spine.canonical_json(personal), 'UTF8')), 'hex') AS personal_hash,
  sha256(convert_to(spine.canonical_event(e), 'UTF8')) = event_hash AS event_hash
  FROM spine.events e WHERE organization_id = '00000000-0000-4000-8000-00000000aa51' ORDER BY sequence;

-- The request or trace comes from the setting where the call does not say.
SET people_os_spine.correlation_id = '00000000-0000-4000-8000-0000000000c9';
SELECT spine.emit_event('a.b.c', entity_id => '00000000-0000-4000-8000-0000000000e2') IS NOT NULL AS emitted;
BEGIN;
SELECT spine.set_context('00000000-0000-4000-8000-00000000aa51', '00000000-0000-4000-8000-0000000000a1', correlation_id => '00000000-0000-4000-8000-0000000000ca');
SELECT spine.emit_event('a.b.c', entity_id => '00000000-0000-4000-8000-0000000000e2') IS NOT NULL AS emitted;
SELECT spine.set_context('00000000-0000-4000-8000-00000000aa51', '00000000-0000-4000-8000-0000000000a1');
SELECT spine.emit_event('a.b.c', entity_id => '00000000-0000-4000-8000-0000000000e2') IS NOT NULL AS emitted;
COMMIT;
RESET people_os_spine.correlation_id;
SELECT right(correlation_id::text, 2) AS correlation FROM spine.events WHERE entity_id = '00000000-0000-4000-8000-0000000000e2' ORDER BY sequence;
SET people_os_spine.correlation_id = 'no uuid';

-- Kept to the commit they stay what they are.
BEGIN;
SET LOCAL people_os_spine.chain_at = commit;
SELECT spine.emit_event('hcm.employee.created', entity_id => '00000000-0000-4000-8000-0000000000e3', personal => jsonb_build_object('name', repeat('x', 3000)),
  correlation_id => '00000000-0000-4000-8000-0000000000cb', causation_id => '00000000-0000-4000-8000-0000000000cc') IS NOT NULL AS emitted;
COMMIT;
SELECT length(personal ->> 'name'), right(correlation_id::text, 2) AS correlation, right(causation_id::text, 2) AS causation, spine.event_digest(e) = event_hash AS right
  FROM spine.events e WHERE entity_id = '00000000-0000-4000-8000-0000000000e3';

-- Each part has the limits of a payload, and says which it is.
\set SHOW_CONTEXT never
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), personal => '[]');
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), personal => jsonb_build_object('x', repeat('x', 1200000)));
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), personal => (repeat('{"a":', 128) || '{}' || repeat('}', 128))::jsonb);
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), personal => '{"n": 1e309}');
SELECT spine.emit_events('[{"event_type": "a.b.c", "entity_id": "00000000-0000-4000-8000-0000000000e1", "personal": "Ada"}]');
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), occurred_at => 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), occurred_at => '10000-01-01 00:00:00+00');
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), occurred_at => '0001-12-31 00:00:00+00 BC');
SELECT spine.emit_events('[{"event_type": "a.b.c", "entity_id": "00000000-0000-4000-8000-0000000000e1", "occurred_at": "yesterday or so"}]');

-- What the spine gives, nobody else sets; a restored row is whole.
CREATE ROLE parts_writer;
SELECT spine.grant_emitter('parts_writer');
GRANT INSERT ON spine.events TO parts_writer;
SET ROLE parts_writer;
INSERT INTO spine.events (event_type, entity_id, payload_salt) VALUES ('a.b.c', gen_random_uuid(), decode(repeat('00', 16), 'hex'));
INSERT INTO spine.events (event_type, entity_id, personal_hash) VALUES ('a.b.c', gen_random_uuid(), decode(repeat('00', 32), 'hex'));
RESET ROLE;
CREATE TABLE parts_restored (LIKE spine.events INCLUDING ALL);
CREATE TRIGGER zz_chain_event BEFORE INSERT ON parts_restored FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
CREATE TEMP TABLE kept AS SELECT * FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-00000000aa51';
UPDATE kept SET personal_hash = sha256(personal_salt || convert_to(spine.canonical_json(personal), 'UTF8')), personal = NULL, personal_salt = NULL WHERE sequence = 1;
UPDATE kept SET payload_hash = sha256(payload_salt || convert_to(spine.canonical_json(payload), 'UTF8')), payload = NULL, payload_salt = NULL WHERE sequence = 2;
INSERT INTO parts_restored SELECT * FROM kept;
-- A part without its salt is no whole row.
UPDATE kept SET personal_salt = NULL WHERE sequence = 8;
INSERT INTO parts_restored SELECT * FROM kept WHERE sequence = 8;
SELECT sequence, payload, personal, spine.event_digest(ROW(r.*)::spine.events) = event_hash AS same FROM parts_restored r WHERE sequence <= 3 ORDER BY 1;
DROP TABLE parts_restored;
REVOKE INSERT ON spine.events FROM parts_writer;
SELECT spine.revoke_all('parts_writer');
DROP ROLE parts_writer;
SELECT intact, events, faults FROM spine.verify_chain('00000000-0000-4000-8000-00000000aa51');
RESET people_os_spine.organization_id;
RESET people_os_spine.actor_id;
