-- Migrations

CREATE FUNCTION spine.note_migration() RETURNS event_trigger
  LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_note_migration';
COMMENT ON FUNCTION spine.note_migration() IS
  'Event trigger function of spine.capture_migrations, at ddl_command_end and sql_drop: emits platform.migration.applied, at '
  'the commit; at ddl_command_start, for what runs in no transaction block: refuses what could not be emitted. '
  'Raises what emitting raises, above all SP006';

CREATE FUNCTION spine.capture_migrations() RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_capture_migrations';
COMMENT ON FUNCTION spine.capture_migrations() IS
  'From now on each DDL statement of this database, whoever runs it, emits one event platform.migration.applied in the nil '
  'UUID''s organization, with the command and the objects. Makes three event triggers of your own, which dumps carry. For '
  'superusers. Raises 42501, and what emitting raises, above all SP006';

CREATE FUNCTION spine.stop_capturing_migrations() RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_stop_capturing_migrations';
COMMENT ON FUNCTION spine.stop_capturing_migrations() IS
  'Undoes spine.capture_migrations, where it was called; that is the last such event. For superusers. Raises 42501, and what '
  'emitting raises';
