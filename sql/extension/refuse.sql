-- Refuse ground on which the spine cannot stand

-- Every name and operator is qualified, down to exact types: the schema is in the search_path here, and what its
-- preparer put there must not run before it is refused.
DO $$
DECLARE
  found text;
BEGIN
  IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8'::pg_catalog.name THEN
    RAISE EXCEPTION 'the encoding of this database is %, not UTF8', pg_catalog.getdatabaseencoding()
      USING ERRCODE = 'SP020',
            HINT = 'Hashes are computed over UTF-8: create a database with ENCODING ''UTF8''.';
  END IF;

  -- Owned by the installing role or by a superuser, empty, and open to nobody, it holds nothing of others.
  SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) INTO found
    FROM pg_catalog.pg_depend d
   WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
     AND d.refobjid OPERATOR(pg_catalog.=) 'spine'::pg_catalog.regnamespace::pg_catalog.oid
     AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid
   LIMIT 1;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'schema "spine" exists and is not empty: it holds %', found
      USING ERRCODE = 'SP021',
            HINT = 'Drop or rename the schema, then CREATE EXTENSION makes its own.';
  END IF;
  SELECT r.rolname INTO found
    FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) n.nspowner
   WHERE n.nspname OPERATOR(pg_catalog.=) 'spine'::pg_catalog.name
     AND r.rolname OPERATOR(pg_catalog.<>) current_user AND NOT r.rolsuper;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'schema "spine" exists and belongs to role "%"', found
      USING ERRCODE = 'SP021',
            HINT = 'Drop or rename the schema, then CREATE EXTENSION makes its own.';
  END IF;
  SELECT coalesce(r.rolname, 'public'::pg_catalog.name) INTO found
    FROM pg_catalog.pg_namespace n
   CROSS JOIN pg_catalog.aclexplode(n.nspacl) a
    LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) a.grantee
   WHERE n.nspname OPERATOR(pg_catalog.=) 'spine'::pg_catalog.name
     AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'::pg_catalog.text
     AND a.grantee OPERATOR(pg_catalog.<>) n.nspowner
     -- What default privileges gave on a schema that this transaction made, nobody could use; the script takes it off.
     AND n.xmin OPERATOR(pg_catalog.<>) pg_catalog.pg_current_xact_id()::pg_catalog.xid
   LIMIT 1;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'schema "spine" exists and "%" may create objects in it', found
      USING ERRCODE = 'SP021',
            HINT = 'REVOKE CREATE ON SCHEMA spine, or drop the schema, then CREATE EXTENSION again.';
  END IF;
END
$$;

COMMENT ON SCHEMA spine IS 'people_os_spine: events chained by hash within their organization';
