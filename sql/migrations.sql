-- DDL as events, where spine.capture_migrations() was called.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE SCHEMA mig;
CREATE ROLE mig_role;
CREATE TABLE mig.before (id int);
CREATE VIEW mig.events AS
  SELECT e.sequence, e.event_type, e.actor_type, e.severity, e.payload ->> 'command' AS command,
         (SELECT string_agg(concat_ws(' ', o ->> 'action', o ->> 'type', o ->> 'identity'), ', ' ORDER BY n) FROM jsonb_array_elements(e.payload -> 'objects') WITH ORDINALITY t(o, n)) AS objects,
         e.payload, e.entity_id, e.actor_id, e.recorded_by
    FROM spine.events e WHERE organization_id = '00000000-0000-0000-0000-000000000000' AND event_type = 'platform.migration.applied';
-- Those since the last time that it was called.
CREATE TABLE mig.seen (sequence bigint);
INSERT INTO mig.seen SELECT coalesce(max(sequence), 0) FROM mig.events;
CREATE FUNCTION mig.new() RETURNS TABLE (command text, objects text) LANGUAGE sql AS $$
  WITH seen AS (UPDATE mig.seen SET sequence = (SELECT coalesce(max(sequence), 0) FROM mig.events) WHERE true),
       before AS (SELECT sequence FROM mig.seen)
  SELECT e.command, e.objects FROM mig.events e, before WHERE e.sequence > before.sequence ORDER BY e.sequence $$;

SELECT spine.capture_migrations();
SELECT evtname, evtevent, evtenabled, evtfoid::regprocedure, pg_describe_object('pg_event_trigger'::regclass, t.oid, 0),
       EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e') AS is_a_member
  FROM pg_event_trigger t WHERE evtname LIKE 'people_os_spine_mig%' ORDER BY evtname;
SELECT event_type, actor_type, actor_id, severity, recorded_by, payload FROM mig.events ORDER BY sequence DESC LIMIT 1;
SELECT count(*) FROM mig.new();

-- One event a statement, the object that it names first.
CREATE TABLE mig.employee (id serial PRIMARY KEY, name text UNIQUE);
SELECT payload, entity_id = spine.entity_uuid('platform', 'migration', 'mig.employee') AS is_the_tables FROM mig.events ORDER BY sequence DESC LIMIT 1;
ALTER TABLE mig.employee ADD COLUMN salary numeric CHECK (salary > 0), ALTER name SET NOT NULL;
SELECT entity_id = spine.entity_uuid('platform', 'migration', 'mig.employee') AS is_the_tables FROM mig.events ORDER BY sequence DESC LIMIT 1;
ALTER TABLE mig.employee DROP COLUMN salary, ADD COLUMN pay numeric;
ALTER TABLE mig.employee ALTER pay TYPE bigint;
CREATE INDEX ON mig.employee (pay);
CREATE INDEX CONCURRENTLY later ON mig.employee (pay, id);
CREATE VIEW mig.names AS SELECT name FROM mig.employee;
CREATE TABLE mig.copied AS SELECT * FROM mig.employee;
SELECT * INTO mig.copied2 FROM mig.employee;
CREATE TABLE IF NOT EXISTS mig.copied (id int);
CREATE MATERIALIZED VIEW mig.mat AS SELECT 1 AS one;
CREATE UNIQUE INDEX mat_one ON mig.mat (one);
REFRESH MATERIALIZED VIEW mig.mat;
REFRESH MATERIALIZED VIEW CONCURRENTLY mig.mat;
COMMENT ON COLUMN mig.employee.name IS 'how they are called';
GRANT SELECT, UPDATE (name) ON mig.employee, mig.copied TO mig_role, PUBLIC;
CREATE SCHEMA mig_inner CREATE TABLE a (id int) CREATE VIEW b AS SELECT id FROM a;
REVOKE ALL ON ALL TABLES IN SCHEMA mig_inner FROM PUBLIC;
GRANT USAGE ON SCHEMA mig TO mig_role WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION mig.new TO mig_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA mig GRANT SELECT ON TABLES TO mig_role;
CREATE FUNCTION mig.f(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TRIGGER t BEFORE UPDATE ON mig.employee FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE POLICY p ON mig.employee;
ALTER TABLE mig.copied RENAME TO moved;
DO $$ BEGIN EXECUTE 'CREATE TYPE mig.mood AS ENUM (''ok'')'; EXECUTE 'ALTER TYPE mig.mood ADD VALUE ''good'''; END $$;
SELECT * FROM mig.new();
CREATE SEQUENCE mig.s;
CREATE TABLE mig.numbered (id int DEFAULT nextval('mig.s'));
SELECT count(*) FROM mig.new();
-- Drops: what is named, then what goes with it; one event.
DROP TABLE mig.employee, mig.moved CASCADE;
DROP TABLE IF EXISTS mig.nothing;
DROP FUNCTION mig.f;
DROP SEQUENCE mig.s CASCADE;
DROP SCHEMA mig_inner CASCADE;
SELECT * FROM mig.new();
-- Two statements of one transaction of which each drops and alters.
CREATE TABLE mig.two (a int, b int, c int);
BEGIN; ALTER TABLE mig.two DROP COLUMN a; ALTER TABLE mig.two DROP COLUMN b; ALTER TABLE mig.two RENAME c TO d; COMMIT;
DO $$ BEGIN FOR i IN 1 .. 3 LOOP EXECUTE 'ALTER TABLE mig.two ADD COLUMN e int'; EXECUTE 'ALTER TABLE mig.two DROP COLUMN e'; END LOOP; END $$;
SELECT * FROM mig.new();
-- What others' event triggers drop meanwhile is an event of its own, before or after that of the statement, which has one.
CREATE TABLE mig.outer (a int, b int, c int);
CREATE FUNCTION mig.drop_more() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  IF tg_tag = 'ALTER TABLE' THEN
    DROP VIEW IF EXISTS mig.inner1;
    BEGIN DROP VIEW IF EXISTS mig.inner2; RAISE 'no'; EXCEPTION WHEN raise_exception THEN NULL; END;
  END IF; END $$;
CREATE EVENT TRIGGER zz_mig_late ON sql_drop EXECUTE FUNCTION mig.drop_more();
CREATE VIEW mig.inner1 AS SELECT 1 AS one;
CREATE VIEW mig.inner2 AS SELECT 1 AS one;
BEGIN; ALTER TABLE mig.outer DROP COLUMN a; ALTER TABLE mig.outer DROP COLUMN b; COMMIT;
DROP EVENT TRIGGER zz_mig_late;
CREATE EVENT TRIGGER mig_early ON sql_drop EXECUTE FUNCTION mig.drop_more();
CREATE VIEW mig.inner1 AS SELECT 1 AS one;
ALTER TABLE mig.outer DROP COLUMN c;
DROP EVENT TRIGGER mig_early;
SELECT * FROM mig.new();
-- What is rolled back was no migration.
BEGIN; CREATE TABLE mig.undone (id int); SAVEPOINT a; DROP TABLE mig.undone; ROLLBACK TO a; ROLLBACK;
BEGIN; CREATE TABLE mig.done (id int); SAVEPOINT a; ALTER TABLE mig.done DROP COLUMN id; ROLLBACK TO a; ALTER TABLE mig.done ADD COLUMN x int; COMMIT;
SELECT * FROM mig.new();
-- Temporary objects are none.
CREATE TEMP TABLE t (id serial PRIMARY KEY, name text);
ALTER TABLE t ADD COLUMN x int;
CREATE INDEX ON t (x);
COMMENT ON TABLE t IS 'x';
COMMENT ON CONSTRAINT t_pkey ON t IS 'x';
CREATE TRIGGER t BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE POLICY p ON t;
CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING;
GRANT SELECT ON t TO mig_role;
CREATE TEMP VIEW v AS SELECT 1 AS one;
CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TEMP TABLE t2 AS SELECT 1 AS one;
ALTER TABLE t DROP COLUMN x;
ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER id DROP DEFAULT;
DROP TRIGGER t ON t;
DROP POLICY p ON t;
DROP RULE r ON t;
DROP VIEW v;
DROP TABLE t, t2;
DROP FUNCTION pg_temp.f();
SELECT * FROM mig.new();
-- Chained at the commit; an actor who is known.
SET people_os_spine.chain_at = 'commit';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
BEGIN; CREATE TABLE mig.c (id int); SELECT count(*) FROM mig.new(); DROP TABLE mig.c; COMMIT;
SELECT * FROM mig.new();
SELECT DISTINCT actor_type, actor_id FROM (SELECT * FROM mig.events ORDER BY sequence DESC LIMIT 2) e;
RESET people_os_spine.chain_at;
RESET people_os_spine.actor_id;
-- Whoever runs it, without a right on the spine, and bound to other organizations; in either mode.
GRANT CREATE ON SCHEMA mig TO mig_role;
SELECT spine.grant_emitter('mig_role', ARRAY['00000000-0000-4000-8000-000000000001']::uuid[]);
SELECT spine.revoke_all('mig_role');
INSERT INTO spine.role_bindings VALUES ('mig_role', 'emit', '00000000-0000-4000-8000-000000000001');
SELECT count(*) FROM mig.new();
SET ROLE mig_role;
CREATE TABLE mig.his (id int, x int);
ALTER TABLE mig.his DROP COLUMN x;
SELECT spine.capture_migrations();
SET people_os_spine.chain_at = 'commit';
DROP TABLE mig.his;
RESET people_os_spine.chain_at;
CREATE TABLE mig.his2 (id int);
RESET ROLE;
SELECT * FROM mig.new();
DROP OWNED BY mig_role;
SELECT command, objects LIKE '%dropped table mig.his2%' AS drops_his FROM mig.new();
GRANT USAGE ON SCHEMA spine TO mig_role;
GRANT EXECUTE ON FUNCTION spine.capture_migrations, spine.stop_capturing_migrations TO mig_role;
SET ROLE mig_role;
SELECT spine.capture_migrations();
SELECT spine.stop_capturing_migrations();
RESET ROLE;
SELECT spine.revoke_all('mig_role');
SELECT count(*) FROM mig.new();
-- An extension is one object, its script is its own.
CREATE EXTENSION tcn;
DROP EXTENSION tcn;
SELECT * FROM mig.new();
-- A list that would be too long.
SET people_os_spine.max_payload_size = '1kB';
DO $$ BEGIN FOR i IN 1 .. 40 LOOP EXECUTE format('CREATE TABLE mig.many%s (id int)', i); END LOOP; END $$;
DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE %s', string_agg('mig.many' || i, ', ' ORDER BY i)) FROM generate_series(1, 40) i); END $$;
SELECT jsonb_array_length(payload -> 'objects') AS objects, payload -> 'left_out' AS left_out,
       octet_length(spine.canonical_json(payload)) BETWEEN 950 AND 1024 AS fits FROM mig.events ORDER BY sequence DESC LIMIT 1;
DO $$ BEGIN EXECUTE format('CREATE FUNCTION mig.long(%s) RETURNS int LANGUAGE sql AS $f$ SELECT 1 $f$', (SELECT string_agg('a' || i || ' timestamp with time zone', ', ') FROM generate_series(1, 60) i)); END $$;
SELECT payload FROM mig.events ORDER BY sequence DESC LIMIT 1;
RESET people_os_spine.max_payload_size;
SELECT count(*) FROM mig.new();
-- The wait for the platform's chain at the commit of what runs in no transaction block is not bounded by lock_timeout; the
-- session's stays.
CREATE TABLE mig.stepwise (id int);
SET lock_timeout = '1min';
CREATE INDEX CONCURRENTLY mig_stepwise ON mig.stepwise (id);
SHOW lock_timeout;
RESET lock_timeout;
-- Not seen.
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE CREATE TABLE mig.explained AS SELECT 1 AS a'; END $$;
SELECT * FROM mig.new();
-- No environment: no migration.
SET people_os_spine.environment = DEFAULT;
ALTER DATABASE contrib_regression RESET people_os_spine.environment;
\c -
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
\set VERBOSITY default
CREATE TABLE mig.nowhere (id int);
\set VERBOSITY terse
-- What runs in no transaction block finds out before its work, and leaves nothing half done.
CREATE INDEX CONCURRENTLY mig_nowhere ON mig.stepwise (id);
DROP INDEX CONCURRENTLY mig.mig_stepwise;
SELECT relname, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 'mig.stepwise'::regclass ORDER BY 1;
VACUUM mig.stepwise;
SELECT spine.stop_capturing_migrations();
ALTER DATABASE contrib_regression SET people_os_spine.environment = 'test';
\c -
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
\set VERBOSITY terse
-- The guard and the rule with it.
ALTER TABLE spine.events ADD COLUMN x int;
BEGIN; SET LOCAL people_os_spine.unguard = 'a test'; CREATE INDEX mig_index ON spine.events (actor_id); DROP INDEX spine.mig_index; COMMIT;
CREATE TABLE mig.held (id uuid);
SELECT spine.require_events('mig.held', 'id');
SELECT spine.stop_requiring_events('mig.held');
SELECT * FROM mig.new();
-- Not where they are called as they are not meant to be.
SELECT spine.note_migration();
CREATE EVENT TRIGGER mig_wrong ON table_rewrite EXECUTE FUNCTION spine.note_migration();
ALTER TABLE mig.held ALTER id TYPE text;
DROP EVENT TRIGGER mig_wrong;
-- Twice is once; and stopped.
SELECT spine.capture_migrations();
CREATE TABLE mig.last (id int);
SELECT spine.stop_capturing_migrations();
SELECT spine.stop_capturing_migrations();
DROP TABLE mig.last;
SELECT * FROM mig.new();
SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE 'people_os_spine_mig%';
SELECT intact FROM spine.verify_chain('00000000-0000-0000-0000-000000000000');
DROP SCHEMA mig CASCADE;
DROP ROLE mig_role;
