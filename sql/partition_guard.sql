-- Partitions are guarded as the table is: each statement that names one, its triggers or its indexes; and those that bring one
-- back from a dump pass only where they leave every guard as it is. All of it is rolled back.
\set VERBOSITY terse
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SET client_min_messages = error;
BEGIN;
CREATE ROLE partition_role;
CREATE SCHEMA parts;
CREATE TABLE parts.own (LIKE spine.events INCLUDING ALL);
CREATE FUNCTION parts.text_of(jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
CREATE FUNCTION parts.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION parts.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  how text;
BEGIN
  BEGIN
    EXECUTE statement;
    RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = 'rolled back';
  EXCEPTION WHEN OTHERS THEN
    how := CASE SQLSTATE WHEN 'ZZ000' THEN 'passes' WHEN 'SP024' THEN 'refused' WHEN 'SP013' THEN 'immutable'
                         ELSE SQLSTATE || ' ' || SQLERRM END;
  END;
  RETURN how;
END $$;

-- As pg_dump makes them: what attaching brings along, it gives to the table.
CREATE TABLE spine.events_20300101 (LIKE spine.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE ONLY spine.events ATTACH PARTITION spine.events_20300101 FOR VALUES FROM ('2030-01-01 00:00:00+00') TO ('2030-02-01 00:00:00+00');
CREATE TABLE spine.events_20300201_0600 (LIKE spine.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
SELECT relname, relrowsecurity, relacl, relhastriggers FROM pg_class WHERE oid IN ('spine.events_20300101'::regclass, 'spine.events_20300201_0600'::regclass) ORDER BY 1;
SELECT tgname, tgenabled, tgtype, tgparentid <> 0 AS is_copy, tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'spine.events_20300101'::regclass ORDER BY 1;
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'spine.events_20300101'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";

SELECT count(spine.emit_event('hcm.employee.created', entity_id => o, organization_id => o)) FROM (VALUES ('00000000-0000-4000-8000-0000000b0b01'::uuid)) v (o);
CREATE TEMP TABLE judged (n integer GENERATED ALWAYS AS IDENTITY, wanted text, statement text);
-- %1$s is a partition, %2$s begins the names of its indexes.
INSERT INTO judged (wanted, statement) SELECT wanted, format(statement, 'spine.' || name, name)
  FROM (VALUES ('events_default'), ('events_20300101')) p (name) CROSS JOIN (
  SELECT 'immutable', unnest(ARRAY[
    'UPDATE %1$s SET payload = ''{}''',
    'UPDATE %1$s SET payload = ''{}'' WHERE false',
    'DELETE FROM %1$s',
    'WITH gone AS (DELETE FROM %1$s RETURNING 1) SELECT count(*) FROM gone',
    'MERGE INTO %1$s e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE',
    'INSERT INTO %1$s SELECT * FROM spine.events ON CONFLICT (organization_id, sequence, "timestamp") DO UPDATE SET payload = ''{}''',
    'SET LOCAL session_replication_role = replica; DELETE FROM %1$s'])
  UNION ALL SELECT 'refused', unnest(ARRAY[
    'ALTER TABLE %1$s DISABLE TRIGGER ALL',
    'ALTER TABLE %1$s DISABLE TRIGGER refuse_row_change',
    'ALTER TABLE %1$s ENABLE REPLICA TRIGGER zz_chain_event',
    'ALTER TABLE %1$s ENABLE TRIGGER refuse_change',
    'ALTER TABLE %1$s ENABLE ALWAYS TRIGGER refuse_change, DISABLE TRIGGER refuse_row_change',
    'ALTER TABLE %1$s DISABLE ROW LEVEL SECURITY',
    'ALTER TABLE %1$s FORCE ROW LEVEL SECURITY',
    'ALTER TABLE %1$s OWNER TO partition_role',
    'ALTER TABLE %1$s RENAME TO other',
    'ALTER TABLE %1$s RENAME COLUMN payload TO other',
    'ALTER TABLE %1$s SET SCHEMA parts',
    'ALTER TABLE %1$s SET UNLOGGED',
    'ALTER TABLE %1$s SET ACCESS METHOD heap',
    'ALTER TABLE %1$s SET (user_catalog_table = true)',
    'ALTER TABLE %1$s INHERIT parts.own',
    'ALTER TABLE %1$s REPLICA IDENTITY NOTHING',
    'ALTER TABLE %1$s REPLICA IDENTITY USING INDEX %2$s_pkey',
    'ALTER TABLE %1$s ALTER "timestamp" DROP DEFAULT',
    'ALTER TABLE %1$s ALTER payload SET DEFAULT ''{}''',
    'ALTER TABLE %1$s ALTER action DROP NOT NULL',
    'ALTER TABLE %1$s DROP CONSTRAINT events_sequence_check',
    'ALTER TABLE %1$s DROP CONSTRAINT %2$s_pkey',
    'ALTER TABLE %1$s ADD CHECK (sequence < 5)',
    'ALTER TABLE %1$s ADD UNIQUE (entity_id, "timestamp")',
    'ALTER TABLE %1$s ADD CONSTRAINT %2$s_pkey PRIMARY KEY (organization_id, sequence)',
    'ALTER TABLE %1$s ADD CONSTRAINT %2$s_pkey PRIMARY KEY (organization_id, sequence, "timestamp") DEFERRABLE',
    'ALTER TABLE %1$s ADD CONSTRAINT other PRIMARY KEY (organization_id, sequence, "timestamp")',
    'ALTER TABLE spine.events DETACH PARTITION %1$s',
    'ALTER TABLE spine.events DETACH PARTITION %1$s CONCURRENTLY',
    'ALTER TABLE spine.events DETACH PARTITION %1$s FINALIZE',
    'DROP TRIGGER refuse_change ON %1$s',
    'ALTER TRIGGER refuse_change ON %1$s RENAME TO other',
    'CREATE TRIGGER a BEFORE INSERT ON %1$s FOR EACH ROW EXECUTE FUNCTION parts.swallow()',
    'CREATE OR REPLACE TRIGGER refuse_change BEFORE DELETE ON %1$s FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change()',
    'CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %1$s FOR EACH STATEMENT EXECUTE FUNCTION parts.swallow()',
    'CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %1$s FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION spine.refuse_change()',
    'CREATE RULE r AS ON INSERT TO %1$s DO INSTEAD NOTHING',
    'CREATE POLICY p ON %1$s',
    'GRANT SELECT ON %1$s TO partition_role',
    'GRANT INSERT ON %1$s TO partition_role',
    'GRANT UPDATE (payload) ON %1$s TO partition_role',
    'CREATE UNIQUE INDEX once ON %1$s (entity_id)',
    'CREATE INDEX told ON %1$s (parts.text_of(payload))',
    'ALTER INDEX spine.%2$s_pkey RENAME TO other',
    'ALTER INDEX spine.events_id_idx ATTACH PARTITION parts.own_id_idx',
    'CREATE TABLE parts.child () INHERITS (%1$s)',
    'ALTER TABLE parts.own INHERIT %1$s',
    'ALTER TABLE parts.own ATTACH PARTITION %1$s DEFAULT',
    'ALTER EXTENSION plpgsql ADD TABLE %1$s',
    'CREATE STATISTICS parts.told ON (parts.text_of(payload)), (domain) FROM %1$s'])
  -- What an administrator may do to the table, and what a dump says of a partition again.
  UNION ALL SELECT 'passes', unnest(ARRAY[
    'ALTER TABLE %1$s SET (fillfactor = 90, autovacuum_enabled = true, toast.autovacuum_vacuum_cost_delay = 1)',
    'ALTER TABLE %1$s ALTER payload SET STATISTICS 100, ALTER payload SET (n_distinct = 5), ALTER payload SET COMPRESSION pglz, ALTER payload SET STORAGE EXTERNAL',
    'ALTER TABLE %1$s CLUSTER ON %2$s_pkey',
    'ALTER TABLE %1$s SET TABLESPACE pg_default',
    'ALTER TABLE %1$s REPLICA IDENTITY FULL',
    'ALTER INDEX spine.%2$s_pkey SET (fillfactor = 80)',
    'ALTER INDEX spine.%2$s_pkey SET TABLESPACE pg_default',
    'DO $$BEGIN CREATE INDEX added ON %1$s ((payload ->> ''name'')); ALTER INDEX spine.added SET (fillfactor = 80); DROP INDEX spine.added; END$$',
    'DO $$BEGIN CREATE INDEX added ON ONLY spine.events (actor_id); CREATE INDEX part ON %1$s (actor_id); ALTER INDEX spine.added ATTACH PARTITION spine.part; DROP INDEX spine.added; END$$',
    'CREATE STATISTICS parts.related ON domain, action FROM %1$s',
    'REINDEX TABLE %1$s',
    'CLUSTER %1$s USING %2$s_pkey',
    'ANALYZE %1$s',
    'COMMENT ON TABLE %1$s IS ''x''',
    'REVOKE ALL ON %1$s FROM partition_role',
    'ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY',
    'ALTER TABLE %1$s ENABLE ALWAYS TRIGGER refuse_change',
    'ALTER TABLE ONLY %1$s ADD CONSTRAINT %2$s_pkey PRIMARY KEY (organization_id, sequence, "timestamp")',
    'CREATE INDEX %2$s_id_idx ON %1$s USING btree (id)',
    'CREATE INDEX %2$s_timestamp_idx ON %1$s USING brin ("timestamp")',
    'ALTER INDEX spine.events_id_idx ATTACH PARTITION spine.%2$s_id_idx',
    'CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON %1$s FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change()'])) s (wanted, statement);

-- Making and attaching. %s attaches what the block has made.
INSERT INTO judged (wanted, statement)
SELECT wanted, CASE WHEN made IS NULL THEN statement ELSE
         'DO $do$BEGIN CREATE TABLE spine.events_20300301 (LIKE spine.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS); ' || made
           || '; ALTER TABLE spine.events ATTACH PARTITION spine.events_20300301 FOR VALUES FROM (''2030-03-01'') TO (''2030-04-01''); END$do$' END
  FROM (
  SELECT 'refused', NULL, unnest(ARRAY[
    'CREATE TABLE spine.events_20300301 (id integer)',
    'CREATE TABLE spine.events_20300301 (LIKE spine.events, more integer)',
    'CREATE UNLOGGED TABLE spine.events_20300301 (LIKE spine.events)',
    'CREATE TABLE spine.events_20300301 (LIKE spine.events) PARTITION BY RANGE ("timestamp")',
    'CREATE TABLE spine.events_20300301 () INHERITS (parts.own)',
    'CREATE TABLE spine.events_20300301 PARTITION OF spine.events FOR VALUES FROM (''2030-03-01'') TO (''2030-04-01'')',
    'CREATE TABLE parts.events_20300301 PARTITION OF spine.events FOR VALUES FROM (''2030-03-01'') TO (''2030-04-01'')',
    'CREATE TABLE spine.events_20300301 AS SELECT * FROM spine.events',
    'CREATE VIEW spine.events_20300301 AS SELECT * FROM spine.events',
    'CREATE TABLE spine.events_2030 (LIKE spine.events)',
    'CREATE TABLE spine.events_20300301_06 (LIKE spine.events)',
    'CREATE TABLE spine.events_20300301x (LIKE spine.events)',
    'ALTER TABLE spine.events ATTACH PARTITION parts.own FOR VALUES FROM (''2030-03-01'') TO (''2030-04-01'')',
    'DROP TABLE spine.events_20300101',
    'DROP TABLE spine.events_20300201_0600',
    'ALTER TABLE spine.events_20300201_0600 RENAME TO other'])
  UNION ALL SELECT 'refused', unnest(ARRAY[
    'INSERT INTO spine.events_20300301 SELECT * FROM spine.events LIMIT 1',
    'CREATE TRIGGER a BEFORE INSERT ON spine.events_20300301 FOR EACH ROW EXECUTE FUNCTION parts.swallow()',
    'CREATE TRIGGER refuse_change BEFORE DELETE ON spine.events_20300301 FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change()',
    'ALTER TABLE spine.events_20300301 ADD CHECK (sequence < 5)',
    'ALTER TABLE spine.events_20300301 DROP CONSTRAINT events_sequence_check',
    'ALTER TABLE spine.events_20300301 ALTER "timestamp" DROP DEFAULT',
    'ALTER TABLE spine.events_20300301 ALTER payload SET DEFAULT ''{}''',
    'ALTER TABLE spine.events_20300301 ALTER payload TYPE text',
    'ALTER TABLE spine.events_20300301 ALTER action DROP NOT NULL',
    'ALTER TABLE spine.events_20300301 ADD UNIQUE (entity_id)',
    'ALTER TABLE spine.events_20300301 ADD FOREIGN KEY (organization_id, sequence, "timestamp") REFERENCES parts.own',
    'ALTER TABLE spine.events_20300301 FORCE ROW LEVEL SECURITY',
    'ALTER TABLE spine.events_20300301 SET UNLOGGED',
    'CREATE INDEX told ON spine.events_20300301 (parts.text_of(payload))',
    'CREATE POLICY p ON spine.events_20300301',
    'CREATE RULE r AS ON INSERT TO spine.events_20300301 DO INSTEAD NOTHING',
    'GRANT SELECT ON spine.events_20300301 TO partition_role']), NULL
  UNION ALL SELECT 'passes', unnest(ARRAY[
    'NULL',
    'ALTER TABLE spine.events_20300301 OWNER TO partition_role',
    'ALTER TABLE spine.events_20300301 ADD PRIMARY KEY (organization_id, sequence, "timestamp")',
    'CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON spine.events_20300301 FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change()']), NULL
  -- Nothing is in it that could be lost.
  UNION ALL SELECT 'passes', NULL, 'TRUNCATE TABLE ONLY spine.events_20300101') s (wanted, made, statement);

SELECT wanted, statement, parts.outcome(statement) AS happened INTO TEMP came FROM judged ORDER BY n;
SELECT wanted, count(*) FROM came GROUP BY 1 ORDER BY 1;
SELECT * FROM came WHERE happened <> wanted;

-- What is there already under that name, and differs, the server says.
SELECT parts.outcome('CREATE INDEX events_20300101_id_idx ON spine.events_20300101 (actor_id)');
SELECT parts.outcome('CREATE INDEX events_20300101_id_idx ON spine.events_20300101 USING hash (id)');

-- What was said again has changed nothing.
CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON spine.events_20300101 FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change();
ALTER TABLE ONLY spine.events_20300101 ADD CONSTRAINT events_20300101_pkey PRIMARY KEY (organization_id, sequence, "timestamp");
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'spine.events_20300101'::regclass ORDER BY 1;
SELECT count(*) FROM pg_index WHERE indrelid = 'spine.events_20300101'::regclass;

-- Default privileges give rights on what is made; attaching takes them away.
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO partition_role;
CREATE TABLE spine.events_20300401 (LIKE spine.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
SELECT has_table_privilege('partition_role', 'spine.events_20300401', 'SELECT');
ALTER TABLE spine.events ATTACH PARTITION spine.events_20300401 FOR VALUES FROM ('2030-04-01') TO ('2030-05-01');
SELECT has_table_privilege('partition_role', 'spine.events_20300401', 'SELECT');
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM partition_role;

-- Each guard that a partition lacks, verify_guards names.
CREATE FUNCTION parts.found(statement text) RETURNS TABLE (guard text, found text) LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    PERFORM set_config('people_os_spine.unguard', 'a test', true);
    EXECUTE statement;
    RETURN QUERY SELECT g.guard, g.found FROM spine.verify_guards() g WHERE NOT g.ok;
    RAISE EXCEPTION USING ERRCODE = 'ZZ000';
  EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
  END;
END $$;
ALTER TABLE spine.events ATTACH PARTITION spine.events_20300201_0600 FOR VALUES FROM ('2030-02-01 06:00:00+00') TO ('2030-02-01 12:00:00+00');
\pset format unaligned
SELECT * FROM parts.found('SELECT');
SELECT statement, f.* FROM unnest(ARRAY[
  'ALTER TABLE spine.events_20300101 DISABLE TRIGGER refuse_change',
  'ALTER TABLE spine.events_20300101 ENABLE TRIGGER refuse_row_change',
  'DROP TRIGGER refuse_change ON spine.events_20300101',
  'CREATE TRIGGER a BEFORE INSERT ON spine.events_20300101 FOR EACH ROW EXECUTE FUNCTION parts.swallow()',
  'CREATE RULE r AS ON INSERT TO spine.events_20300101 DO INSTEAD NOTHING',
  'CREATE POLICY p ON spine.events_20300101',
  'ALTER TABLE spine.events_20300101 DISABLE ROW LEVEL SECURITY',
  'ALTER TABLE spine.events_20300101 OWNER TO partition_role',
  'ALTER TABLE spine.events_20300101 SET SCHEMA parts',
  'ALTER TABLE spine.events_20300101 SET UNLOGGED',
  'ALTER TABLE spine.events_20300101 ALTER "timestamp" DROP DEFAULT',
  'ALTER TABLE spine.events_20300101 ADD CHECK (sequence < 5)',
  'ALTER TABLE spine.events_20300101 ADD UNIQUE (entity_id, "timestamp")',
  'GRANT SELECT ON spine.events_20300101 TO partition_role',
  'ALTER TABLE spine.events DETACH PARTITION spine.events_default',
  'ALTER TABLE spine.events DETACH PARTITION spine.events_20300101',
  'ALTER TABLE parts.own DROP CONSTRAINT own_pkey; ALTER TABLE spine.events ATTACH PARTITION parts.own FOR VALUES FROM (''2031-01-01'') TO (''2032-01-01'')',
  'DROP INDEX spine.events_id_idx',
  'CREATE TABLE spine.events_20310101 (LIKE spine.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE ("timestamp"); ALTER TABLE spine.events ATTACH PARTITION spine.events_20310101 FOR VALUES FROM (''2031-01-01'') TO (''2032-01-01'')']) statement
 CROSS JOIN LATERAL parts.found(statement) f;
ROLLBACK;
RESET client_min_messages;
\pset format aligned
SELECT guard, found FROM spine.verify_guards() WHERE NOT ok;
