-- Every error: SQLSTATE, message, hint; and nothing stored.
CREATE FUNCTION try(command text) RETURNS TABLE (code text, message text, detail text, hint text, context text)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  code := 'none';
  RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  context := CASE WHEN context LIKE 'element%' THEN split_part(context, E'\n', 1) END;
  RETURN NEXT;
END
$$;
\pset format unaligned
\pset expanded on
\pset null '-'
SELECT count(*) AS before FROM spine.events \gset

-- No actor, no organization, no environment.
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'))$$);
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'))$$);
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000e1001';
SET people_os_spine.environment = '';
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'))$$);
-- Without the setting a call may name any environment; with it, it must agree.
BEGIN;
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), environment => 'dev')$$);
ROLLBACK;
RESET people_os_spine.environment;
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), environment => 'prod')$$);

-- Names.
SELECT t.* FROM (VALUES ('Employee created'), ('hcm.employee'), ('hcm.employee.created.v2'), ('HCM.employee.created'),
  (''), ('..'), ('a..c'), ('a.b.c '), (' a.b.c'), ('1a.b.c'), ('_a.b.c'), ('a.b.c-d'), ('a.b.é'), (E'a.b.c\n'),
  (repeat('x', 64) || '.b.c'), ('a.b.' || repeat('long', 100))) v (name)
 CROSS JOIN LATERAL format('SELECT spine.emit_event(%L)', name) command CROSS JOIN LATERAL try(command) t;
SELECT * FROM try($$SELECT spine.emit_event(NULL)$$);
BEGIN;
SELECT code FROM try(format('SELECT spine.emit_event(%L, entity_id => gen_random_uuid())', repeat('x', 63) || '.b2_.c'));
ROLLBACK;
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_type => 'x')$$);
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', action => 'created')$$);
SELECT * FROM try($$INSERT INTO spine.events (event_type, domain) VALUES ('a.b.c', 'x')$$);

-- No entity.
SELECT * FROM try($$SELECT spine.emit_event('a.b.c')$$);
SELECT * FROM try($$SELECT spine.entity_uuid('A', 'b', 'c')$$);
SELECT * FROM try($$SELECT spine.entity_uuid('a', 'b.x', 'c')$$);

-- Payloads.
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), payload => '[1]')$$);
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), payload => '"text"')$$);
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), payload => 'null')$$);
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), payload => '{"n": 1e309}')$$);
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), payload => '{"n": [-1e-325]}')$$);
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), payload => '{"n": 1e130000}')$$);
SELECT * FROM try(format('SELECT spine.emit_event(%L, entity_id => gen_random_uuid(), payload => %L)', 'a.b.c',
  '{"x":' || repeat('[', 128) || repeat(']', 128) || '}'));
SELECT * FROM try(format('SELECT spine.emit_event(%L, entity_id => gen_random_uuid(), payload => %L)', 'a.b.c',
  '{"x":"' || repeat('x', 1048576) || '"}'));
-- At the limits it is stored.
BEGIN;
SELECT code FROM try(format('SELECT spine.emit_event(%L, entity_id => gen_random_uuid(), payload => %L)', 'a.b.c',
  '{"x":' || repeat('[', 127) || repeat(']', 127) || '}'));
SELECT code FROM try(format('SELECT spine.emit_event(%L, entity_id => gen_random_uuid(), payload => %L)', 'a.b.c',
  '{"x":"' || repeat('x', 1048576 - 8) || '"}'));
SELECT code FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), payload => '{"n": [9.9e308, 1e-324, 0e999]}')$$);
ROLLBACK;
SET people_os_spine.max_payload_size = '1kB';
SELECT * FROM try(format('SELECT spine.emit_event(%L, entity_id => gen_random_uuid(), payload => %L)', 'a.b.c',
  '{"x":"' || repeat('x', 1024) || '"}'));
RESET people_os_spine.max_payload_size;

-- Batches name the element.
SELECT * FROM try($$SELECT spine.emit_events(NULL)$$);
SELECT * FROM try($$SELECT spine.emit_events('{}')$$);
SELECT * FROM try($$SELECT spine.emit_events('3')$$);
SELECT * FROM try($$SELECT spine.emit_events('[{"event_type": "a.b.c", "entity_id": "00000000-0000-4000-8000-0000000000e1"}, 3]')$$);
SELECT * FROM try($$SELECT spine.emit_events('[{"event_type": "a.b.c", "entity_id": "00000000-0000-4000-8000-0000000000e1"}, {"event_type": "a.b.c", "entityid": "x"}]')$$);
SELECT * FROM try($$SELECT spine.emit_events('[{"event_type": 3}]')$$);
SELECT * FROM try($$SELECT spine.emit_events('[{"event_type": "a.b.c", "entity_id": "0000"}]')$$);
SELECT * FROM try($$SELECT spine.emit_events('[{"event_type": "a.b.c", "severity": "extreme"}]')$$);
SELECT * FROM try($$SELECT spine.emit_events('[{"event_type": "a.b.c", "payload": "x"}]')$$);
SELECT * FROM try($$SELECT spine.emit_events('[{"event_type": "a.b.c", "entity_id": "00000000-0000-4000-8000-0000000000e1"}, {"event_type": "a.b.c"}]')$$);

-- Settings.
SELECT * FROM try($$SET people_os_spine.organization_id = 'acme'$$);
SELECT * FROM try($$SET people_os_spine.actor_type = 'robot'$$);
SELECT code, hint FROM try($$SET people_os_spine.max_payload_size = 0$$);  -- the server's message differs between its versions
SELECT * FROM try($$SET people_os_spine.misspelt = 1$$);

-- Read-only transactions, for every way in.
BEGIN READ ONLY;
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid())$$);
SELECT * FROM try($$SELECT spine.emit_events('[]')$$);
SELECT * FROM try($$INSERT INTO spine.events (event_type) VALUES ('a.b.c')$$);
COMMIT;

-- Ranges.
SELECT * FROM try($$SELECT * FROM spine.verify_chain(NULL, 0)$$);
SELECT * FROM try($$SELECT * FROM spine.find_chain_faults(NULL, 5, 4)$$);

-- Trigger functions are no functions, and know where they belong.
SELECT * FROM try($$SELECT spine.chain_event()$$);
CREATE TABLE errors_other (id int);
CREATE TRIGGER t BEFORE INSERT ON errors_other FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
SELECT * FROM try($$INSERT INTO errors_other VALUES (1)$$);
CREATE TABLE errors_types (LIKE spine.events);
ALTER TABLE errors_types ALTER payload TYPE json;
CREATE TRIGGER t BEFORE INSERT ON errors_types FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
SELECT * FROM try($$INSERT INTO errors_types (event_type) VALUES ('a.b.c')$$);
CREATE TABLE errors_no_index (LIKE spine.events);
CREATE TRIGGER t BEFORE INSERT ON errors_no_index FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
SELECT * FROM try($$INSERT INTO errors_no_index (event_type, entity_id) VALUES ('a.b.c', gen_random_uuid())$$);
CREATE TABLE errors_after (LIKE spine.events INCLUDING ALL);
CREATE TRIGGER t AFTER INSERT ON errors_after FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
SELECT * FROM try($$INSERT INTO errors_after SELECT * FROM spine.events LIMIT 1$$);
CREATE TABLE errors_generated (LIKE spine.events INCLUDING INDEXES);
ALTER TABLE errors_generated DROP domain, ADD domain text GENERATED ALWAYS AS (split_part(event_type, '.', 1)) STORED;
CREATE TRIGGER t BEFORE INSERT ON errors_generated FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
SELECT * FROM try($$INSERT INTO errors_generated (event_type, entity_id) VALUES ('a.b.c', gen_random_uuid())$$);
CREATE TABLE errors_lacking (LIKE spine.events INCLUDING INDEXES);
ALTER TABLE errors_lacking DROP payload;
CREATE TRIGGER t BEFORE INSERT ON errors_lacking FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
SELECT * FROM try($$INSERT INTO errors_lacking (event_type, entity_id) VALUES ('a.b.c', gen_random_uuid())$$);
DROP TABLE errors_other, errors_types, errors_no_index, errors_after, errors_generated, errors_lacking;
SELECT * FROM try($$SELECT spine.note_change()$$);
-- A function that somebody made of the library's and that takes any row.
CREATE FUNCTION errors_digest(record) RETURNS bytea LANGUAGE c STRICT AS '$libdir/people_os_spine', 'spine_event_digest';
SELECT * FROM try($$SELECT errors_digest(ROW(1))$$);
DROP FUNCTION errors_digest;

-- Triggers and rows on spine.events itself.
CREATE FUNCTION errors_swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SET people_os_spine.unguard = 'a test';
BEGIN;
CREATE TRIGGER swallow BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION errors_swallow();
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid())$$);
ROLLBACK;
BEGIN;
CREATE TRIGGER zzz BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION errors_swallow();
SELECT * FROM try($$INSERT INTO spine.events (event_type, entity_id) VALUES ('a.b.c', gen_random_uuid())$$);
ROLLBACK;
BEGIN;
CALL guard_off();
ALTER TABLE spine.events RENAME TO moved;
CREATE VIEW spine.events AS SELECT * FROM spine.moved;
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid())$$);
DROP VIEW spine.events;
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid())$$);
SELECT * FROM try($$SELECT * FROM spine.verify_chain()$$);
ROLLBACK;
BEGIN;
ALTER TABLE spine.events DROP CONSTRAINT events_pkey;
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid())$$);
SELECT * FROM try($$SELECT spine.read_events('00000000-0000-4000-8000-0000000e1001')$$);
ROLLBACK;
RESET people_os_spine.unguard;
DROP FUNCTION errors_swallow;
-- A label that was deleted from the catalog.
BEGIN;
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), severity => 'medium') AS id \gset
SET LOCAL people_os_spine.unguard = 'a test';
DELETE FROM pg_enum WHERE enumlabel = 'medium' AND enumtypid = 'spine.severity'::regtype;
SELECT * FROM try(format('SELECT spine.event_digest(e) FROM spine.events e WHERE id = %L', :'id'));
SELECT fault, detail FROM spine.find_chain_faults('00000000-0000-4000-8000-0000000e1001') WHERE event_id = :'id';
ROLLBACK;
-- Behind a forged row that has the last sequence there is, nothing can come.
BEGIN;
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid()) AS id \gset
INSERT INTO spine.events SELECT (jsonb_populate_record(e, '{"id": "00000000-0000-7000-8000-0000000000ff", "sequence": 9223372036854775807}')).*
  FROM spine.events e WHERE id = :'id';
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid())$$);
ROLLBACK;
-- JSON that is not what the server writes: an object that ends before its member, another that ends before its header.
BEGIN;
CREATE CAST (bytea AS jsonb) WITHOUT FUNCTION;
SELECT * FROM try($$SELECT spine.canonical_json('\x01000020'::bytea::jsonb)$$);
SELECT * FROM try($$SELECT spine.canonical_json('\x'::bytea::jsonb)$$);
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), payload => '\x01000020'::bytea::jsonb)$$);
SELECT * FROM try($$SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), payload => '\x'::bytea::jsonb)$$);
ROLLBACK;

SELECT count(*) = :before AS nothing_stored FROM spine.events;
DROP FUNCTION try;
