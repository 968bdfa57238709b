-- The guard: DDL that could change or expose stored events, or replace what the spine runs.
\set VERBOSITY terse
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000a0a0d';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
CREATE ROLE guard_owner;
CREATE SCHEMA guard;
CREATE FOREIGN DATA WRAPPER guard_wrapper;
CREATE SERVER guard_server FOREIGN DATA WRAPPER guard_wrapper;
SELECT spine.emit_event('hcm.employee.created', entity_id => spine.entity_uuid('hcm', 'employee', 'g')) AS id \gset

-- Its message, once.
\set VERBOSITY default
ALTER TABLE spine.events DISABLE TRIGGER ALL;
\set VERBOSITY sqlstate
ALTER TABLE spine.events DISABLE TRIGGER ALL;
\set VERBOSITY terse

-- The table.
ALTER TABLE spine.events DISABLE TRIGGER zz_chain_event;
ALTER TABLE spine.events ENABLE REPLICA TRIGGER refuse_change;
ALTER TABLE spine.events ENABLE TRIGGER refuse_change;
ALTER TABLE spine.events ALTER payload TYPE jsonb USING '{}';
ALTER TABLE spine.events DROP COLUMN payload;
ALTER TABLE spine.events ADD COLUMN tag text;
ALTER TABLE spine.events ALTER severity SET DEFAULT 'low', ALTER severity DROP NOT NULL;
ALTER TABLE spine.events DROP CONSTRAINT events_pkey;
ALTER TABLE spine.events ADD CHECK (action <> 'x');
ALTER TABLE spine.events SET UNLOGGED;
ALTER TABLE spine.events SET SCHEMA public;
ALTER TABLE spine.events SET ACCESS METHOD heap;
ALTER TABLE spine.events OWNER TO guard_owner;
ALTER TABLE spine.events RENAME TO other;
ALTER TABLE spine.events RENAME COLUMN payload TO other;
ALTER TABLE spine.events RENAME CONSTRAINT events_pkey TO other;
ALTER TABLE spine.events DISABLE ROW LEVEL SECURITY;
ALTER TABLE spine.events FORCE ROW LEVEL SECURITY;
ALTER TABLE spine.events SET (fillfactor = 90), DISABLE RULE nothing;
ALTER TABLE spine.events INHERIT guard.nothing;
ALTER TABLE spine.events ATTACH PARTITION guard.nothing DEFAULT;
ALTER TABLE spine.events CLUSTER ON events_pkey, DISABLE TRIGGER USER;
SET search_path = spine;
ALTER TABLE IF EXISTS ONLY events DISABLE TRIGGER ALL;
RESET search_path;
DO $$ BEGIN EXECUTE 'ALTER TABLE spine.events DISABLE TRIGGER ALL'; END $$;

-- What hangs on it.
ALTER TRIGGER zz_chain_event ON spine.events RENAME TO a;
ALTER TRIGGER zz_chain_event ON spine.events DEPENDS ON EXTENSION plpgsql;
DROP TRIGGER zz_chain_event ON spine.events;
CREATE OR REPLACE TRIGGER refuse_change BEFORE DELETE ON spine.events EXECUTE FUNCTION spine.refuse_change();
CREATE TRIGGER zzz BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE RULE nothing AS ON INSERT TO spine.events DO INSTEAD NOTHING;
CREATE POLICY everything ON spine.events;
ALTER POLICY read_given ON spine.events USING (true);
DROP POLICY read_given ON spine.events;
CREATE TABLE guard.child () INHERITS (spine.events);
CREATE FOREIGN TABLE guard.far () INHERITS (spine.events) SERVER guard_server;
CREATE TABLE guard.like (LIKE spine.events INCLUDING ALL);
ALTER TABLE guard.like INHERIT spine.events;
CREATE TABLE guard.parent (LIKE spine.events) PARTITION BY LIST (environment);
ALTER TABLE guard.parent ATTACH PARTITION spine.events DEFAULT;

-- What goes.
DROP TABLE spine.events;
DROP SCHEMA spine CASCADE;
DROP EXTENSION people_os_spine;
DROP TYPE spine.severity CASCADE;
DROP FUNCTION spine.chain_event() CASCADE;
DROP EVENT TRIGGER people_os_spine_guard;
TRUNCATE spine.events;
TRUNCATE spine.events CASCADE;

-- Types, functions, schema, extension, the guard itself.
ALTER TYPE spine.severity RENAME VALUE 'low' TO 'high';
ALTER TYPE spine.severity ADD VALUE 'none';
ALTER TYPE spine.severity RENAME TO other;
ALTER TYPE spine.severity SET SCHEMA public;
ALTER TYPE spine.severity OWNER TO guard_owner;
CREATE OR REPLACE FUNCTION spine.chain_event() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION spine.emit_event(integer) RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
CREATE AGGREGATE spine.emit_event(integer) (sfunc = int4pl, stype = integer);
ALTER FUNCTION spine.chain_event() OWNER TO guard_owner;
ALTER FUNCTION spine.chain_event() RENAME TO other;
ALTER FUNCTION spine.chain_event() SET SCHEMA public;
ALTER FUNCTION spine.chain_event() SECURITY DEFINER;
ALTER FUNCTION spine.chain_event() DEPENDS ON EXTENSION plpgsql;
CREATE OR REPLACE VIEW spine.verify_progress AS SELECT 1;
ALTER SCHEMA spine RENAME TO other;
ALTER SCHEMA spine OWNER TO guard_owner;
REASSIGN OWNED BY CURRENT_USER TO guard_owner;
ALTER EXTENSION people_os_spine DROP TABLE spine.events;
ALTER EXTENSION people_os_spine ADD TABLE guard.like;
ALTER EVENT TRIGGER people_os_spine_guard DISABLE;
ALTER EVENT TRIGGER people_os_spine_guard RENAME TO other;
ALTER EVENT TRIGGER people_os_spine_guard OWNER TO CURRENT_USER;

-- Stored events, with the triggers switched off by whoever could.
BEGIN;
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER ALL;
CALL guard_on();
SAVEPOINT s;
UPDATE spine.events SET payload = '{}' WHERE false;
ROLLBACK TO s;
DELETE FROM spine.events;
ROLLBACK TO s;
TRUNCATE spine.events;
ROLLBACK TO s;
WITH gone AS (DELETE FROM spine.events RETURNING 1) SELECT count(*) FROM gone;
ROLLBACK TO s;
MERGE INTO spine.events e USING (SELECT 1) u ON true WHEN MATCHED THEN UPDATE SET payload = '{}';
ROLLBACK TO s;
MERGE INTO spine.events e USING (SELECT 1) u ON true WHEN MATCHED THEN DELETE;
ROLLBACK TO s;
INSERT INTO spine.events SELECT * FROM spine.events ON CONFLICT (organization_id, sequence, "timestamp") DO UPDATE SET payload = '{}';
ROLLBACK TO s;
CREATE VIEW guard.window AS SELECT * FROM spine.events;
UPDATE guard.window SET payload = '{}';
ROLLBACK TO s;
CREATE TABLE guard.business (id int);
CREATE RULE elsewhere AS ON UPDATE TO guard.business DO ALSO DELETE FROM spine.events;
UPDATE guard.business SET id = 1;
ROLLBACK TO s;
CREATE FUNCTION guard.change() RETURNS void LANGUAGE sql AS $$ DELETE FROM spine.events $$;
SELECT guard.change();
ROLLBACK TO s;
PREPARE change AS UPDATE spine.events SET payload = '{}';
EXECUTE change;
ROLLBACK TO s;
DECLARE c CURSOR FOR SELECT * FROM spine.events FOR UPDATE;
FETCH c \gset c_
UPDATE spine.events SET payload = '{}' WHERE CURRENT OF c;
ROLLBACK TO s;
COPY (DELETE FROM spine.events RETURNING 1) TO STDOUT;
ROLLBACK TO s;
SET LOCAL session_replication_role = replica;
DELETE FROM spine.events;
ROLLBACK;
SELECT id = :'id' AS still_there, payload FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-0000000a0a0d';

-- Honest work goes on.
GRANT SELECT ON spine.events TO guard_owner;
REVOKE SELECT ON spine.events FROM guard_owner;
VACUUM spine.events;
VACUUM (FULL, ANALYZE) spine.events;
REINDEX TABLE spine.events;
REINDEX TABLE CONCURRENTLY spine.events;
CREATE INDEX by_actor ON spine.events (actor_id);
DROP INDEX spine.by_actor;
CREATE INDEX CONCURRENTLY by_name ON spine.events_default ((payload ->> 'name'));
DROP INDEX CONCURRENTLY spine.by_name;
CREATE STATISTICS guard.related ON domain, action FROM spine.events;
DROP STATISTICS guard.related;
CLUSTER spine.events USING events_pkey;
COMMENT ON TABLE spine.events IS 'Every event';
COMMENT ON TABLE spine.events IS 'Every event, immutable: written by spine.emit_event (or INSERT), checked by spine.verify_chain';
ALTER TABLE spine.events_default SET (autovacuum_vacuum_scale_factor = 0.1), ALTER actor_id SET STATISTICS 1000, ALTER payload SET STORAGE EXTENDED,
  SET WITHOUT CLUSTER;
ALTER TABLE spine.events_default RESET (autovacuum_vacuum_scale_factor), ALTER actor_id SET STATISTICS -1, REPLICA IDENTITY DEFAULT;
CREATE TABLE guard.note (organization_id uuid, sequence bigint, "timestamp" timestamptz, FOREIGN KEY (organization_id, sequence, "timestamp") REFERENCES spine.events);
INSERT INTO guard.note SELECT organization_id, sequence, "timestamp" FROM spine.events WHERE id = :'id';
DROP TABLE guard.note;
ALTER EXTENSION people_os_spine UPDATE;
CREATE TABLE guard.events (id int);
ALTER TABLE guard.events ADD COLUMN x int;
CREATE TRIGGER t BEFORE INSERT ON guard.events EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE VIEW guard.window AS SELECT * FROM spine.events;
CREATE MATERIALIZED VIEW guard.copy AS SELECT * FROM spine.events;
REFRESH MATERIALIZED VIEW guard.copy;
-- So does the same work on what is not the spine's.
CREATE TABLE guard.own (id int CONSTRAINT positive CHECK (id > 0));
CREATE TABLE guard.heir () INHERITS (guard.own);
CREATE FOREIGN TABLE guard.far () INHERITS (guard.own) SERVER guard_server;
ALTER TABLE guard.own RENAME COLUMN id TO number;
ALTER TABLE guard.own RENAME CONSTRAINT positive TO above_zero;
ALTER TABLE guard.own DROP CONSTRAINT above_zero;
CREATE RULE nothing AS ON DELETE TO guard.own DO INSTEAD NOTHING;
CREATE POLICY everything ON guard.own;
ALTER POLICY everything ON guard.own USING (true);
DROP POLICY everything ON guard.own;
ALTER TRIGGER t ON guard.events RENAME TO u;
ALTER TRIGGER u ON guard.events DEPENDS ON EXTENSION plpgsql;
DROP TRIGGER u ON guard.events;
CREATE TYPE guard.colour AS ENUM ('red');
ALTER TYPE guard.colour ADD VALUE 'green';
ALTER TYPE guard.colour RENAME TO shade;
ALTER TYPE guard.shade OWNER TO guard_owner;
ALTER TYPE guard.shade SET SCHEMA public;
CREATE DOMAIN guard.even AS int CONSTRAINT even CHECK (VALUE % 2 = 0);
ALTER DOMAIN guard.even RENAME CONSTRAINT even TO halves;
ALTER DOMAIN guard.even RENAME TO pairs;
CREATE FUNCTION guard.emit_event(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE guard.total(integer) (sfunc = int4pl, stype = integer);
ALTER FUNCTION guard.emit_event STABLE;
ALTER FUNCTION guard.emit_event DEPENDS ON EXTENSION plpgsql;
ALTER EXTENSION plpgsql ADD FUNCTION guard.emit_event;
ALTER EXTENSION plpgsql DROP FUNCTION guard.emit_event;
CREATE EVENT TRIGGER guard_other ON sql_drop EXECUTE FUNCTION spine.guard_ddl();
ALTER EVENT TRIGGER guard_other DISABLE;
DROP EVENT TRIGGER guard_other;
REASSIGN OWNED BY guard_owner TO CURRENT_USER;
ALTER SCHEMA guard RENAME TO guard_renamed;
\set VERBOSITY sqlstate
DROP SCHEMA guard_renamed CASCADE;
\set VERBOSITY terse
DROP TYPE shade;
DROP FOREIGN DATA WRAPPER guard_wrapper CASCADE;

-- On purpose: it takes a superuser and a reason, in the session, and is itself an event, which comes first.
SET ROLE guard_owner;
SET people_os_spine.unguard = 'me';
RESET ROLE;
\set VERBOSITY default
ALTER DATABASE contrib_regression SET people_os_spine.unguard = 'always';
ALTER SYSTEM SET people_os_spine.unguard = 'always';
\set VERBOSITY terse
BEGIN;
SET LOCAL people_os_spine.unguard = 'ticket 4711';
ALTER TABLE spine.events ADD COLUMN tag text;
ALTER TABLE spine.events DROP COLUMN tag;
DO $$ BEGIN DROP TRIGGER refuse_change ON spine.events; ALTER TABLE spine.events ALTER severity SET DEFAULT 'low'; END $$;
SET LOCAL people_os_spine.chain_at = commit;
ALTER TABLE spine.events ALTER previous_hash TYPE bytea USING previous_hash;
SELECT actor_id, organization_id, entity_id = spine.entity_uuid('platform', 'spine', 'people_os_spine') AS the_spine, severity, event_type, sequence - min(sequence) OVER () AS n,
       jsonb_pretty(payload) AS payload
  FROM spine.events WHERE transaction_id = pg_current_xact_id() ORDER BY sequence;
SELECT intact FROM spine.verify_chain('00000000-0000-0000-0000-000000000000');
UPDATE spine.events SET payload = '{}';
ROLLBACK;
-- What an administrator added is guarded too: a constraint does not go with a function that it calls.
BEGIN;
CREATE FUNCTION known_action(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
SET LOCAL people_os_spine.unguard = 'ticket 4715';
ALTER TABLE spine.events ADD CONSTRAINT known_action CHECK (known_action(action));
SET LOCAL people_os_spine.unguard = '';
DROP FUNCTION known_action CASCADE;
ROLLBACK;
-- Cascades are one statement.
BEGIN;
SET LOCAL people_os_spine.unguard = 'ticket 4712';
DROP SCHEMA spine CASCADE;
ROLLBACK;
-- Without an environment it could not be recorded.
BEGIN;
SET LOCAL people_os_spine.environment = '';
SET LOCAL people_os_spine.unguard = 'ticket 4713';
ALTER TABLE spine.events DISABLE TRIGGER ALL;
ROLLBACK;
SELECT spine.guard_ddl();
DROP ROLE guard_owner;
