-- Erasing parts of events: who may, what goes, what stays, what tells of it, and what cannot be done otherwise.
\set o '00000000-0000-4000-8000-0000000e0001'
\set other '00000000-0000-4000-8000-0000000e0002'
\set ada '00000000-0000-4000-8000-0000000ee001'
\set bob '00000000-0000-4000-8000-0000000ee002'
SET people_os_spine.organization_id = :'o';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SELECT spine.emit_event('hcm.employee.created', entity_id => :'ada', payload => '{"grade": 1}', personal => '{"name": "Ada"}') AS first \gset
SELECT spine.emit_event('hcm.employee.updated', entity_id => :'ada', payload => '{"grade": 2}') AS second \gset
SELECT spine.emit_event('hcm.employee.updated', entity_id => :'bob', payload => '{"grade": 3}', personal => '{"name": "Bob"}') AS third \gset
SELECT spine.emit_event('hcm.contractor.created', entity_id => :'ada', personal => '{"name": "Ada, too"}') AS fourth \gset
SELECT spine.emit_event('hcm.employee.created', entity_id => :'ada', personal => '{"name": "Ada elsewhere"}', organization_id => :'other') AS elsewhere \gset
CREATE TEMP TABLE before_erasing AS SELECT * FROM spine.events WHERE organization_id IN (:'o', :'other');
GRANT SELECT ON before_erasing TO PUBLIC;
-- An error, without the uuids that differ from run to run.
CREATE FUNCTION pg_temp.told(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE call;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, 'event [0-9a-f-]{36}', 'event …');
END $$;
CREATE TEMP VIEW chain AS
  SELECT right(organization_id::text, 1) AS org, sequence, event_type, payload - '{by,erased}'::text[] AS payload, personal,
         spine.event_digest(e) = event_hash AS hashes, payload_salt IS NULL AS no_salt, personal_salt IS NULL AS no_personal_salt,
         payload_hash IS NOT NULL AS has_hash, personal_hash IS NOT NULL AS has_personal_hash
    FROM spine.events e WHERE organization_id IN ('00000000-0000-4000-8000-0000000e0001', '00000000-0000-4000-8000-0000000e0002') ORDER BY 1, 2;

-- Who was given the right, for the organizations that were given; and it reads nothing by that.
CREATE ROLE eraser;
CREATE ROLE nobody_special;
SELECT spine.grant_eraser('eraser', ARRAY[:'o']::uuid[]);
SELECT spine.grant_emitter('nobody_special');
SET ROLE nobody_special;
SELECT * FROM spine.erase_events(:'o', ARRAY[:'first']::uuid[], 'art. 17');
RESET ROLE;
GRANT EXECUTE ON FUNCTION spine.erase_events TO nobody_special;
SET ROLE nobody_special;
SELECT * FROM spine.erase_events(:'o', ARRAY[:'first']::uuid[], 'art. 17');
SET ROLE eraser;
SELECT * FROM spine.erase_events(:'other', ARRAY[:'elsewhere']::uuid[], 'art. 17');
SELECT count(*) FROM spine.events;
SELECT spine.release_hold(gen_random_uuid(), 'x');
-- An id that is none of the organization's is named, and so is what is no argument.
SELECT * FROM spine.erase_events(:'o', ARRAY[:'first', '00000000-0000-4000-8000-0000000e9999']::uuid[], 'art. 17');
\echo :LAST_ERROR_SQLSTATE
SELECT left(:'LAST_ERROR_MESSAGE', 80) AS message;
SELECT pg_temp.told(format('SELECT spine.erase_events(%L, ARRAY[%L]::uuid[], ''x'')', :'o', :'elsewhere'));
SELECT * FROM spine.erase_events(:'o', NULL, 'x');
SELECT * FROM spine.erase_events(:'o', '{NULL}', 'x');
SELECT * FROM spine.erase_events(:'o', '{}', NULL);
SELECT * FROM spine.erase_events(:'o', '{}', '');
SELECT * FROM spine.erase_events(:'o', '{}', 'x', '{persona}');
SELECT * FROM spine.erase_events(:'o', '{}', 'x', '{payload}');
SELECT * FROM spine.erase_events(NULL, '{}', 'x');

-- The personal part of one event; one given twice counts once. Nothing to erase: no event.
SELECT erasure_id IS NOT NULL AS told, events, parts_gone FROM spine.erase_events(:'o', ARRAY[:'first', :'first', :'second']::uuid[], 'art. 17');
SELECT * FROM spine.erase_events(:'o', ARRAY[:'first', :'second']::uuid[], 'again');
SELECT * FROM spine.erase_events(:'o', '{}', 'none');
SELECT * FROM spine.erase_entity(:'o', 'hcm', 'employee', gen_random_uuid(), 'none');
RESET ROLE;
SELECT * FROM chain;
-- What is gone is nowhere, and the event that says so names no person.
SELECT count(*) FROM spine.events e WHERE e::text LIKE '%Ada"%' AND organization_id = :'o' AND sequence = 1;
SELECT payload ->> 'by' AS by, (payload #>> '{erased,personal,0,id}')::uuid = :'first' AS id, payload #> '{erased,personal,0,sequence}' AS sequence, jsonb_array_length(payload #> '{erased,personal}') AS events,
  payload #> '{erased,payload}' IS NULL AS no_payload, severity, entity_id = spine.entity_uuid('platform', 'personal', :'o') AS found_by_entity
  FROM spine.events WHERE organization_id = :'o' AND event_type = 'platform.personal.erased';
-- All that stays is as it was.
SELECT count(*) AS same FROM spine.events e JOIN before_erasing b USING (organization_id, sequence)
 WHERE (to_jsonb(e) - '{personal,personal_salt,personal_hash}'::text[]) = (to_jsonb(b) - '{personal,personal_salt,personal_hash}'::text[]);
SELECT right(organization_id::text, 1) AS org, intact, events, faults FROM spine.verify_chain() WHERE organization_id IN (:'o', :'other');

-- Both parts of all events about an entity, of that domain, type and organization alone.
SET ROLE eraser;
SELECT events, parts_gone FROM spine.erase_entity(:'o', 'hcm', 'employee', :'ada', 'art. 17, all of it', '{payload,personal}');
RESET ROLE;
SELECT * FROM chain;
SELECT intact, events, faults FROM spine.verify_chain(:'o');
SELECT erased, payload - 'erased' AS payload FROM spine.audit_log WHERE organization_id = :'o' ORDER BY sequence;
SELECT spine.to_cloudevent(e) ?| '{data,payloadsalt}' AS says_it, spine.to_cloudevent(e) ? 'payloadhash' AS has_hash FROM spine.events e WHERE id = :'first';
SELECT sequence, payload, payload_hash IS NOT NULL AS erased FROM spine.entity_history('hcm.employee', :'ada') WHERE organization_id = :'o';

-- A range is judged by the erasure events that lie outside of it.
SELECT intact, events, faults FROM spine.verify_chain(:'o', 1, 2);
SELECT intact, events, faults FROM spine.verify_chain(:'o', 2, 3);
SELECT intact, events, faults FROM spine.verify_chain(NULL, 1, 1) WHERE organization_id = :'o';

-- In a savepoint, at other levels, and with what this transaction did.
BEGIN;
SELECT events FROM spine.erase_events(:'o', ARRAY[:'third']::uuid[], 'taken back');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT events FROM spine.erase_events(:'o', ARRAY[:'third']::uuid[], 'taken back');
ROLLBACK TO s;
COMMIT;
SELECT personal FROM spine.events WHERE id = :'third';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT spine.emit_event('hcm.employee.updated', entity_id => :'bob', personal => '{"name": "Bob again"}') AS fifth \gset
SELECT events FROM spine.erase_events(:'o', ARRAY[:'third']::uuid[], 'the one');
SELECT events FROM spine.erase_events(:'o', ARRAY[:'fifth']::uuid[], 'and the other');
SELECT events FROM spine.erase_entity(:'o', 'hcm', 'employee', :'bob', 'both', '{personal,payload}');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT events FROM spine.erase_events(:'o', ARRAY[:'fourth']::uuid[], 'serial');
SELECT intact, faults FROM spine.verify_chain(:'o');
COMMIT;
SELECT intact, events, faults FROM spine.verify_chain(:'o');
SELECT sequence, payload ->> 'reason' AS reason FROM spine.events WHERE organization_id = :'o' AND event_type = 'platform.personal.erased' ORDER BY 1;
BEGIN;
SET LOCAL people_os_spine.chain_at = commit;
SELECT spine.emit_event('hcm.employee.updated', entity_id => :'bob', personal => '{"name": "Bob waits"}') AS sixth \gset
SELECT pg_temp.told(format('SELECT spine.erase_events(%L, ARRAY[%L]::uuid[], ''x'')', :'o', :'sixth'));
SELECT spine.chain_pending();
SELECT pg_temp.told(format('SELECT spine.erase_events(%L, ARRAY[%L]::uuid[], ''x'')', :'o', :'sixth'));
ROLLBACK;

-- Nothing else gets by the triggers and the guard, and nobody forges what the spine says.
UPDATE spine.events SET personal = NULL, personal_salt = NULL, personal_hash = sha256(personal_salt || convert_to(spine.canonical_json(personal), 'UTF8')) WHERE id = :'elsewhere';
CALL guard_off();
UPDATE spine.events SET personal = NULL, personal_salt = NULL, personal_hash = sha256(personal_salt || convert_to(spine.canonical_json(personal), 'UTF8')) WHERE id = :'elsewhere';
CALL guard_on();
SELECT spine.emit_event('platform.personal.erased', entity_id => :'ada', payload => '{"erased": {"personal": []}}');
\echo :LAST_ERROR_SQLSTATE
SELECT spine.emit_events('[{"event_type": "platform.hold.released", "entity_id": "00000000-0000-4000-8000-0000000ee001"}]');
INSERT INTO spine.events (event_type, entity_id) VALUES ('platform.rights.granted', :'ada');
SELECT spine.emit_event(t, entity_id => :'ada') FROM unnest('{platform.rights.revoked}'::text[]) t;
SELECT spine.emit_event(t, entity_id => :'ada') FROM unnest('{platform.migration.applied}'::text[]) t;
SELECT spine.emit_event(t, entity_id => :'ada') FROM unnest('{platform.spine.unguarded}'::text[]) t;
-- What the spine says of erasures, holds and rights stays.
SELECT pg_temp.told(format('SELECT spine.erase_entity(%L, ''platform'', ''personal'', spine.entity_uuid(''platform'', ''personal'', %1$L), ''cover up'', ''{payload,personal}'')', :'o'));

-- A part that is gone without an event is a fault, in whole and in a range; an event that says so beforehand is none.
BEGIN;
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER ALL;
UPDATE spine.events SET personal = NULL, personal_salt = NULL, personal_hash = sha256(personal_salt || convert_to(spine.canonical_json(personal), 'UTF8')) WHERE id = :'elsewhere';
SELECT right(organization_id::text, 1) AS org, sequence, event_id = :'elsewhere' AS id, fault, expected, found, detail FROM spine.find_chain_faults() WHERE organization_id IN (:'o', :'other');
SELECT sequence, fault FROM spine.find_chain_faults(:'other', 1, 1);
SELECT intact, first_fault FROM spine.verify_chain(:'other');
-- Nor does the erasure of one part say so of the other, nor that of one event of another.
UPDATE spine.events SET payload = NULL, payload_salt = NULL, payload_hash = sha256(payload_salt || convert_to(spine.canonical_json(payload), 'UTF8')) WHERE id = :'fourth';
SELECT right(organization_id::text, 1) AS org, sequence, fault, detail FROM spine.find_chain_faults(:'o');
ROLLBACK;

-- A trigger that somebody added can neither swallow an erasure nor make another row of it.
BEGIN;
SET LOCAL people_os_spine.unguard = 'a test adds a trigger';
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER a_swallow BEFORE UPDATE ON spine.events FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT * FROM spine.erase_events(:'other', ARRAY[:'elsewhere']::uuid[], 'x');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SET LOCAL people_os_spine.unguard = 'a test adds a trigger';
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.severity := 'critical'; RETURN NEW; END $$;
CREATE TRIGGER a_change BEFORE UPDATE ON spine.events FOR EACH ROW EXECUTE FUNCTION change();
SELECT * FROM spine.erase_events(:'other', ARRAY[:'elsewhere']::uuid[], 'x');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SET LOCAL people_os_spine.unguard = 'a test adds a trigger';
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.severity := 'critical'; RETURN NEW; END $$;
CREATE TRIGGER z_change BEFORE UPDATE ON spine.events FOR EACH ROW EXECUTE FUNCTION change();
SELECT * FROM spine.erase_events(:'other', ARRAY[:'elsewhere']::uuid[], 'x');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- One that looks on is called.
BEGIN;
SET LOCAL people_os_spine.unguard = 'a test adds a trigger';
CREATE FUNCTION look_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'erased: %', NEW.personal IS NULL; RETURN NULL; END $$;
CREATE TRIGGER look_on AFTER UPDATE ON spine.events FOR EACH ROW EXECUTE FUNCTION look_on();
SELECT events FROM spine.erase_events(:'other', ARRAY[:'elsewhere']::uuid[], 'x');
ROLLBACK;
-- Within one, an UPDATE by hand is none of the erasure's.
BEGIN;
SET LOCAL people_os_spine.unguard = 'a test adds a trigger';
CREATE FUNCTION go_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE spine.events SET personal = NULL; RETURN NEW; END $$;
CREATE TRIGGER a_go_on BEFORE UPDATE ON spine.events FOR EACH ROW EXECUTE FUNCTION go_on();
SELECT * FROM spine.erase_events(:'other', ARRAY[:'elsewhere']::uuid[], 'x');
ROLLBACK;

-- More than a payload can hold: several events, each with its share.
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000e0003';
SELECT count(spine.emit_event('hcm.employee.updated', entity_id => :'ada', personal => jsonb_build_object('n', n))) FROM generate_series(1, 30) n;
SET people_os_spine.max_payload_size = 2048;
SELECT events, parts_gone FROM spine.erase_entity('00000000-0000-4000-8000-0000000e0003', 'hcm', 'employee', :'ada', 'many', '{payload,personal}');
RESET people_os_spine.max_payload_size;
SELECT intact, events, faults FROM spine.verify_chain('00000000-0000-4000-8000-0000000e0003');

-- Large values, out of line.
SELECT spine.emit_event('hcm.employee.updated', entity_id => :'bob', payload => jsonb_build_object('x', string_agg(md5(n::text), '')), personal => jsonb_build_object('y', string_agg(md5((-n)::text), ''))) AS large FROM generate_series(1, 2000) n \gset
SELECT events, parts_gone FROM spine.erase_events('00000000-0000-4000-8000-0000000e0003', ARRAY[:'large']::uuid[], 'large');
SELECT length(payload ->> 'x') AS payload, personal, spine.event_digest(e) = event_hash AS hashes FROM spine.events e WHERE id = :'large';

-- An old event that is erased is no event of the change that a table asks for.
CREATE TABLE erasure_rule (id uuid PRIMARY KEY, n int);
INSERT INTO erasure_rule VALUES (:'bob', 1);
SELECT spine.require_events('erasure_rule', 'id', domain => 'hcm', entity_type => 'employee');
BEGIN;
UPDATE erasure_rule SET n = 2;
SELECT events FROM spine.erase_events('00000000-0000-4000-8000-0000000e0003', ARRAY[:'large']::uuid[], 'no excuse', '{payload,personal}');
COMMIT;
SELECT spine.stop_requiring_events('erasure_rule');
DROP TABLE erasure_rule;

-- A row as it was: what was erased is said to be, and what was not is known still.
CREATE TABLE erasure_staff (id int PRIMARY KEY, grade int);
SELECT spine.capture_changes('erasure_staff', 'hcm', 'staff', 'id');
INSERT INTO erasure_staff VALUES (1, 1);
UPDATE erasure_staff SET grade = 2;
UPDATE erasure_staff SET grade = 3;
CREATE TEMP TABLE of_staff AS SELECT id, "timestamp" AS at, row_number() OVER (ORDER BY sequence) AS n FROM spine.events WHERE entity_id = spine.entity_uuid('hcm', 'staff', '1');
SELECT events, parts_gone FROM spine.erase_events('00000000-0000-4000-8000-0000000e0003', (SELECT array_agg(id) FROM of_staff WHERE n = 2), 'staff', '{payload,personal}');
SELECT spine.entity_as_of('hcm.staff', spine.entity_uuid('hcm', 'staff', '1'), (SELECT at FROM of_staff WHERE n = 1)) AS first;
SELECT spine.entity_as_of('hcm.staff', spine.entity_uuid('hcm', 'staff', '1'), (SELECT at FROM of_staff WHERE n = 2)) AS second;
\echo :LAST_ERROR_SQLSTATE
SELECT spine.entity_as_of('hcm.staff', spine.entity_uuid('hcm', 'staff', '1'), (SELECT at FROM of_staff WHERE n = 3)) AS third;
DELETE FROM erasure_staff;
SELECT spine.entity_as_of('hcm.staff', spine.entity_uuid('hcm', 'staff', '1'), now()) AS gone;
SELECT spine.stop_capture('erasure_staff');
DROP TABLE erasure_staff;
DELETE FROM spine.event_types WHERE name LIKE 'hcm.staff.%';

-- After a restore: what stands again goes again. Here the erasure is kept, and the rows are put back.
SELECT jsonb_agg(to_jsonb(e)) AS kept FROM spine.events e WHERE organization_id = :'o' AND event_type = 'platform.personal.erased' \gset
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER ALL;
UPDATE spine.events e SET payload = b.payload, payload_salt = b.payload_salt, payload_hash = NULL, personal = b.personal, personal_salt = b.personal_salt, personal_hash = NULL
  FROM before_erasing b WHERE e.organization_id = b.organization_id AND e.sequence = b.sequence;
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change, ENABLE ALWAYS TRIGGER zz_chain_event;
CALL guard_on();
SELECT sequence, payload, personal FROM spine.events WHERE organization_id = :'o' AND sequence <= 4 ORDER BY 1;
-- No fault of the chain, whose hashes are over either.
SELECT intact, faults FROM spine.verify_chain(:'o');
SET ROLE eraser;
BEGIN;
SELECT right(of_organization::text, 1) AS org, erasure_id IS NOT NULL AS told, repeats IS NOT NULL AS repeats, events, parts_gone FROM spine.repeat_erasures(:'kept');
ROLLBACK;
SELECT right(of_organization::text, 1) AS org, erasure_id IS NOT NULL AS told, repeats IS NOT NULL AS repeats, events, parts_gone FROM spine.repeat_erasures();
SELECT * FROM spine.repeat_erasures();
SELECT * FROM spine.repeat_erasures(:'kept', :'o');
SELECT * FROM spine.repeat_erasures(NULL, :'other');
SELECT * FROM spine.repeat_erasures('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM spine.repeat_erasures('[{"event_type": "a.b.c"}]');
SELECT * FROM spine.repeat_erasures('[{"event_type": "platform.personal.erased", "organization_id": "x"}]');
SELECT * FROM spine.repeat_erasures('[{"event_type": "platform.personal.erased", "organization_id": "00000000-0000-4000-8000-0000000e0001", "id": "00000000-0000-4000-8000-0000000e0001"}]');
SELECT * FROM spine.repeat_erasures('[{"event_type": "platform.personal.erased", "organization_id": "00000000-0000-4000-8000-0000000e0001", "id": "00000000-0000-4000-8000-0000000e0001", "payload": {"reason": "x", "erased": {"personal": [{"id": "00000000-0000-4000-8000-0000000e0009", "sequence": 1}, {"id": 7}, 8]}}}]');
RESET ROLE;
SELECT count(*) FILTER (WHERE payload ? 'repeats') AS repeated, count(*) FROM spine.events WHERE organization_id = :'o' AND event_type = 'platform.personal.erased';
SELECT sequence, payload, personal FROM spine.events WHERE organization_id = :'o' AND sequence <= 4 ORDER BY 1;
SELECT intact, faults FROM spine.verify_chain(:'o');

REVOKE EXECUTE ON FUNCTION spine.erase_events FROM nobody_special;
SELECT spine.revoke_all('eraser'), spine.revoke_all('nobody_special');
DROP ROLE eraser, nobody_special;
RESET people_os_spine.organization_id;
RESET people_os_spine.actor_id;
