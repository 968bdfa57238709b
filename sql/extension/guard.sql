-- The guard

CREATE FUNCTION spine.guard_ddl() RETURNS event_trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_guard_ddl';
COMMENT ON FUNCTION spine.guard_ddl() IS
  'Event trigger function: raises SP024 for a statement that could change or expose stored events, or replace what the '
  'spine runs, unless people_os_spine.unguard says why; then it records the statement as platform.spine.unguarded. Where '
  'the library is loaded before, its hooks do the same for every statement';

CREATE EVENT TRIGGER people_os_spine_guard ON ddl_command_start EXECUTE FUNCTION spine.guard_ddl();
ALTER EVENT TRIGGER people_os_spine_guard ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER people_os_spine_guard IS 'Guards the spine where its library is not preloaded';

CREATE FUNCTION spine.verify_guards() RETURNS TABLE (
  guard    text,
  expected text,
  found    text,
  ok       boolean,
  remedy   text
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_verify_guards';
COMMENT ON FUNCTION spine.verify_guards() IS
  'One row a guard of the events: what is expected, what was found, whether that is so, and what to do. ok is false where '
  'a guard is broken, NULL where one is not in force that the server can do without. Reads the catalogs as they are now. '
  'Raises nothing';
