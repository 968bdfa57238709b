-- Capturing tables

CREATE TABLE spine.watches (
  kind       text   COLLATE "C" NOT NULL,
  table_name text   COLLATE "C" NOT NULL,
  arguments  text[] NOT NULL,
  from_empty boolean NOT NULL DEFAULT false,
  CONSTRAINT watches_pkey PRIMARY KEY (kind, table_name),
  CONSTRAINT watches_kind_check CHECK (kind IN ('capture', 'rule'))
);
COMMENT ON TABLE spine.watches IS
  'What is captured and what is held to the rule, as it was said, so that spine.verify_guards tells where it ended. Written '
  'by spine.capture_changes, stop_capture, require_events, stop_requiring_events, forget_watch and ATTACH';
COMMENT ON COLUMN spine.watches.kind IS 'capture, or rule: what spine.require_events asks for';
COMMENT ON COLUMN spine.watches.table_name IS 'The table by its schema and name, quoted where need be, for another may take its name';
COMMENT ON COLUMN spine.watches.arguments IS 'The arguments of its triggers';
COMMENT ON COLUMN spine.watches.from_empty IS
  'Of a capture: whether there was no row when it began, so that each row has an event; spine.reconcile_table goes by it';
COMMENT ON CONSTRAINT watches_pkey ON spine.watches IS 'A table is captured once, and held to the rule once';
COMMENT ON INDEX spine.watches_pkey IS 'Finds what was said of a table';
COMMENT ON CONSTRAINT watches_kind_check ON spine.watches IS 'What a table can be watched for';

SELECT pg_catalog.pg_extension_config_dump('spine.watches', '');

CREATE FUNCTION spine.forget_watch(kind text, table_name text) RETURNS void
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_forget_watch';
COMMENT ON FUNCTION spine.forget_watch(text, text) IS
  'Takes a table off spine.watches that was dropped or renamed, so that spine.verify_guards asks for it no more. Raises '
  'SP026 where it is not there';

CREATE FUNCTION spine.capture_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_capture_change';
COMMENT ON FUNCTION spine.capture_change() IS
  'Trigger function, AFTER … FOR EACH STATEMENT with transition tables: emits an event for each row that the statement '
  'changed, as the trigger''s arguments say, chained at the commit. spine.capture_changes makes the triggers. Needs no right of whoever writes '
  'to the table. Raises SP027 for TRUNCATE, SP003 for a row without an entity, SP026 where a column that the '
  'definition names is gone, 39P01 where it is attached otherwise, else what spine.emit_event raises, such as 25006';

CREATE FUNCTION spine.capture_changes(
  "table"             regclass,
  domain              text,
  entity_type         text,
  entity_id_column    name,
  organization_column name           DEFAULT NULL,
  exclude             name[]         DEFAULT '{}',
  mask                name[]         DEFAULT '{}',
  severity            spine.severity DEFAULT 'low',
  personal            name[]         DEFAULT '{}'
) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_capture_changes';
COMMENT ON FUNCTION spine.capture_changes(regclass, text, text, name, name, name[], name[], spine.severity, name[]) IS
  'From now on each row of the table, and of what inherits from it, that is inserted, updated or deleted is an event '
  '<domain>.<entity_type>.created, updated or deleted with the row before and after, in the writer''s transaction. An id '
  'that is no uuid goes through spine.entity_uuid; a null organization is people_os_spine.organization_id. Columns of '
  'exclude are left out, those of mask shown as ***, those of personal stand in the event''s personal part, and generated '
  'columns are treated as what they are made from. Replaces an earlier definition. The caller owns the table and has '
  'EXECUTE on spine.capture_change. Raises SP026 for a table or column that cannot be captured, SP001, 42501';

CREATE FUNCTION spine.stop_capture("table" regclass) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_stop_capture';
COMMENT ON FUNCTION spine.stop_capture(regclass) IS
  'Undoes spine.capture_changes, for what inherits from the table too. The caller owns the table. Raises SP026 where it '
  'is not captured, or is with another, 42501';

CREATE FUNCTION spine.reconcile_table("table" regclass) RETURNS TABLE (
  of_organization uuid,
  entity_id       uuid,
  id              text,
  verdict         text,
  columns         text[],
  sequence        bigint,
  detail          text
)
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 100 SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_reconcile_table';
COMMENT ON FUNCTION spine.reconcile_table(regclass) IS
  'The rows of a captured table that are not what its events say, in the organizations that the role may read: missing (an event says '
  'there is such a row), extra (no event says so), changed (in these columns), and cannot_tell with the reason in detail: of a row from '
  'before its capture, an erased, withheld or retired event. Nothing of a row but its id. sequence: the newest event about the row. Finds what '
  'was done with the triggers off. Reads all of the table and all its events, under one snapshot; needs SELECT on both, and no row '
  'security on the table for the role. Raises SP143 for a table that is not captured, SP026 for a definition that no longer fits, 42501';

CREATE FUNCTION spine.follow_partitions() RETURNS event_trigger
  LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_follow_partitions';
COMMENT ON FUNCTION spine.follow_partitions() IS
  'Event trigger function: has a table that is made or attached as a partition, or otherwise inherits, captured with the '
  'captured table that it inherits from, hides there what was hidden in a table that was captured itself, and refuses to '
  'rename a column that a capture names, or to give another type to the entity''s id or the organization. Raises SP026 where it '
  'refuses, and where a table cannot be captured';

CREATE EVENT TRIGGER people_os_spine_partitions ON ddl_command_end
  -- The last ones rename columns of tables too.
  WHEN TAG IN ('CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA', 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER TYPE')
  EXECUTE FUNCTION spine.follow_partitions();
ALTER EVENT TRIGGER people_os_spine_partitions ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER people_os_spine_partitions IS 'Has partitions of captured tables captured, from their beginning, and what is masked stay masked';
