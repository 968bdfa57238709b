-- Every kind of statement that can name something of the spine's: refused by the guard, or on the list of what is
-- harmless. Each is run and rolled back. What the guard does not refuse, the server may: then the table says how.
\set VERBOSITY terse
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SET client_min_messages = error;
CREATE ROLE statements_role;
CREATE SCHEMA statements;
CREATE TABLE statements.own (LIKE spine.events);
CREATE TYPE statements.kind AS ENUM ('a');
CREATE FUNCTION statements.text_of(jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
CREATE FUNCTION statements.low(spine.severity) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION statements.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FOREIGN DATA WRAPPER statements_wrapper;
CREATE SERVER statements_server FOREIGN DATA WRAPPER statements_wrapper;
CREATE PUBLICATION statements_publication;
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  how text;
BEGIN
  BEGIN
    EXECUTE statement;
    RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = 'rolled back';
  EXCEPTION WHEN OTHERS THEN
    how := CASE SQLSTATE WHEN 'ZZ000' THEN 'passes' WHEN 'SP024' THEN 'refused' ELSE SQLSTATE || ' ' || SQLERRM END;
  END;
  RETURN how;
END $$;
CREATE TEMP TABLE judged (n integer GENERATED ALWAYS AS IDENTITY, wanted text, statement text);

INSERT INTO judged (wanted, statement) SELECT 'refused', unnest(ARRAY[
  -- Views
  'ALTER VIEW spine.audit_log SET (security_invoker = false)',
  'ALTER VIEW spine.audit_log RESET (security_invoker)',
  'ALTER VIEW spine.audit_log SET (security_barrier = true)',
  'ALTER VIEW spine.audit_log SET (check_option = local)',
  'ALTER TABLE spine.audit_log SET (security_invoker = false)',
  'ALTER VIEW spine.audit_log ALTER COLUMN moment SET DEFAULT now()',
  'ALTER VIEW spine.audit_log RENAME COLUMN moment TO other',
  'ALTER VIEW spine.audit_log RENAME TO other',
  'ALTER VIEW spine.audit_log SET SCHEMA statements',
  'ALTER VIEW spine.audit_log OWNER TO statements_role',
  'CREATE OR REPLACE VIEW spine.audit_log AS SELECT 1',
  'CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO spine.audit_log DO INSTEAD SELECT * FROM spine.audit_log',
  'CREATE RULE r AS ON INSERT TO spine.audit_log DO INSTEAD NOTHING',
  'CREATE TRIGGER t INSTEAD OF INSERT ON spine.audit_log FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
  -- Tables, indexes, sequences
  'ALTER TABLE spine.events SET (user_catalog_table = true)',
  'ALTER TABLE spine.events SET (fillfactor = 90, user_catalog_table = true)',
  'ALTER TABLE spine.events REPLICA IDENTITY NOTHING',
  'ALTER TABLE spine.role_bindings REPLICA IDENTITY NOTHING',
  'ALTER TABLE spine.role_bindings DISABLE TRIGGER ALL',
  'ALTER TABLE spine.daily_counts ADD COLUMN x integer',
  'ALTER INDEX spine.events_pkey RENAME TO other',
  'ALTER TABLE spine.events_pkey RENAME TO other',
  'ALTER INDEX spine.events_entity_id_sequence_idx RENAME TO other',
  'ALTER TABLE spine.events RENAME CONSTRAINT events_pkey TO other',
  'ALTER INDEX spine.events_pkey DEPENDS ON EXTENSION plpgsql',
  'DROP INDEX spine.events_entity_id_sequence_idx',
  'DROP INDEX spine.events_timestamp_idx',
  'DROP INDEX spine.daily_counts_day_idx',
  'CREATE UNIQUE INDEX once ON spine.events (entity_id)',
  'CREATE INDEX told ON spine.events (statements.text_of(payload))',
  'CREATE INDEX told ON spine.events (id) WHERE statements.text_of(payload) <> ''x''',
  'CREATE STATISTICS statements.told ON (statements.text_of(payload)), (domain) FROM spine.events',
  'ALTER SEQUENCE spine.subscription_batch RESTART',
  'ALTER SEQUENCE spine.subscription_batch OWNED BY NONE',
  'ALTER SEQUENCE spine.subscription_batch RENAME TO other',
  'CREATE TABLE spine.mine (id integer)',
  'CREATE TABLE spine.mine AS SELECT 1',
  'SELECT 1 AS one INTO spine.mine',
  'CREATE UNLOGGED TABLE spine.mine (id integer)',
  'CREATE VIEW spine.mine AS SELECT 1',
  'CREATE MATERIALIZED VIEW spine.mine AS SELECT 1',
  'CREATE SEQUENCE spine.mine',
  'CREATE FOREIGN TABLE spine.mine (id integer) SERVER statements_server',
  'CREATE TABLE statements.child () INHERITS (spine.events)',
  'CREATE TABLE statements.child () INHERITS (spine.role_bindings)',
  'ALTER TABLE statements.own INHERIT spine.events',
  'ALTER TABLE statements.own SET SCHEMA spine',
  'CREATE TRIGGER t AFTER INSERT ON spine.role_bindings FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
  'CREATE CONSTRAINT TRIGGER t AFTER INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
  'CREATE RULE r AS ON SELECT TO spine.events DO INSTEAD SELECT * FROM spine.events',
  'CREATE POLICY p ON spine.role_bindings',
  'DROP POLICY insert_any ON spine.events',
  -- Functions, types, operators, casts and what else lies in a schema
  'CREATE FUNCTION spine.mine() RETURNS integer LANGUAGE sql AS ''SELECT 1''',
  'CREATE PROCEDURE spine.mine() LANGUAGE sql AS ''SELECT 1''',
  'CREATE AGGREGATE spine.mine(integer) (sfunc = int4pl, stype = integer)',
  'CREATE OPERATOR spine.=== (leftarg = integer, rightarg = integer, function = int4eq)',
  'CREATE TYPE spine.mine',
  'CREATE TYPE spine.mine AS (x integer)',
  'CREATE TYPE spine.mine AS ENUM ()',
  'CREATE TYPE spine.mine AS RANGE (subtype = integer)',
  'CREATE DOMAIN spine.mine AS integer',
  'CREATE COLLATION spine.mine FROM "C"',
  'CREATE CONVERSION spine.mine FOR ''LATIN1'' TO ''UTF8'' FROM iso8859_1_to_utf8',
  'CREATE OPERATOR FAMILY spine.mine USING btree',
  'CREATE OPERATOR CLASS spine.mine FOR TYPE statements.kind USING btree AS STORAGE statements.kind',
  'CREATE TEXT SEARCH CONFIGURATION spine.mine (COPY = simple)',
  'CREATE TEXT SEARCH DICTIONARY spine.mine (template = simple)',
  'CREATE STATISTICS spine.mine ON domain, action FROM statements.own',
  'CREATE CAST (spine.severity AS integer) WITH FUNCTION statements.low(spine.severity)',
  'ALTER FUNCTION spine.chain_event() SET search_path = public',
  'ALTER FUNCTION spine.chain_event() RESET ALL',
  'ALTER FUNCTION spine.chain_event() STRICT',
  'ALTER ROUTINE spine.verify_chain LEAKPROOF',
  'ALTER FUNCTION spine.chain_event() DEPENDS ON EXTENSION plpgsql',
  'ALTER FUNCTION statements.text_of SET SCHEMA spine',
  'ALTER TYPE statements.kind SET SCHEMA spine',
  'ALTER TYPE spine.severity ADD VALUE ''none''',
  'ALTER TYPE spine.severity RENAME VALUE ''low'' TO ''none''',
  -- Rights
  'GRANT UPDATE ON spine.events TO statements_role',
  'GRANT ALL ON spine.events TO statements_role',
  'GRANT UPDATE ON contrib_regression.spine.events TO statements_role',
  'CREATE TABLE contrib_regression.spine.mine (id integer)',
  'REASSIGN OWNED BY CURRENT_USER, statements_role TO statements_role',
  'GRANT TRIGGER, REFERENCES ON spine.events TO statements_role',
  'GRANT UPDATE (payload) ON spine.events TO statements_role',
  'GRANT SELECT ON spine.events TO PUBLIC',
  'GRANT INSERT ON spine.role_bindings TO statements_role',
  'GRANT SELECT ON spine.role_bindings TO statements_role',
  'GRANT UPDATE ON spine.subscription_positions TO statements_role',
  'GRANT USAGE ON SEQUENCE spine.subscription_batch TO statements_role',
  'GRANT SELECT ON ALL TABLES IN SCHEMA spine TO statements_role',
  'GRANT CREATE ON SCHEMA spine TO statements_role',
  'GRANT USAGE ON SCHEMA spine TO PUBLIC',
  'GRANT EXECUTE ON FUNCTION spine.emit_event TO PUBLIC',
  'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA spine TO PUBLIC',
  'GRANT USAGE ON TYPE spine.severity TO PUBLIC',
  'GRANT SET ON PARAMETER people_os_spine.unguard TO statements_role',
  'ALTER DEFAULT PRIVILEGES IN SCHEMA spine GRANT SELECT ON TABLES TO statements_role',
  -- Schema, extension, event triggers
  'ALTER SCHEMA spine RENAME TO other',
  'ALTER SCHEMA spine OWNER TO statements_role',
  'ALTER EXTENSION people_os_spine ADD TABLE statements.own',
  'ALTER EXTENSION people_os_spine DROP VIEW spine.audit_log',
  'ALTER EXTENSION plpgsql ADD SCHEMA spine',
  'ALTER EXTENSION people_os_spine SET SCHEMA statements',
  'ALTER EVENT TRIGGER people_os_spine_partitions DISABLE',
  'ALTER EVENT TRIGGER people_os_spine_partitions RENAME TO other',
  'IMPORT FOREIGN SCHEMA far FROM SERVER statements_server INTO spine',
  'SECURITY LABEL ON TABLE spine.events IS ''x''',
  'SECURITY LABEL ON FUNCTION spine.chain_event IS ''x''',
  -- Rows of catalogs
  'UPDATE pg_class SET relfilenode = relfilenode WHERE oid = ''spine.events''::regclass',
  'UPDATE pg_class SET reloptions = NULL WHERE false',
  'WITH gone AS (DELETE FROM pg_trigger WHERE false RETURNING 1) SELECT count(*) FROM gone',
  'INSERT INTO pg_inherits SELECT * FROM pg_inherits WHERE false',
  'MERGE INTO pg_proc p USING (SELECT 1) s ON false WHEN MATCHED THEN DELETE',
  'COPY pg_depend FROM ''/dev/null''',
  'UPDATE pg_attribute SET attnotnull = false WHERE false',
  'UPDATE pg_authid SET rolsuper = false WHERE false',
  'UPDATE pg_extension SET extname = extname']);

-- Of spine.events what the server allows of a partitioned table, within a transaction; partition_guard.sql has its partitions.
INSERT INTO judged (wanted, statement) SELECT 'passes', unnest(ARRAY[
  'ALTER TABLE spine.events ALTER payload SET STATISTICS 100, ALTER payload SET (n_distinct = 5), ALTER payload SET COMPRESSION pglz',
  'ALTER TABLE spine.events REPLICA IDENTITY FULL',
  'ALTER TABLE spine.events VALIDATE CONSTRAINT events_sequence_check',
  'ALTER INDEX spine.events_pkey SET TABLESPACE pg_default',
  'CREATE INDEX added ON spine.events (actor_id)',
  'CREATE INDEX added ON spine.events ((payload ->> ''name'')) WHERE severity = ''high''',
  'DO $$BEGIN CREATE INDEX added ON spine.events (actor_id); DROP INDEX spine.added; END$$',
  'CREATE STATISTICS statements.related ON domain, action FROM spine.events',
  'ANALYZE spine.events',
  'LOCK TABLE spine.events IN SHARE MODE',
  'COMMENT ON VIEW spine.audit_log IS ''x''',
  'COMMENT ON FUNCTION spine.chain_event() IS ''x''',
  'GRANT SELECT, INSERT ON spine.events TO statements_role',
  'GRANT SELECT ON spine.audit_log, spine.chain_status TO statements_role WITH GRANT OPTION',
  'GRANT EXECUTE ON FUNCTION spine.emit_event TO statements_role',
  'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA spine TO statements_role',
  'GRANT USAGE ON SCHEMA spine TO statements_role',
  'GRANT USAGE ON TYPE spine.severity TO statements_role',
  'REVOKE ALL ON ALL TABLES IN SCHEMA spine FROM statements_role',
  'REVOKE EXECUTE ON FUNCTION spine.emit_event FROM PUBLIC',
  'SELECT spine.grant_auditor(''statements_role'')',
  'ALTER DEFAULT PRIVILEGES IN SCHEMA spine REVOKE SELECT ON TABLES FROM statements_role',
  'ALTER PUBLICATION statements_publication ADD TABLE spine.events',
  'CREATE PUBLICATION statements_all FOR TABLES IN SCHEMA spine',
  'CREATE TABLE statements.copy (LIKE spine.events INCLUDING ALL)',
  'CREATE TABLE statements.note (o uuid, s bigint, t timestamptz, FOREIGN KEY (o, s, t) REFERENCES spine.events)',
  'CREATE VIEW statements.seen AS SELECT * FROM spine.events',
  'CREATE FUNCTION statements.of(spine.events) RETURNS spine.severity LANGUAGE sql AS ''SELECT ($1).severity''',
  'CREATE SCHEMA IF NOT EXISTS spine',
  'ALTER EXTENSION people_os_spine UPDATE',
  'CREATE EVENT TRIGGER statements_ddl ON ddl_command_end EXECUTE FUNCTION statements.on_ddl()',
  'ALTER TYPE statements.kind ADD VALUE ''b''',
  'CREATE CAST (statements.kind AS integer) WITH INOUT',
  'UPDATE pg_database SET datconnlimit = datconnlimit WHERE false',
  'UPDATE pg_description SET description = description WHERE false',
  -- Others' work of every kind, of which the server tells the guard.
  'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO statements_role',
  'ALTER DEFAULT PRIVILEGES IN SCHEMA statements GRANT SELECT ON TABLES TO statements_role',
  'DO $$BEGIN CREATE ROLE statements_other; GRANT statements_other TO statements_role; ALTER ROLE statements_other SET work_mem = 64; DROP ROLE statements_other; END$$',
  'CREATE USER MAPPING FOR statements_role SERVER statements_server',
  'CREATE ACCESS METHOD statements_method TYPE TABLE HANDLER heap_tableam_handler',
  'CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal))',
  'CREATE TEXT SEARCH CONFIGURATION statements.words (COPY = simple)',
  'CREATE OPERATOR statements.=== (leftarg = integer, rightarg = integer, function = int4eq)',
  'CREATE OPERATOR CLASS statements.kinds FOR TYPE integer USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(integer, integer)',
  'CREATE COLLATION statements.bytes FROM "C"',
  'CREATE CONVERSION statements.latin FOR ''LATIN1'' TO ''UTF8'' FROM iso8859_1_to_utf8',
  'CREATE DOMAIN statements.positive AS integer DEFAULT 1 CHECK (VALUE > 0)',
  'CREATE TYPE statements.span AS RANGE (subtype = integer)',
  'DO $$BEGIN CREATE TABLE statements.t (id serial PRIMARY KEY, x text DEFAULT ''x'') PARTITION BY RANGE (id); CREATE TABLE statements.p PARTITION OF statements.t DEFAULT; CREATE INDEX ON statements.t (x); ALTER TABLE statements.t DETACH PARTITION statements.p; ALTER TABLE statements.t ALTER x DROP DEFAULT; DROP TABLE statements.t, statements.p; END$$',
  'DO $$BEGIN PERFORM lo_unlink(lo_create(4711)); END$$',
  'ALTER DATABASE contrib_regression SET work_mem = 64',
  'DROP SCHEMA statements CASCADE',
  'DROP OWNED BY statements_role']);

SELECT wanted, statement, outcome(statement) AS happened INTO TEMP came FROM judged ORDER BY n;
SELECT wanted, count(*) FROM came GROUP BY 1 ORDER BY 1;
SELECT * FROM came WHERE happened <> wanted;
RESET client_min_messages;

-- What is let through on purpose is recorded, and what is harmless is not.
BEGIN;
SET LOCAL people_os_spine.unguard = 'ticket 4716';
ALTER VIEW spine.audit_log SET (security_barrier = true);
GRANT SELECT ON spine.role_bindings TO statements_role;
GRANT SELECT ON spine.events TO statements_role;
COMMENT ON VIEW spine.audit_log IS 'x';
UPDATE pg_class SET relname = relname WHERE relname = 'nothing';
CREATE CAST (spine.severity AS integer) WITH FUNCTION statements.low(spine.severity);
DROP INDEX spine.events_timestamp_idx;
ALTER DEFAULT PRIVILEGES IN SCHEMA spine GRANT SELECT ON TABLES TO statements_role;
SELECT payload ->> 'command' AS command, payload ->> 'object' AS object FROM spine.events WHERE transaction_id = pg_current_xact_id() ORDER BY sequence;
SELECT intact FROM spine.verify_chain('00000000-0000-0000-0000-000000000000');
ROLLBACK;

-- What has nothing to do with the spine gets the server's own words, in its own order.
CREATE TEMP VIEW statements.v AS SELECT 1;
CREATE TEMP TABLE statements.t (id integer);
CREATE TEMP SEQUENCE statements.s;
CREATE OR REPLACE TEMP VIEW nowhere.v AS SELECT 1;
CREATE TABLE statements.child () INHERITS (nowhere.parent);
CREATE VIEW nowhere.spine.v AS SELECT 1;
ALTER TABLE nowhere.t ADD COLUMN x integer;
GRANT SELECT ON nowhere.t TO statements_role;
GRANT SELECT ON statements.own TO nobody;
SECURITY LABEL ON TABLE nowhere.t IS 'x';
BEGIN;
ALTER TABLE nowhere.t DETACH PARTITION nowhere.p CONCURRENTLY;
ROLLBACK;
BEGIN READ ONLY;
ALTER TABLE nowhere.t ADD COLUMN x integer;
ROLLBACK;
BEGIN READ ONLY;
ALTER TABLE spine.events DISABLE TRIGGER ALL;
ROLLBACK;

-- What verify_guards says of what somebody did without the guard.
CREATE FUNCTION told() RETURNS TABLE (guard text, found text) LANGUAGE sql AS 'SELECT guard, found FROM spine.verify_guards() WHERE NOT ok';
BEGIN;
CALL guard_off();
ALTER VIEW spine.audit_log SET (security_invoker = false);
ALTER VIEW spine.activity_feed OWNER TO statements_role;
GRANT SELECT ON spine.role_bindings TO statements_role;
GRANT USAGE ON SEQUENCE spine.subscription_batch TO statements_role;
GRANT CREATE ON SCHEMA spine TO statements_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA spine GRANT SELECT ON TABLES TO statements_role;
CREATE CAST (spine.severity AS integer) WITH FUNCTION statements.low(spine.severity);
CREATE TABLE spine.mine (id integer);
DROP INDEX spine.events_timestamp_idx;
CALL guard_on();
SELECT * FROM told();
ROLLBACK;
SELECT * FROM told();
DROP FUNCTION told, outcome;
DROP PUBLICATION statements_publication;
\set VERBOSITY sqlstate
DROP SCHEMA statements CASCADE;
DROP FOREIGN DATA WRAPPER statements_wrapper CASCADE;
DROP ROLE statements_role;
