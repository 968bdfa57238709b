-- The registry: what it takes, what it refuses, and what an event gets from it.
\pset null '-'
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000e7001';
CREATE FUNCTION types_emit(event_type text, severity text) RETURNS spine.severity LANGUAGE sql AS $$
  SELECT spine.emit_event(event_type, entity_id => '00000000-0000-4000-8000-0000000000e1', severity => severity::spine.severity);
  SELECT e.severity FROM spine.events e WHERE e.organization_id = '00000000-0000-4000-8000-0000000e7001' ORDER BY sequence DESC LIMIT 1
$$;
SELECT * FROM spine.event_types ORDER BY name;

-- Registering, and saying anew what a type is. NULL means omitted.
SELECT spine.register_event_type('types.thing.made', 'A thing was made');
SELECT spine.register_event_type('types.thing.broken', 'A thing broke', 'high');
SELECT spine.register_event_type('types.thing.lost', 'A thing was lost', NULL);
SELECT spine.register_event_type('types.thing.broken', 'A thing broke, or was broken', 'critical');
-- A built-in type too: from then on it is the user's own.
SELECT spine.register_event_type('hcm.employee.created', 'A colleague came', 'medium');
-- So is what is inserted or changed by hand, whatever it says of itself.
INSERT INTO spine.event_types VALUES ('types.thing.sold', 'A thing was sold', 'low', true);
UPDATE spine.event_types SET description = 'Tables were altered' WHERE name = 'platform.migration.applied';
SELECT * FROM spine.event_types ORDER BY name;
-- As a dump brings it back.
DELETE FROM spine.event_types WHERE name IN ('types.thing.sold', 'types.thing.lost');
COPY spine.event_types FROM STDIN;
platform.spine.unguarded	Look at it	high	f
types.thing.lost	A thing was lost	low	f
\.
SELECT * FROM spine.event_types WHERE name IN ('platform.spine.unguarded', 'types.thing.lost') ORDER BY name;
-- Once. What is there by the same name is not lost.
INSERT INTO spine.event_types VALUES ('platform.spine.unguarded', 'Again', 'low');
INSERT INTO spine.event_types VALUES ('platform.spine.unguarded', 'Again', 'low') ON CONFLICT DO NOTHING;
SELECT * FROM spine.event_types WHERE name = 'platform.spine.unguarded';

-- Refused.
SELECT spine.register_event_type('types.thing', 'x');
SELECT spine.register_event_type('Types.thing.made', 'x');
SELECT spine.register_event_type(E'types.thing.made\n', 'x');
SELECT spine.register_event_type(NULL, 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT spine.register_event_type('types.thing.made', NULL);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO spine.event_types VALUES ('types.thing', 'x');
INSERT INTO spine.event_types VALUES (E'types.thing.made\n', 'x');
INSERT INTO spine.event_types VALUES ('types.thing.' || repeat('x', 64), 'x');

-- The default severity, where an event's is NULL; emit_event's own default is low.
SELECT types_emit('types.thing.broken', NULL), types_emit('types.thing.broken', 'medium'), types_emit('types.thing.made', NULL), types_emit('types.thing.unknown', NULL);
SELECT spine.emit_event('types.thing.broken', entity_id => gen_random_uuid()) IS NOT NULL AS emitted;
SELECT count(*) FROM spine.emit_events('[{"event_type": "types.thing.broken", "entity_id": "00000000-0000-4000-8000-0000000000e1"},
  {"event_type": "types.thing.broken", "entity_id": "00000000-0000-4000-8000-0000000000e1", "severity": "low"},
  {"event_type": "types.thing.broken", "entity_id": "00000000-0000-4000-8000-0000000000e1", "severity": null}]');
INSERT INTO spine.events (event_type, entity_id) VALUES ('types.thing.broken', gen_random_uuid()), ('types.thing.lost', gen_random_uuid());
BEGIN;
SET LOCAL people_os_spine.chain_at = commit;
SELECT count(*) FROM spine.emit_events('[{"event_type": "types.thing.broken", "entity_id": "00000000-0000-4000-8000-0000000000e1"}]');
COMMIT;
SELECT sequence, event_type, severity FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-0000000e7001' ORDER BY sequence;

-- Types that are not registered, by every way in. Nothing is stored.
SET people_os_spine.require_registered_types = on;
SELECT count(*) AS before FROM spine.events \gset
\set SHOW_CONTEXT never
SELECT types_emit('types.thing.borken', 'low');
\echo :LAST_ERROR_SQLSTATE
\set SHOW_CONTEXT errors
SELECT spine.emit_events('[{"event_type": "types.thing.made", "entity_id": "00000000-0000-4000-8000-0000000000e1"},
  {"event_type": "hcm.employe.created", "entity_id": "00000000-0000-4000-8000-0000000000e1"}]');
\set SHOW_CONTEXT never
INSERT INTO spine.events (event_type, entity_id) VALUES ('types.thing.mad', gen_random_uuid());
BEGIN;
SET LOCAL people_os_spine.chain_at = commit;
SELECT types_emit('thing.types.made', 'low');
ROLLBACK;
SELECT spine.emit_event('types.thing');  -- no name at all is another error
BEGIN;
DELETE FROM spine.event_types;
SELECT types_emit('types.thing.made', 'low');
ROLLBACK;
SELECT count(*) - :before AS stored FROM spine.events;
-- Registered ones, and what the guard has to record.
SELECT types_emit('types.thing.made', 'low'), types_emit('types.thing.broken', NULL);
BEGIN;
DELETE FROM spine.event_types;
SET LOCAL people_os_spine.unguard = 'a test';
CREATE TABLE types_child () INHERITS (spine.role_bindings);
SELECT severity, payload ->> 'reason' AS reason FROM spine.events WHERE event_type = 'platform.spine.unguarded' ORDER BY sequence DESC LIMIT 1;
ROLLBACK;

-- A session sees what it registered itself, and forgets what was rolled back.
BEGIN;
SELECT spine.register_event_type('types.thing.seen', 'A thing was seen', 'high');
SELECT types_emit('types.thing.seen', NULL);
SAVEPOINT a;
SELECT spine.register_event_type('types.thing.heard', 'A thing was heard');
SELECT types_emit('types.thing.heard', NULL);
ROLLBACK TO a;
SAVEPOINT a;
SELECT types_emit('types.thing.heard', NULL);
ROLLBACK TO a;
TRUNCATE spine.event_types;
SELECT types_emit('types.thing.seen', NULL);
ROLLBACK;
SELECT types_emit('types.thing.seen', NULL);
-- Also where that happens with nobody to notice in between.
DO $$
BEGIN
  BEGIN
    PERFORM spine.register_event_type('types.thing.felt', 'A thing was felt'), types_emit('types.thing.made', NULL);
    PERFORM types_emit('types.thing.felt', NULL);
    RAISE EXCEPTION 'rolled back';
  EXCEPTION WHEN raise_exception THEN
    NULL;
  END;
  PERFORM types_emit('types.thing.felt', NULL);
EXCEPTION WHEN SQLSTATE 'SP025' THEN
  RAISE NOTICE 'forgotten: %', SQLERRM;
END
$$;

-- A name that a BEFORE trigger changes is checked as if the caller had given it; a complete row is not.
CREATE FUNCTION types_rename() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.payload ? 'action' THEN
    NEW.action := NEW.payload ->> 'action';
    NEW.event_type := 'types.thing.' || NEW.action;
  END IF;
  RETURN NEW;
END
$$;
SET people_os_spine.unguard = 'a test';
CREATE TRIGGER rename BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION types_rename();
RESET people_os_spine.unguard;
SELECT spine.emit_event('types.thing.made', entity_id => gen_random_uuid(), payload => '{"action": "renamed"}');
SELECT spine.emit_event('types.thing.made', entity_id => gen_random_uuid(), payload => '{"action": "broken"}') IS NOT NULL AS emitted;
-- What was emitted under other rules is stored by those.
BEGIN;
SET LOCAL people_os_spine.chain_at = commit;
SET LOCAL people_os_spine.require_registered_types = off;
SELECT spine.emit_event('types.thing.free', entity_id => gen_random_uuid()) IS NOT NULL AS emitted;
SET LOCAL people_os_spine.require_registered_types = on;
COMMIT;
SET people_os_spine.unguard = 'a test';
DROP TRIGGER rename ON spine.events;
RESET people_os_spine.unguard;
CREATE TABLE types_restored (LIKE spine.events INCLUDING ALL);
CREATE TRIGGER zz_chain_event BEFORE INSERT ON types_restored FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
INSERT INTO types_restored SELECT * FROM spine.events WHERE event_type = 'types.thing.free';
DROP TABLE types_restored;

-- EXECUTE is the right. Emitting needs none on the registry, and by hand nobody but the owner writes there.
CREATE ROLE spine_registrar;
GRANT USAGE ON SCHEMA spine TO spine_registrar;
GRANT EXECUTE ON FUNCTION spine.register_event_type TO spine_registrar;
SELECT spine.grant_emitter('spine_registrar');
SET ROLE spine_registrar;
SELECT spine.register_event_type('types.thing.given', 'A thing was given');
SELECT spine.emit_event('types.thing.made', entity_id => gen_random_uuid(), severity => NULL) IS NOT NULL AS emitted;
SET people_os_spine.require_registered_types = off;
RESET ROLE;
GRANT SELECT, INSERT, UPDATE ON spine.event_types TO spine_registrar;
SET ROLE spine_registrar;
INSERT INTO spine.event_types (name, description) VALUES ('types.thing.sneaked', 'A thing was sneaked in');
UPDATE spine.event_types SET default_severity = 'low' WHERE false;
SELECT spine.register_event_type('types.thing.given', 'A thing was given away', 'high');
RESET ROLE;
DELETE FROM spine.event_types WHERE name = 'platform.spine.unguarded';
INSERT INTO spine.event_types VALUES ('platform.spine.unguarded', 'Somebody unguarded the spine', 'critical');
SELECT * FROM spine.event_types WHERE name NOT LIKE 'platform.rights.%' ORDER BY name;

-- Attached where it does not belong.
SELECT spine.own_event_type();
CREATE TABLE types_other (LIKE spine.event_types);
CREATE TRIGGER t BEFORE INSERT ON types_other FOR EACH ROW EXECUTE FUNCTION spine.own_event_type();
INSERT INTO types_other VALUES ('a.b.c', 'x');
DROP TABLE types_other;
-- Without the table nobody knows.
CALL guard_off();
ALTER TABLE spine.event_types RENAME TO kept;
SELECT spine.emit_event('types.thing.made', entity_id => gen_random_uuid());
SET people_os_spine.require_registered_types = off;
SELECT spine.emit_event('types.thing.made', entity_id => gen_random_uuid(), severity => NULL);
SELECT spine.emit_event('types.thing.made', entity_id => gen_random_uuid()) IS NOT NULL AS emitted;
ALTER TABLE spine.kept RENAME TO event_types;
CALL guard_on();

RESET people_os_spine.require_registered_types;
DELETE FROM spine.event_types WHERE name LIKE 'types.%';
SELECT spine.revoke_all('spine_registrar');
DROP ROLE spine_registrar;
DROP FUNCTION types_emit, types_rename;
SELECT intact, faults FROM spine.verify_chain('00000000-0000-4000-8000-0000000e7001');
