#include "guard/checks.h"

#include <iterator>

namespace spine {

namespace {

const char *const queries[] = {
    R"sql(
SELECT 'functions', e.wanted, coalesce(string_agg(f.oid::regprocedure::text, ', ' ORDER BY f.proname) FILTER (WHERE NOT o.ok), e.wanted),
       coalesce(bool_and(o.ok), false),
       'Somebody replaced or added code in the schema spine, or gave it away: compare with a fresh install, then verify the chains.'
  FROM (VALUES ('the library''s own')) e (wanted)
  LEFT JOIN (pg_proc f JOIN pg_language l ON l.oid = f.prolang JOIN pg_roles r ON r.oid = f.proowner) ON f.pronamespace = $1
  LEFT JOIN pg_extension x ON x.oid = $2
 CROSS JOIN LATERAL (SELECT coalesce(l.lanname = 'c' AND f.probin = '$libdir/people_os_spine' AND f.prosrc = 'spine_' || f.proname
         AND NOT f.prosecdef AND (f.proconfig IS NULL OR f.proconfig = '{"search_path=pg_catalog, pg_temp"}')
         AND (f.proowner = x.extowner OR r.rolsuper)
         AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid
                        AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = $2 AND d.deptype = 'e'), false) AS ok) o
 GROUP BY e.wanted
)sql",

    R"sql(
SELECT 'views', e.wanted, coalesce(string_agg(c.relname, ', ' ORDER BY c.relname) FILTER (WHERE NOT o.ok), e.wanted),
       coalesce(bool_and(o.ok), false),
       'Without security_invoker a view shows what its owner sees: ALTER VIEW … SET (security_invoker = true), or OWNER TO the '
         || 'extension''s owner, under people_os_spine.unguard.'
  FROM (VALUES ('security_invoker, and the extension''s owner''s')) e (wanted)
  LEFT JOIN (pg_class c JOIN pg_roles r ON r.oid = c.relowner) ON c.relnamespace = $1 AND c.relkind IN ('v', 'm')
  LEFT JOIN pg_extension x ON x.oid = $2
 CROSS JOIN LATERAL (SELECT c.relkind = 'v' AND coalesce(c.reloptions = '{security_invoker=true}', false)
                            AND (c.relowner = x.extowner OR r.rolsuper) AS ok) o
 GROUP BY e.wanted
)sql",

    R"sql(
SELECT 'the schema', 'nothing in it but the spine''s', coalesce(string_agg(s.what, ', ' ORDER BY s.what), 'nothing in it but the spine''s'),
       count(*) = 0, 'It could be taken for the spine''s own, now or after an update: move it to another schema.'
  FROM (SELECT 'pg_class'::regclass AS classid, c.oid, c.oid::regclass::text AS what FROM pg_class c
         WHERE relnamespace = $1 AND relkind NOT IN ('i', 'I')
           AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid AND inhparent = $3)
           -- What was retired stays, as immutable as it was.
           AND NOT (relkind = 'r' AND NOT relispartition AND relname ~ '^events_[0-9]{8}(_[0-9]{4})?$' AND relrowsecurity
                    AND relowner = (SELECT r.relowner FROM pg_class r WHERE r.oid = $3)
                    AND NOT EXISTS (SELECT FROM aclexplode(relacl) a WHERE a.grantee <> relowner)
                    AND 2 = (SELECT count(*) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid AND p.proname = 'refuse_change'
                               JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass
                                AND d.refobjid = $2 AND d.deptype = 'e'
                              WHERE t.tgrelid = c.oid AND t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgnargs = 0 AND t.tgattr::text = ''
                                AND (t.tgname, t.tgtype) IN (('refuse_change', 58), ('refuse_row_change', 27))))
        UNION ALL SELECT 'pg_type'::regclass, oid, oid::regtype::text FROM pg_type
         WHERE typnamespace = $1 AND typrelid = 0 AND typelem = 0
        UNION ALL SELECT 'pg_operator'::regclass, oid, oid::regoperator::text FROM pg_operator WHERE oprnamespace = $1) s
 WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = s.classid AND d.objid = s.oid AND d.refclassid = 'pg_extension'::regclass
                      AND d.refobjid = $2 AND d.deptype = 'e')
)sql",

    R"sql(
SELECT 'casts', 'none of the spine''s types', coalesce(string_agg(castsource::regtype || ' to ' || casttarget::regtype, ', '), 'none of the spine''s types'),
       count(*) = 0, 'It changes what comparisons and texts of events mean: DROP CAST, under people_os_spine.unguard.'
  FROM pg_cast WHERE $1 IN (SELECT typnamespace FROM pg_type WHERE oid IN (castsource, casttarget))
)sql",

    R"sql(
SELECT 'owners', 'of schema, table and extension: superusers', string_agg(o.what || ' ' || coalesce(r.rolname, 'nobody'), ', ' ORDER BY o.what),
       CASE WHEN bool_and(coalesce(r.rolsuper, false)) THEN true WHEN count(DISTINCT r.oid) <> 1 THEN false END,
       'Let a superuser own them: an owner may restore rows as they are, and grant.'
  FROM (SELECT 'schema' AS what, (SELECT nspowner FROM pg_namespace WHERE oid = $1) AS owner
        UNION ALL SELECT 'table', (SELECT relowner FROM pg_class WHERE oid = $3)
        UNION ALL SELECT 'extension', (SELECT extowner FROM pg_extension WHERE oid = $2)) o
  LEFT JOIN pg_roles r ON r.oid = o.owner
)sql",

    R"sql(
SELECT 'event trigger ' || w.name, o.wanted,
       CASE WHEN t.oid IS NULL THEN 'missing'
            WHEN t.evtenabled = 'D' THEN 'disabled'
            WHEN t.evtenabled <> 'A' THEN 'not ENABLE ALWAYS'
            WHEN NOT s.defined THEN 'another definition'
            WHEN NOT r.rolsuper THEN 'owned by ' || r.rolname || ', who is no superuser and could disable it'
            ELSE o.wanted END,
       coalesce(t.evtenabled = 'A' AND s.defined AND r.rolsuper, false),
       'ALTER EVENT TRIGGER ' || w.name || ' ENABLE ALWAYS, or OWNER TO a superuser, under people_os_spine.unguard.'
  FROM (VALUES
    ('people_os_spine_guard', 'ddl_command_start', 'guard_ddl', NULL::text[]),
    ('people_os_spine_partitions', 'ddl_command_end', 'follow_partitions',
     '{CREATE TABLE,CREATE FOREIGN TABLE,CREATE SCHEMA,ALTER TABLE,ALTER FOREIGN TABLE,ALTER VIEW,ALTER MATERIALIZED VIEW,ALTER TYPE}')
  ) w (name, event, function, tags)
 CROSS JOIN LATERAL (SELECT w.event || ', ENABLE ALWAYS, spine.' || w.function || '(), a superuser''s' AS wanted) o
  LEFT JOIN pg_event_trigger t ON t.evtname = w.name
  LEFT JOIN pg_proc f ON f.oid = t.evtfoid
  LEFT JOIN pg_roles r ON r.oid = t.evtowner
 CROSS JOIN LATERAL (SELECT coalesce(t.evtevent = w.event AND t.evttags IS NOT DISTINCT FROM w.tags AND f.proname = w.function
         AND f.pronamespace = $1 AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid
            AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = $2 AND d.deptype = 'e'), false) AS defined) s
)sql"};

}  // namespace

const Checks code_checks = {queries, static_cast<int>(std::size(queries))};

}  // namespace spine
