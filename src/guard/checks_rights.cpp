#include "guard/checks.h"

#include <iterator>

namespace spine {

namespace {

// Every right on every object of the schema, one row each.
#define ALL_RIGHTS \
  "(SELECT 'schema spine' AS what, 'schema' AS kind, 'spine'::name AS name, nspowner AS owner," \
  "        coalesce(nspacl, acldefault('n', nspowner)) AS acl FROM pg_namespace WHERE oid = $1" \
  " UNION ALL SELECT 'relation ' || oid::regclass, CASE relkind WHEN 'S' THEN 'sequence' ELSE 'relation' END, relname, relowner," \
  "        coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner)) FROM pg_class" \
  "  WHERE relnamespace = $1 AND relkind IN ('r', 'v', 'm', 'f', 'p', 'S')" \
  " UNION ALL SELECT 'columns of ' || c.oid::regclass, 'relation', c.relname, c.relowner, a.attacl FROM pg_class c" \
  "   JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = $1 AND a.attacl IS NOT NULL" \
  " UNION ALL SELECT 'function ' || oid::regprocedure, 'function', proname, proowner, coalesce(proacl, acldefault('f', proowner))" \
  "   FROM pg_proc WHERE pronamespace = $1" \
  " UNION ALL SELECT 'type ' || oid::regtype, 'type', typname, typowner, coalesce(typacl, acldefault('T', typowner))" \
  "   FROM pg_type WHERE typnamespace = $1 AND typtype IN ('e', 'd')) g CROSS JOIN LATERAL aclexplode(g.acl) a"

const char *const queries[] = {
    "SELECT 'rights of PUBLIC', 'none', coalesce(string_agg(DISTINCT g.what, ', '), 'none'), count(*) = 0,"
    "       'REVOKE ALL … FROM PUBLIC.'"
    "  FROM " ALL_RIGHTS " WHERE a.grantee = 0",

    R"sql(
SELECT 'rights to change events', 'nobody''s but the owner''s',
       coalesce(string_agg(DISTINCT coalesce(r.rolname, 'PUBLIC') || ' ' || a.privilege_type, ', '), 'nobody''s but the owner''s'), count(*) = 0,
       'REVOKE them: no right to UPDATE, DELETE, TRUNCATE or make triggers is of use on spine.events.'
  FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE c.oid = $3 AND a.grantee <> c.relowner AND a.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
)sql",

    // What the guard lets be granted, and nothing besides.
    "SELECT 'other rights', 'none but those that the spine''s own functions give',"
    "       coalesce(string_agg(DISTINCT coalesce(r.rolname, 'number ' || a.grantee) || ' ' || a.privilege_type || ' on ' || g.what, ', '),"
    "                'none but those that the spine''s own functions give'), count(*) = 0,"
    "       'REVOKE them: spine.grant_emitter, grant_reader and grant_auditor give what is of use.'"
    "  FROM " ALL_RIGHTS
    "  LEFT JOIN pg_roles r ON r.oid = a.grantee"
    "  LEFT JOIN unnest($6, $7) p (relation, privileges) ON g.kind = 'relation' AND g.name = p.relation"
    " WHERE a.grantee NOT IN (0, g.owner) AND NOT coalesce(r.rolsuper, false)"
    "   AND NOT CASE g.kind WHEN 'relation' THEN coalesce(lower(a.privilege_type) = ANY (string_to_array(p.privileges, ' ')), false)"
    "                       WHEN 'function' THEN a.privilege_type = 'EXECUTE'"
    "                       ELSE a.privilege_type = 'USAGE' AND g.kind <> 'sequence' END",

    R"sql(
SELECT 'default privileges', 'none in the schema', coalesce(string_agg(DISTINCT r.rolname, ', '), 'none in the schema'), count(*) = 0,
       'What the spine makes later would be open to others: ALTER DEFAULT PRIVILEGES … IN SCHEMA spine REVOKE.'
  FROM pg_default_acl d JOIN pg_roles r ON r.oid = d.defaclrole WHERE d.defaclnamespace = $1
)sql",

    R"sql(
SELECT 'rights to settings', 'nobody''s', coalesce(string_agg(DISTINCT coalesce(r.rolname, 'PUBLIC') || ' ' || p.parname, ', '), 'nobody''s'), count(*) = 0,
       'REVOKE SET, ALTER SYSTEM ON PARAMETER …: these settings are a superuser''s.'
  FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE (p.parname LIKE 'people\_os\_spine.%' OR p.parname IN (
          'session_replication_role', 'allow_system_table_mods', 'event_triggers', 'session_preload_libraries',
          'shared_preload_libraries', 'local_preload_libraries', 'dynamic_library_path', 'zero_damaged_pages',
          'ignore_checksum_failure'))
   AND NOT coalesce(r.rolsuper, false)
)sql",

    R"sql(
SELECT 'roles that reach past the rights', 'none',
       coalesce(string_agg(r.rolname || ' (' || w.ways || ')', ', ' ORDER BY r.rolname), 'none'), CASE WHEN count(*) = 0 THEN true END,
       'They reach events, or other roles'' rights, without a grant of the spine''s: take that from them, or know why they have it.'
  FROM pg_roles r
 CROSS JOIN LATERAL (SELECT concat_ws(', ',
         CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
         -- Up to 15 it may give itself every role but a superuser's.
         CASE WHEN r.rolcreaterole AND current_setting('server_version_num')::integer < 160000 THEN 'CREATEROLE' END,
         CASE WHEN r.rolreplication THEN 'REPLICATION' END,
         (SELECT string_agg(p.rolname, ', ' ORDER BY p.rolname) FROM pg_roles p
           WHERE (p.rolsuper OR p.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_execute_server_program',
                                              'pg_read_server_files', 'pg_write_server_files'))
             AND p.oid <> r.oid AND pg_has_role(r.oid, p.oid, 'MEMBER'))) AS ways) w
 WHERE NOT r.rolsuper AND r.oid >= 16384 AND w.ways <> ''
)sql"};

}  // namespace

const Checks rights_checks = {queries, static_cast<int>(std::size(queries))};

}  // namespace spine
