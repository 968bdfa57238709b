-- What the catalog says of everything that the extension makes. Each query names what breaks a rule, and finds nothing.
CREATE TEMP VIEW member AS
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
   WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'people_os_spine';
CREATE TEMP VIEW member_function AS SELECT p.* FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid;
CREATE TEMP VIEW member_relation AS SELECT c.* FROM pg_class c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid;
SELECT count(*) > 20 AS functions_are_looked_at FROM member_function;

-- A comment on every object, and on what hangs on its tables; but not again on what a partition has from its table.
SELECT pg_describe_object(classid, objid, 0) AS has_no_comment FROM member
 WHERE obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)) IS NULL
   -- The types that come with a table, a view or another type.
   AND NOT (classid = 'pg_type'::regclass AND (SELECT typrelid <> 0 OR typelem <> 0 FROM pg_type WHERE oid = objid))
UNION ALL
SELECT format('column %s.%s', c.oid::regclass, attname) FROM member_relation c JOIN pg_attribute ON attrelid = c.oid
 WHERE attnum > 0 AND NOT attisdropped AND relkind <> 'S' AND NOT relispartition AND col_description(attrelid, attnum) IS NULL
UNION ALL
SELECT 'constraint ' || k.conname FROM member_relation c JOIN pg_constraint k ON k.conrelid = c.oid
 WHERE k.contype <> 'n' AND NOT relispartition AND obj_description(k.oid, 'pg_constraint') IS NULL
UNION ALL
SELECT 'index ' || indexrelid::regclass FROM member_relation c JOIN pg_index ON indrelid = c.oid WHERE NOT relispartition AND obj_description(indexrelid, 'pg_class') IS NULL
UNION ALL
SELECT 'trigger ' || tgname FROM member_relation c JOIN pg_trigger t ON tgrelid = c.oid WHERE tgparentid = 0 AND obj_description(t.oid, 'pg_trigger') IS NULL
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
-- Tables that hold data are dumped, and are plain heap. What restored events write anew is not, nor what counts the transactions of this cluster.
SELECT c.oid::regclass AS is_not_dumped FROM member_relation c WHERE relkind = 'r' AND relname NOT IN ('chain_partitions', 'subscription_progress', 'subscription_news') AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'people_os_spine' AND c.oid = ANY (e.extconfig));
SELECT c.oid::regclass AS is_another_kind FROM member_relation c LEFT JOIN pg_am m ON m.oid = relam WHERE relkind = 'r' AND (relpersistence <> 'p' OR amname <> 'heap');
-- No index follows a collation whose rules another version of the C library or of ICU may change.
SELECT i.indexrelid::regclass AS follows_a_collation FROM member_relation c JOIN pg_index i ON indrelid = c.oid, unnest(indcollation) k (used)
 WHERE k.used NOT IN (0, '"C"'::regcollation, '"POSIX"'::regcollation);
SELECT guard AS is_broken FROM spine.verify_guards() WHERE NOT ok;

-- What can be updated or deleted from has a replica identity, or a publication of all tables would refuse it.
SELECT c.oid::regclass AS has_no_replica_identity FROM member_relation c
 WHERE relkind = 'r' AND relreplident <> 'f' AND (relreplident <> 'd' OR NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary));
-- Only the owner writes, but to spine.events.
SELECT c.oid::regclass AS is_written_by_others FROM member_relation c
 WHERE relkind = 'r' AND NOT relispartition AND 2 <> (SELECT count(*) FROM pg_trigger t
   WHERE t.tgrelid = c.oid AND t.tgfoid = 'spine.refuse_writer'::regproc AND t.tgenabled = 'A' AND t.tgtype IN (62, 31));

-- The table of rights has each object once, and no other; and what the functions grant is what it says.
CREATE TEMP VIEW right_of_member AS
  SELECT 'schema' AS kind, 'spine' AS name
  UNION ALL SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, relname FROM member_relation WHERE relkind IN ('r', 'p', 'v', 'S')
  UNION ALL SELECT 'function', proname FROM member_function
  UNION ALL SELECT 'type', typname FROM pg_type t JOIN member ON classid = 'pg_type'::regclass AND objid = t.oid WHERE typrelid = 0 AND typelem = 0;
SELECT kind, name, count(r.kind) AS expected_rights, count(m.kind) AS objects
  FROM spine.expected_rights() r FULL JOIN right_of_member m USING (kind, name) GROUP BY 1, 2 HAVING count(r.kind) <> 1 OR count(m.kind) <> 1;
BEGIN;
CREATE ROLE lint_emitter;
CREATE ROLE lint_reader;
CREATE ROLE lint_auditor;
CREATE ROLE lint_eraser;
CREATE ROLE lint_keeper;
SELECT spine.grant_emitter('lint_emitter'), spine.grant_reader('lint_reader'), spine.grant_auditor('lint_auditor'), spine.grant_eraser('lint_eraser'), spine.grant_hold_keeper('lint_keeper');
WITH given AS (
  SELECT 'schema' AS kind, nspname AS name, nspacl AS acl FROM pg_namespace WHERE nspname = 'spine'
  UNION ALL SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, relname, relacl FROM member_relation
  UNION ALL SELECT 'function', proname, proacl FROM member_function
  UNION ALL SELECT 'type', typname, typacl FROM pg_type t JOIN member ON classid = 'pg_type'::regclass AND objid = t.oid WHERE typrelid = 0 AND typelem = 0
), is_given AS (
  SELECT kind, name::text, privilege_type AS privilege, grantee::regrole::text AS role FROM given, aclexplode(acl) WHERE grantee::regrole::text ~ '^lint_'
), is_expected AS (
  SELECT kind, name, privilege, role FROM spine.expected_rights(), LATERAL (VALUES ('lint_emitter', emitter), ('lint_reader', reader), ('lint_auditor', auditor), ('lint_eraser', eraser), ('lint_keeper', hold_keeper)) v (role, has) WHERE has
)
(SELECT 'given' AS which, * FROM is_given EXCEPT SELECT 'given', * FROM is_expected)
UNION ALL (SELECT 'expected', * FROM is_expected EXCEPT SELECT 'expected', * FROM is_given);
ROLLBACK;
