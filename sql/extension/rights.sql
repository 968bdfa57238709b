-- Rights

REVOKE ALL ON SCHEMA spine FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA spine FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA spine FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA spine FROM PUBLIC;
REVOKE ALL ON TYPE spine.actor_type, spine.environment, spine.severity FROM PUBLIC;

-- Nor to whom default privileges of the database or the schema give whatever is made, or somebody gave the schema. And the
-- tables but spine.events are written by whoever owns them, so by the functions of the spine, whatever else is granted.
DO $$
DECLARE
  grantee text;
  one     regclass;
BEGIN
  FOR grantee IN
    SELECT DISTINCT pg_catalog.quote_ident(r.rolname)
      FROM (SELECT n.nspowner, n.nspacl FROM pg_catalog.pg_namespace n WHERE n.nspname = 'spine'
            UNION ALL SELECT c.relowner, c.relacl FROM pg_catalog.pg_class c WHERE c.relnamespace = 'spine'::regnamespace
            UNION ALL SELECT p.proowner, p.proacl FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'spine'::regnamespace
            UNION ALL SELECT t.typowner, t.typacl FROM pg_catalog.pg_type t WHERE t.typnamespace = 'spine'::regnamespace) o (owner, acl)
     CROSS JOIN pg_catalog.aclexplode(o.acl) a
      JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
     WHERE a.grantee <> o.owner
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA spine FROM %s CASCADE', grantee);
    EXECUTE pg_catalog.format('REVOKE ALL ON ALL TABLES IN SCHEMA spine FROM %s CASCADE', grantee);
    EXECUTE pg_catalog.format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA spine FROM %s CASCADE', grantee);
    EXECUTE pg_catalog.format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA spine FROM %s CASCADE', grantee);
    EXECUTE pg_catalog.format('REVOKE ALL ON TYPE spine.actor_type, spine.environment, spine.severity FROM %s CASCADE', grantee);
  END LOOP;

  FOR one IN
    SELECT c.oid FROM pg_catalog.pg_class c
     WHERE c.relnamespace = 'spine'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition ORDER BY c.relname
  LOOP
    EXECUTE pg_catalog.format('CREATE TRIGGER refuse_writer BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s'
      ' FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_writer()', one);
    -- Logical replication fires only those for rows. Of these the first by name decides.
    EXECUTE pg_catalog.format('CREATE TRIGGER a_refuse_row_writer BEFORE INSERT OR UPDATE OR DELETE ON %s'
      ' FOR EACH ROW EXECUTE FUNCTION spine.refuse_writer()', one);
    EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_writer, ENABLE ALWAYS TRIGGER a_refuse_row_writer', one);
    EXECUTE pg_catalog.format('COMMENT ON TRIGGER refuse_writer ON %s IS %L', one, 'Has nobody but its owner write, whatever is granted');
    EXECUTE pg_catalog.format('COMMENT ON TRIGGER a_refuse_row_writer ON %s IS %L', one, 'Does so where only row triggers fire');
  END LOOP;
END
$$;
