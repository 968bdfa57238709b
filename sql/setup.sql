-- What every other test starts from.
CREATE EXTENSION people_os_spine;
ALTER DATABASE contrib_regression SET people_os_spine.environment = 'test';
-- So that tests come by the guard: it does not know the extension again. What it recorded of that goes too.
CREATE PROCEDURE guard_off() LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('people_os_spine.unguard', 'a test takes the guard off', true);
  UPDATE pg_extension SET extname = 'hidden' WHERE extname = 'people_os_spine';
  ALTER TABLE spine.events DISABLE TRIGGER ALL;
  DELETE FROM spine.events WHERE event_type = 'platform.spine.unguarded' AND payload ->> 'reason' = 'a test takes the guard off';
  ALTER TABLE spine.events ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change, ENABLE ALWAYS TRIGGER zz_chain_event;
  PERFORM set_config('people_os_spine.unguard', '', true);
END $$;
CREATE PROCEDURE guard_on() LANGUAGE sql AS $$ UPDATE pg_extension SET extname = 'people_os_spine' WHERE extname = 'hidden' $$;
-- How a call ends: its error without what differs from run to run, or that it is done.
CREATE FUNCTION refused(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
BEGIN
  EXECUTE call;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ' ' || SQLERRM || CASE WHEN hint = '' THEN ' (no hint)' ELSE '' END;
END $$;
SELECT extname, extversion, extnamespace::regnamespace AS schema, obj_description(oid, 'pg_extension') AS description FROM pg_extension WHERE extname <> 'plpgsql';
-- Columns, types, order, NOT NULL: the contract's table.
SELECT attnum, attname, format_type(atttypid, atttypmod) AS type, attnotnull
  FROM pg_attribute WHERE attrelid = 'spine.events'::regclass AND attnum > 0 ORDER BY attnum;
SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid = 'spine.events'::regclass AND contype <> 'n' ORDER BY conname;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'spine' ORDER BY indexname;
SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
 WHERE tgrelid = 'spine.events'::regclass ORDER BY tgname;
SELECT enum_range(NULL::spine.actor_type), enum_range(NULL::spine.environment), enum_range(NULL::spine.severity);
SELECT 'critical'::spine.severity >= 'high' AS severity_is_ordered;
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'spine.events'::regclass;
SELECT polname, polcmd, polpermissive, pg_get_expr(polqual, polrelid) AS using, pg_get_expr(polwithcheck, polrelid) AS check
  FROM pg_policy WHERE polrelid = 'spine.events'::regclass ORDER BY polname;
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull
  FROM pg_attribute WHERE attrelid = 'spine.role_bindings'::regclass AND attnum > 0 ORDER BY attnum;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'spine.role_bindings'::regclass AND contype <> 'n' ORDER BY conname;
SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'spine.role_bindings'::regclass ORDER BY tgname;
