// spine.verify_guards: what keeps events immutable and apart, and whether it is there.
#include "server/pg.h"

extern "C" {
#include <catalog/pg_type.h>
#include <executor/spi.h>
#include <funcapi.h>
#include <utils/guc.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

// One row a guard: its name, what is expected, what was found, whether that is so, what to do. ok is false where a
// guard is broken, and NULL where one is not in force that a server can do without. $1: where the library is preloaded.
//
// Reads catalogs alone, so that it says what is there whatever runs; names are qualified by the function's search_path.
constexpr char query[] = R"sql(
WITH spine AS (
  SELECT n.oid AS schema, n.nspowner, n.nspacl, x.oid AS extension, x.extowner, c.oid AS events, c.relowner, c.relacl, c.relkind, c.relpersistence,
         c.relhastriggers, c.relchecks, c.relrowsecurity, c.relforcerowsecurity, c.relispartition, m.amname
    FROM (SELECT) one
    LEFT JOIN pg_namespace n ON n.nspname = 'spine'
    LEFT JOIN pg_extension x ON x.extname = 'people_os_spine'
    LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'events'
    LEFT JOIN pg_am m ON m.oid = c.relam
), members AS (
  SELECT d.classid, d.objid FROM spine JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = extension AND d.deptype = 'e'
), functions AS (
  SELECT p.*, m.objid IS NOT NULL AS is_member
    FROM spine JOIN pg_proc p ON p.pronamespace = schema LEFT JOIN members m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
), triggers AS (
  SELECT t.tgname, t.tgtype, t.tgenabled, f.proname, f.is_member, t.tgqual, t.tgattr::text <> '' AS for_columns, t.tgnargs
    FROM spine JOIN pg_trigger t ON t.tgrelid = events AND NOT t.tgisinternal LEFT JOIN functions f ON f.oid = t.tgfoid
), wanted_triggers (name, function, type, sense) AS (
  VALUES ('refuse_change', 'refuse_change', 58, 'BEFORE UPDATE OR DELETE OR TRUNCATE FOR EACH STATEMENT, ENABLE ALWAYS, spine.refuse_change()'),
         ('refuse_row_change', 'refuse_change', 27, 'BEFORE UPDATE OR DELETE FOR EACH ROW, ENABLE ALWAYS, spine.refuse_change()'),
         ('zz_chain_event', 'chain_event', 7, 'BEFORE INSERT FOR EACH ROW, ENABLE ALWAYS, spine.chain_event()')
), checks (place, guard, expected, found, ok, remedy) AS (
  SELECT 10, 'extension', 'people_os_spine, which owns spine.events',
         CASE WHEN extension IS NULL THEN 'no extension people_os_spine' WHEN events IS NULL THEN 'no table spine.events'
              WHEN NOT EXISTS (SELECT FROM members WHERE classid = 'pg_class'::regclass AND objid = events) THEN 'spine.events is not its own'
              ELSE 'people_os_spine, which owns spine.events' END,
         EXISTS (SELECT FROM members WHERE classid = 'pg_class'::regclass AND objid = events),
         'Restore the database from a backup that was verified; DDL on the spine was not guarded.'
    FROM spine
  UNION ALL
  SELECT 20, 'trigger ' || w.name, w.sense,
         CASE WHEN t.tgname IS NULL THEN 'missing'
              WHEN t.tgenabled = 'D' THEN 'disabled' WHEN t.tgenabled = 'O' THEN 'ENABLE, not ALWAYS' WHEN t.tgenabled = 'R' THEN 'ENABLE REPLICA'
              WHEN t.tgtype <> w.type OR t.tgqual IS NOT NULL OR t.for_columns OR t.tgnargs <> 0 THEN 'another definition'
              WHEN t.proname IS DISTINCT FROM w.function OR t.is_member IS NOT TRUE THEN 'another function' ELSE w.sense END,
         coalesce(t.tgenabled = 'A' AND t.tgtype = w.type AND t.tgqual IS NULL AND NOT t.for_columns AND t.tgnargs = 0 AND t.proname = w.function AND t.is_member, false),
         'Verify the chains, then ALTER TABLE spine.events ENABLE ALWAYS TRIGGER ' || w.name || ', or make it anew as the install script does, under people_os_spine.unguard.'
    FROM wanted_triggers w LEFT JOIN triggers t ON t.tgname = w.name
  UNION ALL
  SELECT 30, 'other triggers', 'none', coalesce(string_agg(tgname, ', ' ORDER BY tgname), 'none'), count(*) = 0,
         'Each sees, and a BEFORE INSERT trigger changes, what is emitted. Drop what nobody answers for.'
    FROM triggers WHERE tgname NOT IN (SELECT name FROM wanted_triggers)
  UNION ALL
  SELECT 31, 'chaining comes last', 'no BEFORE INSERT row trigger sorts after zz_chain_event', coalesce(string_agg(tgname, ', ' ORDER BY tgname), 'none'), count(*) = 0,
         'It would run after the event is hashed, and every INSERT is refused: give it another name.'
    FROM triggers WHERE tgtype & 7 = 7 AND tgenabled <> 'D' AND tgname COLLATE "C" > 'zz_chain_event'
  UNION ALL
  SELECT 40, 'table', 'a logged heap table with triggers and five checks',
         concat_ws(', ', CASE relpersistence WHEN 'p' THEN 'logged' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END, CASE relkind WHEN 'r' THEN 'table' ELSE 'relkind ' || relkind::text END,
                   coalesce(amname, 'no access method'), CASE WHEN relispartition THEN 'a partition' END, CASE WHEN relhastriggers THEN 'with' ELSE 'without' END || ' triggers', relchecks || ' checks'),
         coalesce(relkind = 'r' AND relpersistence = 'p' AND amname = 'heap' AND NOT relispartition AND relhastriggers AND relchecks >= 5, false),
         'Somebody altered the catalogs or the table: verify the chains, compare with a backup.'
    FROM spine
  UNION ALL
  SELECT 41, 'columns', '26, as they were made', coalesce(string_agg(w.name || ' ' || coalesce(format_type(a.atttypid, a.atttypmod), 'missing') || CASE WHEN a.attnotnull THEN '' ELSE ' nullable' END, ', ' ORDER BY w.name)
           FILTER (WHERE a.attname IS NULL OR a.attnotnull <> w.is_always_there OR format_type(a.atttypid, a.atttypmod) <> w.type OR a.attgenerated <> '' OR a.attidentity <> ''), '26, as they were made'),
         coalesce(bool_and(a.attnotnull = w.is_always_there AND format_type(a.atttypid, a.atttypmod) = w.type AND a.attgenerated = '' AND a.attidentity = ''), false),
         'Somebody altered the catalogs or the table: verify the chains, compare with a backup.'
    FROM (VALUES ('id', 'uuid'), ('event_type', 'text'), ('domain', 'text'), ('entity_type', 'text'), ('entity_id', 'uuid'), ('action', 'text'), ('actor_id', 'uuid'),
                 ('actor_type', 'spine.actor_type'), ('organization_id', 'uuid'), ('environment', 'spine.environment'), ('timestamp', 'timestamp with time zone'),
                 ('severity', 'spine.severity'), ('payload', 'jsonb'), ('sequence', 'bigint'), ('transaction_id', 'xid8'), ('recorded_by', 'text'),
                 ('previous_hash', 'bytea'), ('event_hash', 'bytea'), ('payload_salt', 'bytea'), ('payload_hash', 'bytea'), ('personal', 'jsonb'),
                 ('personal_salt', 'bytea'), ('personal_hash', 'bytea'), ('occurred_at', 'timestamp with time zone'), ('correlation_id', 'uuid'), ('causation_id', 'uuid')) c (name, type)
   CROSS JOIN LATERAL (SELECT c.name, c.type, c.name !~ '^(payload|personal|occurred|correlation|causation)' AS is_always_there) w
    LEFT JOIN (SELECT a.* FROM spine JOIN pg_attribute a ON a.attrelid = events AND a.attnum > 0 AND NOT a.attisdropped) a ON a.attname = w.name
  UNION ALL
  SELECT 42, 'labels', 'those of the contract', coalesce(string_agg(w.name || ' (' || coalesce(l.labels, '') || ')', ', ' ORDER BY w.name) FILTER (WHERE l.labels IS DISTINCT FROM w.labels), 'those of the contract'),
         coalesce(bool_and(l.labels = w.labels), false), 'A label is hashed as text: rename it back, then verify the chains.'
    FROM (VALUES ('actor_type', 'human, system, pipeline'), ('environment', 'dev, test, stage, prod'), ('severity', 'low, medium, high, critical')) w (name, labels)
    LEFT JOIN (SELECT t.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) AS labels
                 FROM spine JOIN pg_type t ON t.typnamespace = schema JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY 1) l ON l.typname = w.name
  UNION ALL
  SELECT 43, 'constraints', 'nine, in force', coalesce(string_agg(w.name || CASE WHEN k.conname IS NULL THEN ' missing' WHEN NOT k.convalidated THEN ' not valid' WHEN k.condeferrable THEN ' deferrable'
           WHEN k.contype <> 'c' AND NOT (i.indisvalid AND i.indisready AND i.indislive AND i.indisunique) THEN ' with an invalid index' ELSE ' another' END, ', ' ORDER BY w.name) FILTER (WHERE NOT o.ok), 'nine, in force'),
         bool_and(o.ok), 'Verify the chains, then add the constraint as the install script does, under people_os_spine.unguard.'
    FROM (VALUES ('events_pkey', 'PRIMARY KEY (organization_id, sequence, "timestamp")'), ('events_payload_check', NULL), ('events_personal_check', NULL), ('events_occurred_at_check', NULL),
                 ('events_event_type_check', 'CHECK ((event_type = ((((domain || ''.''::text) || entity_type) || ''.''::text) || action)))'), ('events_timestamp_check', NULL),
                 ('events_sequence_check', 'CHECK ((sequence >= 1))'), ('events_previous_hash_check', 'CHECK ((octet_length(previous_hash) = 32))'),
                 ('events_event_hash_check', 'CHECK ((octet_length(event_hash) = 32))')) w (name, definition)
    LEFT JOIN (SELECT k.* FROM spine JOIN pg_constraint k ON k.conrelid = events) k ON k.conname = w.name
    LEFT JOIN pg_index i ON i.indexrelid = k.conindid AND k.conindid <> 0
   CROSS JOIN LATERAL (SELECT coalesce(k.convalidated AND NOT k.condeferrable AND (w.definition IS NULL OR pg_get_constraintdef(k.oid) = w.definition)
           AND (k.contype = 'c' OR (i.indisvalid AND i.indisready AND i.indislive AND i.indisunique)), false) AS ok) o
  UNION ALL
  SELECT 50, 'rules', 'none', coalesce(string_agg(r.rulename, ', ' ORDER BY r.rulename), 'none'), count(r.oid) = 0, 'DROP RULE … ON spine.events: it rewrites what is inserted or read.'
    FROM spine LEFT JOIN pg_rewrite r ON r.ev_class = events
  UNION ALL
  SELECT 51, 'children and parents', 'none', coalesce(string_agg(CASE i.inhparent WHEN events THEN i.inhrelid ELSE i.inhparent END::regclass::text, ', '), 'none'), count(i.inhrelid) = 0,
         'ALTER TABLE … NO INHERIT spine.events: a child''s rows are read as events that nobody chained.'
    FROM spine LEFT JOIN pg_inherits i ON events IN (i.inhparent, i.inhrelid)
  UNION ALL
  SELECT 52, 'row security', 'enabled, not forced', CASE WHEN relrowsecurity THEN 'enabled' ELSE 'disabled' END || CASE WHEN relforcerowsecurity THEN ', forced' ELSE ', not forced' END,
         coalesce(relrowsecurity AND NOT relforcerowsecurity, false), 'ALTER TABLE spine.events ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY, under people_os_spine.unguard.'
    FROM spine
  UNION ALL
  SELECT 53, 'policies', 'read_given and insert_any', coalesce(string_agg(p.polname, ', ' ORDER BY p.polname), 'none'),
         coalesce(count(*) = 2 AND bool_and(p.polpermissive AND p.polroles = '{0}' AND (
             (p.polname = 'read_given' AND p.polcmd = 'r' AND pg_get_expr(p.polqual, p.polrelid) = 'spine.may_read(organization_id)' AND p.polwithcheck IS NULL) OR
             (p.polname = 'insert_any' AND p.polcmd = 'a' AND p.polqual IS NULL AND pg_get_expr(p.polwithcheck, p.polrelid) = 'true'))), false),
         'A further policy shows rows to roles that were not given them: drop it, and make these two as the install script does.'
    FROM spine JOIN pg_policy p ON p.polrelid = events
  UNION ALL
  SELECT 60, 'functions', 'the library''s own', coalesce(string_agg(f.oid::regprocedure::text, ', ' ORDER BY f.proname) FILTER (WHERE NOT o.ok), 'the library''s own'), coalesce(bool_and(o.ok), false),
         'Somebody replaced or added code in the schema spine, or gave it away: compare with a fresh install, then verify the chains.'
    FROM functions f CROSS JOIN spine JOIN pg_language l ON l.oid = f.prolang JOIN pg_roles r ON r.oid = f.proowner
   CROSS JOIN LATERAL (SELECT f.is_member AND l.lanname = 'c' AND f.probin = '$libdir/people_os_spine' AND f.prosrc = 'spine_' || f.proname AND NOT f.prosecdef
           AND (f.proconfig IS NULL OR f.proconfig = '{"search_path=pg_catalog, pg_temp"}') AND (f.proowner = spine.extowner OR r.rolsuper) AS ok) o
  UNION ALL
  SELECT 61, 'owners', 'of schema, table and extension: superusers', string_agg(o.what || ' ' || coalesce(r.rolname, 'nobody'), ', ' ORDER BY o.what),
         CASE WHEN bool_and(coalesce(r.rolsuper, false)) THEN true WHEN count(DISTINCT r.oid) <> 1 THEN false END,
         'Let a superuser own them: an owner may restore rows as they are, and grant.'
    FROM spine CROSS JOIN LATERAL (VALUES ('schema', nspowner), ('table', relowner), ('extension', extowner)) o (what, owner) LEFT JOIN pg_roles r ON r.oid = o.owner
  UNION ALL
  SELECT 62, 'event trigger ' || w.name, o.wanted,
         CASE WHEN t.oid IS NULL THEN 'missing' WHEN t.evtenabled = 'D' THEN 'disabled' WHEN t.evtenabled <> 'A' THEN 'not ENABLE ALWAYS'
           WHEN f.proname IS DISTINCT FROM w.function OR f.is_member IS NOT TRUE OR t.evtevent <> w.event OR t.evttags IS DISTINCT FROM w.tags THEN 'another definition'
           WHEN NOT r.rolsuper THEN 'owned by ' || r.rolname || ', who is no superuser and could disable it' ELSE o.wanted END,
         coalesce(t.evtenabled = 'A' AND t.evtevent = w.event AND t.evttags IS NOT DISTINCT FROM w.tags AND f.proname = w.function AND f.is_member AND r.rolsuper, false),
         'ALTER EVENT TRIGGER ' || w.name || ' ENABLE ALWAYS, or OWNER TO a superuser, under people_os_spine.unguard.'
    FROM (VALUES ('people_os_spine_guard', 'ddl_command_start', 'guard_ddl', NULL::text[]),
                 ('people_os_spine_partitions', 'ddl_command_end', 'follow_partitions', '{CREATE TABLE,CREATE FOREIGN TABLE,CREATE SCHEMA,ALTER TABLE,ALTER FOREIGN TABLE,ALTER VIEW,ALTER MATERIALIZED VIEW,ALTER TYPE}')) w (name, event, function, tags)
   CROSS JOIN LATERAL (SELECT w.event || ', ENABLE ALWAYS, spine.' || w.function || '(), a superuser''s' AS wanted) o
    LEFT JOIN pg_event_trigger t ON t.evtname = w.name LEFT JOIN functions f ON f.oid = t.evtfoid LEFT JOIN pg_roles r ON r.oid = t.evtowner
  UNION ALL
  SELECT 70, 'rights of PUBLIC', 'none', coalesce(string_agg(DISTINCT g.what, ', '), 'none'), count(*) = 0, 'REVOKE ALL … FROM PUBLIC.'
    FROM (SELECT 'schema spine' AS what, coalesce(nspacl, acldefault('n', nspowner)) AS acl FROM spine
          UNION ALL SELECT 'relation ' || c.oid::regclass, coalesce(c.relacl, acldefault('r', c.relowner)) FROM spine JOIN pg_class c ON c.relnamespace = schema AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
          UNION ALL SELECT 'columns of ' || a.attrelid::regclass, a.attacl FROM spine JOIN pg_class c ON c.relnamespace = schema JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attacl IS NOT NULL
          UNION ALL SELECT 'function ' || f.oid::regprocedure, coalesce(f.proacl, acldefault('f', f.proowner)) FROM functions f
          UNION ALL SELECT 'type ' || t.oid::regtype, coalesce(t.typacl, acldefault('T', t.typowner)) FROM spine JOIN pg_type t ON t.typnamespace = schema AND t.typtype = 'e') g
   CROSS JOIN LATERAL aclexplode(g.acl) a WHERE a.grantee = 0
  UNION ALL
  SELECT 71, 'rights to change events', 'nobody''s but the owner''s', coalesce(string_agg(DISTINCT coalesce(r.rolname, 'PUBLIC') || ' ' || a.privilege_type, ', '), 'nobody''s but the owner''s'), count(*) = 0,
         'REVOKE them: no right to UPDATE, DELETE, TRUNCATE or make triggers is of use on spine.events.'
    FROM spine CROSS JOIN LATERAL aclexplode(relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
   WHERE a.grantee <> relowner AND a.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
  UNION ALL
  SELECT 72, 'rights to settings', 'nobody''s', coalesce(string_agg(DISTINCT coalesce(r.rolname, 'PUBLIC') || ' ' || p.parname, ', '), 'nobody''s'), count(*) = 0,
         'REVOKE SET, ALTER SYSTEM ON PARAMETER …: these settings are a superuser''s.'
    FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
   WHERE (p.parname LIKE 'people\_os\_spine.%' OR p.parname IN ('session_replication_role', 'allow_system_table_mods', 'event_triggers', 'session_preload_libraries',
           'shared_preload_libraries', 'local_preload_libraries', 'dynamic_library_path', 'zero_damaged_pages', 'ignore_checksum_failure')) AND NOT coalesce(r.rolsuper, false)
  UNION ALL
  SELECT 73, 'roles that reach past the rights', 'none', coalesce(string_agg(r.rolname, ', ' ORDER BY r.rolname), 'none'), CASE WHEN count(*) = 0 THEN true END,
         'They read or insert events without a grant of the spine''s: members of pg_read_all_data, pg_write_all_data or pg_execute_server_program, or BYPASSRLS. Know why.'
    FROM pg_roles r WHERE NOT r.rolsuper AND r.oid >= 16384 AND (r.rolbypassrls OR pg_has_role(r.oid, 'pg_read_all_data', 'MEMBER') OR pg_has_role(r.oid, 'pg_write_all_data', 'MEMBER')
           OR pg_has_role(r.oid, 'pg_execute_server_program', 'MEMBER') OR pg_has_role(r.oid, 'pg_write_server_files', 'MEMBER'))
  UNION ALL
  SELECT 80, 'setting ' || w.name, w.value, s.setting, s.setting = w.value, w.remedy
    FROM (VALUES ('allow_system_table_mods', 'off', 'With it on, catalogs can be altered by which all of this holds.'),
                 ('event_triggers', 'on', 'Without event triggers DDL is not guarded where the library is not preloaded.'),
                 ('fsync', 'on', 'Without it a crash loses acknowledged events.'), ('full_page_writes', 'on', 'Without it a crash damages pages.'),
                 ('ignore_checksum_failure', 'off', 'Damaged pages would be read as if they were not.'), ('ignore_system_indexes', 'off', 'Leave it off.'),
                 ('session_replication_role', 'origin', 'Other triggers than the spine''s do not fire.'),
                 ('zero_damaged_pages', 'off', 'Events on damaged pages would be thrown away.')) w (name, value, remedy)
    JOIN pg_settings s ON s.name = w.name
  UNION ALL
  SELECT 81, 'settings of databases and roles', 'none that weaken the guards', coalesce(string_agg(DISTINCT c, ', '), 'none that weaken the guards'), count(*) = 0, 'ALTER DATABASE … RESET, ALTER ROLE … RESET.'
    FROM pg_db_role_setting d CROSS JOIN LATERAL unnest(d.setconfig) c
   WHERE (d.setdatabase = 0 OR d.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
     AND c ~ '^(allow_system_table_mods=on|event_triggers=off|ignore_checksum_failure=on|zero_damaged_pages=on|session_replication_role=(replica|local))'
  UNION ALL
  SELECT 90, 'environment', 'set for this database', coalesce(nullif(s.setting, ''), 'not set'), CASE WHEN s.setting <> '' THEN true END,
         'ALTER DATABASE ' || quote_ident(current_database()) || ' SET people_os_spine.environment = …: nobody can emit without it.'
    FROM pg_settings s WHERE s.name = 'people_os_spine.environment'
  UNION ALL
  SELECT 91, 'library preloaded', 'shared_preload_libraries', $1, CASE WHEN $1 <> 'no' THEN true END,
         'Add people_os_spine to shared_preload_libraries and restart: then the guard holds in every session from its start.'
  UNION ALL
  SELECT 92, 'data checksums', 'on', s.setting, CASE WHEN s.setting = 'on' THEN true END, 'pg_checksums --enable, with the server stopped: damage by disks is then told from tampering.'
    FROM pg_settings s WHERE s.name = 'data_checksums'
)
SELECT guard, expected, found, ok, CASE WHEN ok THEN NULL ELSE remedy END FROM checks ORDER BY place, guard
)sql";

// Of a setting that only some roles may read; whether the library is preloaded is no secret.
bool lists_library(const char *setting) {
  const char *value = GetConfigOption(setting, true, false);
  return value != nullptr && strstr(value, "people_os_spine") != nullptr;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_verify_guards);
PGDLLEXPORT Datum spine_verify_guards(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const char *preloaded = lists_library("shared_preload_libraries")    ? "shared_preload_libraries"
                          : lists_library("session_preload_libraries") ? "session_preload_libraries"
                                                                       : "no";
  SPI_connect();
  Oid types[] = {TEXTOID};
  Datum arguments[] = {text_datum(preloaded)};
  SPIPlanPtr plan = SPI_prepare(query, 1, types);
  // What is there now, not what the transaction has seen.
  Snapshot now = RegisterSnapshot(GetLatestSnapshot());
  SPI_execute_snapshot(plan, arguments, nullptr, now, InvalidSnapshot, true, false, 0);
  for (uint64 i = 0; i < SPI_processed; i++) tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
  UnregisterSnapshot(now);
  SPI_finish();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
