-- What the catalog says of everything that the extension makes. Each query names what breaks a rule, and finds nothing.
CREATE TEMP VIEW member AS
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
   WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'people_os_spine';
CREATE TEMP VIEW member_function AS SELECT p.* FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid;
CREATE TEMP VIEW member_relation AS SELECT c.* FROM pg_class c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid;
SELECT count(*) > 20 AS functions_are_looked_at FROM member_function;

-- A comment on every object, and on what hangs on its tables.
SELECT pg_describe_object(classid, objid, 0) AS has_no_comment FROM member
 WHERE obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)) IS NULL
   -- The types that come with a table, a view or another type.
   AND NOT (classid = 'pg_type'::regclass AND (SELECT typrelid <> 0 OR typelem <> 0 FROM pg_type WHERE oid = objid))
UNION ALL
SELECT format('column %s.%s', c.oid::regclass, attname) FROM member_relation c JOIN pg_attribute ON attrelid = c.oid
 WHERE attnum > 0 AND NOT attisdropped AND relkind <> 'S' AND col_description(attrelid, attnum) IS NULL
UNION ALL
SELECT 'constraint ' || k.conname FROM member_relation c JOIN pg_constraint k ON k.conrelid = c.oid
 WHERE k.contype <> 'n' AND obj_description(k.oid, 'pg_constraint') IS NULL
UNION ALL
SELECT 'index ' || indexrelid::regclass FROM member_relation c JOIN pg_index ON indrelid = c.oid WHERE obj_description(indexrelid, 'pg_class') IS NULL
UNION ALL
SELECT 'trigger ' || tgname FROM member_relation c JOIN pg_trigger t ON tgrelid = c.oid WHERE obj_description(t.oid, 'pg_trigger') IS NULL
UNION ALL
SELECT 'policy ' || polname FROM member_relation c JOIN pg_policy p ON polrelid = c.oid WHERE obj_description(p.oid, 'pg_policy') IS NULL;

-- Functions: the library's, with the caller's rights, no right of PUBLIC.
SELECT p.oid::regprocedure AS is_not_the_librarys FROM member_function p JOIN pg_language l ON l.oid = prolang
 WHERE lanname <> 'c' OR probin <> '$libdir/people_os_spine' OR prosrc <> 'spine_' || proname;
SELECT oid::regprocedure AS has_its_owners_rights FROM member_function WHERE prosecdef;
SELECT p.oid::regprocedure AS is_granted_to_public FROM member_function p, aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0;
SELECT oid::regclass AS is_granted_to_public FROM member_relation, aclexplode(relacl) WHERE grantee = 0;
SELECT t.oid::regtype AS is_granted_to_public FROM pg_type t JOIN member ON classid = 'pg_type'::regclass AND objid = t.oid, aclexplode(coalesce(typacl, acldefault('T', typowner)))
 WHERE grantee = 0 AND typtype = 'e';
-- A right of PUBLIC to a table's columns would not show there.
SELECT format('%s.%s', c.oid::regclass, attname) AS is_granted FROM member_relation c JOIN pg_attribute ON attrelid = c.oid WHERE attacl IS NOT NULL;

-- A function that runs SQL pins search_path, and no other does, for it costs. These run SQL:
SELECT proname AS pins_search_path FROM member_function WHERE proconfig = '{"search_path=pg_catalog, pg_temp"}' ORDER BY proname COLLATE "C";
SELECT oid::regprocedure AS has_other_settings FROM member_function WHERE proconfig <> '{"search_path=pg_catalog, pg_temp"}';

-- Whoever writes is neither parallel safe nor stable.
SELECT oid::regprocedure AS writes FROM member_function WHERE proname ~ '^(emit|chain_pending|grant|revoke)' AND (provolatile <> 'v' OR proparallel <> 'u');
-- Tables that hold data are dumped, and are plain heap.
SELECT c.oid::regclass AS is_not_dumped FROM member_relation c WHERE relkind = 'r' AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'people_os_spine' AND c.oid = ANY (e.extconfig));
SELECT c.oid::regclass AS is_another_kind FROM member_relation c LEFT JOIN pg_am m ON m.oid = relam WHERE relkind = 'r' AND (relpersistence <> 'p' OR amname <> 'heap');
-- No index follows a collation whose rules another version of the C library or of ICU may change.
SELECT i.indexrelid::regclass AS follows_a_collation FROM member_relation c JOIN pg_index i ON indrelid = c.oid, unnest(indcollation) k (used)
 WHERE k.used NOT IN (0, '"C"'::regcollation, '"POSIX"'::regcollation);
SELECT guard AS is_broken FROM spine.verify_guards() WHERE NOT ok;
