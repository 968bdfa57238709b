-- Where Citus has distributed a table of the spine, nothing answers as if it were whole: SP170. A table of the same
-- shape stands in for Citus's catalog.
CREATE FUNCTION answer(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN 'answered';
EXCEPTION WHEN OTHERS THEN
  RETURN CASE SQLSTATE WHEN 'SP170' THEN 'refused' ELSE SQLSTATE || ' ' || SQLERRM END;
END $$;
-- A call of each function of the spine's, with arguments that it takes.
CREATE FUNCTION example(name text, type regtype) RETURNS text LANGUAGE sql AS $$
  SELECT CASE
    WHEN name = 'event_type' THEN quote_literal('hcm.employee.created')
    WHEN name = 'domain' THEN quote_literal('hcm')
    WHEN name = 'entity_type' THEN quote_literal('employee')
    WHEN name = 'reason' THEN quote_literal('a test')
    WHEN name = 'name' THEN quote_literal('hcm.employee.moved')
    WHEN name = 'entity_id_column' THEN quote_literal('entity_id')
    WHEN name = 'verdict' THEN quote_literal('confirmed')
    WHEN name = 'subject' THEN quote_literal('organization')
    WHEN name = 'step' THEN quote_literal('day')
    WHEN name = 'dimension' THEN quote_literal('event_type')
    WHEN name = 'parts' THEN quote_literal('{personal}')
    WHEN name IN ('ends', 'until', 'to_moment') THEN quote_literal('2027-01-01 00:00:00Z')
    WHEN name = 'since' THEN quote_literal('2025-06-01 00:00:00Z')
    WHEN type = 'regprocedure'::regtype THEN quote_literal('pg_sleep(double precision)')
    WHEN name = 'events' AND type = 'jsonb'::regtype THEN quote_literal('[{"event_type": "hcm.employee.created"}]')
    WHEN name IN ('event_id', 'key') THEN 'NULL'
    WHEN type = 'uuid'::regtype THEN quote_literal('aaaaaaaa-0000-4000-8000-000000000001')
    WHEN type = 'uuid[]'::regtype THEN quote_literal('{aaaaaaaa-0000-4000-8000-000000000001}')
    WHEN type = 'regclass'::regtype THEN quote_literal('copy')
    WHEN type = 'regrole'::regtype THEN quote_literal('pg_monitor')
    WHEN type = 'timestamptz'::regtype THEN quote_literal('2026-01-01 00:00:00Z')
    WHEN type = 'jsonb'::regtype THEN quote_literal('{}')
    WHEN type = 'interval'::regtype THEN quote_literal('1 day')
    WHEN type = 'boolean'::regtype THEN 'false'
    WHEN type IN ('integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'double precision'::regtype) THEN '1'
    WHEN type = 'bytea'::regtype THEN quote_literal('\x00')
    WHEN type = 'text[]'::regtype THEN quote_literal('{n}')
    WHEN type = 'bigint[]'::regtype THEN quote_literal('{1}')
    WHEN type = 'text'::regtype THEN quote_literal('x')
    ELSE 'NULL' END || '::' || type::text $$;
CREATE VIEW calls AS
  SELECT p.proname, format('SELECT * FROM spine.%I(%s)', p.proname, string_agg(example(a.name, a.type), ', ' ORDER BY a.n)) AS statement
    FROM pg_proc p
    LEFT JOIN LATERAL (SELECT n, p.proargnames[n] AS name, p.proargtypes[n - 1]::regtype AS type FROM generate_series(1, p.pronargs) n) a ON true
   WHERE p.pronamespace = 'spine'::regnamespace AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)
   GROUP BY p.oid, p.proname;
-- A change of the stand-in sends no message; Citus sends one about each table that it distributes.
CREATE FUNCTION distribute(t regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('CREATE TRIGGER told BEFORE DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger(); DROP TRIGGER told ON %1$s', t); END $$;
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
CREATE TABLE copy (LIKE spine.events INCLUDING ALL);
CREATE TRIGGER chain BEFORE INSERT ON copy FOR EACH ROW EXECUTE FUNCTION spine.chain_event();

BEGIN;
SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char");
CREATE TABLE pg_catalog.pg_dist_shard (logicalrelid regclass, shardid bigint);
-- Citus is there and distributes nothing of the spine's: all works.
INSERT INTO pg_dist_partition VALUES ('pg_proc', 'h');
SELECT answer($$SELECT spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(), organization_id => 'aaaaaaaa-0000-4000-8000-000000000001')$$);
INSERT INTO pg_dist_partition VALUES ('spine.events', 'h');
SELECT distribute('copy');
-- What has nothing to do with the spine goes on.
SELECT answer('SELECT count(*) FROM pg_proc'), answer('CREATE TABLE other (a int); INSERT INTO other VALUES (1); DROP TABLE other');
-- What answers reads no table: of a value it was given, of what a transaction holds, of what a superuser may.
SELECT answer, count(*), CASE WHEN answer <> 'refused' THEN string_agg(proname, ' ' ORDER BY proname) END AS functions
  FROM (SELECT proname, answer(statement) FROM calls) c GROUP BY answer ORDER BY answer;
ROLLBACK;

-- A table of one's own, and a shard: by their names alone they would carry chains without rights.
BEGIN;
SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char");
CREATE TABLE pg_catalog.pg_dist_shard (logicalrelid regclass, shardid bigint);
INSERT INTO pg_dist_partition VALUES ('copy', 'h');
INSERT INTO pg_dist_shard VALUES ('copy', 102008);
CREATE TABLE copy_102008 (LIKE spine.events INCLUDING ALL);
CREATE TABLE copy_102009 (LIKE spine.events INCLUDING ALL);
CREATE TRIGGER chain BEFORE INSERT ON copy_102008 FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
CREATE TRIGGER chain BEFORE INSERT ON copy_102009 FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
CREATE TABLE copies AS SELECT format($$INSERT INTO %s (event_type, entity_id, organization_id) VALUES ('hcm.employee.created', gen_random_uuid(), 'aaaaaaaa-0000-4000-8000-000000000001')$$, t) AS statement, t
  FROM unnest('{copy,copy_102008,copy_102009}'::text[]) t;
SELECT t, answer(statement) FROM copies ORDER BY t;
SELECT t, answer(format('SELECT * FROM spine.verify_table(%L)', t)) AS verified FROM copies ORDER BY t;
ROLLBACK;
SELECT spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(), organization_id => 'aaaaaaaa-0000-4000-8000-000000000001') IS NOT NULL AS works_again;

-- The message.
BEGIN;
SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char");
INSERT INTO pg_dist_partition VALUES ('spine.anchors', 'n');
SELECT distribute('copy');
\set VERBOSITY verbose
SELECT * FROM spine.verify_chain();
\set VERBOSITY default
ROLLBACK;
DROP VIEW calls;
DROP FUNCTION answer, example, distribute;
DROP TABLE copy;
