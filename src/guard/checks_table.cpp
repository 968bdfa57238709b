#include "guard/checks.h"

#include "guard/partitions.h"

#include <iterator>

namespace spine {

namespace {

const char *const queries[] = {
    R"sql(
SELECT 'extension', w.wanted,
       CASE WHEN $2 = 0 THEN 'no extension people_os_spine' WHEN $3 = 0 THEN 'no table spine.events'
            WHEN d.objid IS NULL THEN 'spine.events is not its own' ELSE w.wanted END,
       d.objid IS NOT NULL,
       'Restore the database from a backup that was verified; DDL on the spine was not guarded.'
  FROM (VALUES ('people_os_spine, which owns spine.events')) w (wanted)
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = $3 AND d.objsubid = 0
        AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = $2 AND d.deptype = 'e'
)sql",

    R"sql(
SELECT 'trigger ' || w.name, w.sense,
       CASE WHEN t.tgname IS NULL THEN 'missing'
            WHEN t.tgenabled = 'D' THEN 'disabled'
            WHEN t.tgenabled = 'O' THEN 'ENABLE, not ALWAYS'
            WHEN t.tgenabled = 'R' THEN 'ENABLE REPLICA'
            WHEN NOT s.defined THEN 'another definition'
            WHEN NOT s.calls THEN 'another function' ELSE w.sense END,
       coalesce(t.tgenabled = 'A' AND s.defined AND s.calls, false),
       'Verify the chains, then ALTER TABLE spine.events ENABLE ALWAYS TRIGGER ' || w.name
         || ', or make it anew as the install script does, under people_os_spine.unguard.'
  FROM (VALUES
    ('refuse_change', 'refuse_change', 58,
     'BEFORE UPDATE OR DELETE OR TRUNCATE FOR EACH STATEMENT, ENABLE ALWAYS, spine.refuse_change()'),
    ('refuse_row_change', 'refuse_change', 27, 'BEFORE UPDATE OR DELETE FOR EACH ROW, ENABLE ALWAYS, spine.refuse_change()'),
    ('zz_chain_event', 'chain_event', 7, 'BEFORE INSERT FOR EACH ROW, ENABLE ALWAYS, spine.chain_event()')
  ) w (name, function, type, sense)
  LEFT JOIN pg_trigger t ON t.tgrelid = $3 AND NOT t.tgisinternal AND t.tgname = w.name
  LEFT JOIN pg_proc f ON f.oid = t.tgfoid
  LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_extension'::regclass
        AND d.refobjid = $2 AND d.deptype = 'e'
 CROSS JOIN LATERAL (SELECT t.tgtype = w.type AND t.tgqual IS NULL AND t.tgattr::text = '' AND t.tgnargs = 0 AS defined,
                            f.proname = w.function AND f.pronamespace = $1 AND d.objid IS NOT NULL AS calls) s
)sql",

    R"sql(
SELECT 'other triggers', 'none', coalesce(string_agg(tgname, ', ' ORDER BY tgname), 'none'), count(*) = 0,
       'Each sees, and a BEFORE INSERT trigger changes, what is emitted. Drop what nobody answers for.'
  FROM pg_trigger
 WHERE tgrelid = $3 AND NOT tgisinternal AND tgname NOT IN ('refuse_change', 'refuse_row_change', 'zz_chain_event')
)sql",

    R"sql(
SELECT 'chaining comes last', 'no BEFORE INSERT row trigger sorts after zz_chain_event',
       coalesce(string_agg(tgname, ', ' ORDER BY tgname), 'none'), count(*) = 0,
       'It would run after the event is hashed, and every INSERT is refused: give it another name.'
  FROM pg_trigger
 WHERE tgrelid = $3 AND NOT tgisinternal AND tgtype & 7 = 7 AND tgenabled <> 'D' AND tgname COLLATE "C" > 'zz_chain_event'
)sql",

    R"sql(
SELECT 'table', e.wanted,
       CASE WHEN t.ok THEN e.wanted ELSE
         concat_ws(', ', CASE relpersistence WHEN 'p' THEN 'logged' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END,
                   CASE WHEN relkind = 'p' THEN 'partitioned' ELSE 'relkind ' || coalesce(relkind::text, 'missing') END,
                   pg_get_partkeydef(c.oid), CASE WHEN d.inhrelid IS NULL THEN 'no default partition' END,
                   CASE WHEN relispartition THEN 'a partition' END,
                   CASE WHEN relhastriggers THEN 'with' ELSE 'without' END || ' triggers', relchecks || ' checks') END,
       t.ok, 'Somebody altered the catalogs or the table: verify the chains, compare with a backup.'
  FROM (VALUES ('logged, partitioned by range of timestamp, with a default partition, triggers and eight checks')) e (wanted)
  LEFT JOIN pg_class c ON c.oid = $3 LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
  LEFT JOIN pg_inherits d ON d.inhparent = c.oid AND d.inhrelid = p.partdefid
 CROSS JOIN LATERAL (SELECT coalesce(relkind = 'p' AND relpersistence = 'p' AND NOT relispartition AND relhastriggers
           AND relchecks >= 8 AND pg_get_partkeydef(c.oid) = 'RANGE ("timestamp")' AND d.inhrelid IS NOT NULL, false) AS ok) t
)sql",

    R"sql(
SELECT 'columns', e.wanted,
       coalesce(string_agg(w.name || ' ' || coalesce(s.type, 'missing') || CASE WHEN a.attnotnull THEN '' ELSE ' nullable' END,
                           ', ' ORDER BY w.name) FILTER (WHERE NOT s.ok), e.wanted),
       bool_and(s.ok), 'Somebody altered the catalogs or the table: verify the chains, compare with a backup.'
  FROM (VALUES ('26, as they were made')) e (wanted)
 CROSS JOIN (VALUES
    ('id', 'uuid'), ('event_type', 'text'), ('domain', 'text'), ('entity_type', 'text'), ('entity_id', 'uuid'),
    ('action', 'text'), ('actor_id', 'uuid'), ('actor_type', 'spine.actor_type'), ('organization_id', 'uuid'),
    ('environment', 'spine.environment'), ('timestamp', 'timestamp with time zone'), ('severity', 'spine.severity'),
    ('payload', 'jsonb'), ('sequence', 'bigint'), ('transaction_id', 'xid8'), ('recorded_by', 'text'),
    ('previous_hash', 'bytea'), ('event_hash', 'bytea'), ('payload_salt', 'bytea'), ('payload_hash', 'bytea'),
    ('personal', 'jsonb'), ('personal_salt', 'bytea'), ('personal_hash', 'bytea'),
    ('occurred_at', 'timestamp with time zone'), ('correlation_id', 'uuid'), ('causation_id', 'uuid')) w (name, type)
  LEFT JOIN pg_attribute a ON a.attrelid = $3 AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = w.name
 CROSS JOIN LATERAL (SELECT format_type(a.atttypid, a.atttypmod) AS type) t
 CROSS JOIN LATERAL (SELECT t.type, coalesce(a.attnotnull = (w.name !~ '^(payload|personal|occurred|correlation|causation)')
                                                             AND t.type = w.type AND a.attgenerated = '' AND a.attidentity = '',
                                             false) AS ok) s
 GROUP BY e.wanted
)sql",

    R"sql(
SELECT 'labels', e.wanted,
       coalesce(string_agg(w.name || ' (' || coalesce(l.labels, '') || ')', ', ' ORDER BY w.name)
                FILTER (WHERE l.labels IS DISTINCT FROM w.labels), e.wanted),
       coalesce(bool_and(l.labels IS NOT DISTINCT FROM w.labels), false),
       'A label is hashed as text: rename it back, then verify the chains.'
  FROM (VALUES ('those of the contract')) e (wanted)
 CROSS JOIN (VALUES
    ('actor_type', 'human, system, pipeline'), ('environment', 'dev, test, stage, prod'),
    ('severity', 'low, medium, high, critical')) w (name, labels)
  LEFT JOIN (SELECT t.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) AS labels
               FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typnamespace = $1 GROUP BY 1) l
    ON l.typname = w.name
 GROUP BY e.wanted
)sql",

    R"sql(
SELECT 'constraints', e.wanted,
       coalesce(string_agg(w.name || CASE WHEN k.conname IS NULL THEN ' missing' WHEN NOT k.convalidated THEN ' not valid'
                  WHEN k.condeferrable THEN ' deferrable' WHEN NOT i.in_force THEN ' with an invalid index'
                  ELSE ' another' END, ', ' ORDER BY w.name) FILTER (WHERE NOT o.ok), e.wanted),
       bool_and(o.ok),
       'Verify the chains, then add the constraint as the install script does, under people_os_spine.unguard.'
  FROM (VALUES ('nine, in force')) e (wanted)
 CROSS JOIN (VALUES
    ('events_pkey', 'PRIMARY KEY (organization_id, sequence, "timestamp")'),
    ('events_payload_check', NULL), ('events_personal_check', NULL), ('events_occurred_at_check', NULL),
    ('events_event_type_check',
     'CHECK ((event_type = ((((domain || ''.''::text) || entity_type) || ''.''::text) || action)))'),
    ('events_timestamp_check', NULL),
    ('events_sequence_check', 'CHECK ((sequence >= 1))'),
    ('events_previous_hash_check', 'CHECK ((octet_length(previous_hash) = 32))'),
    ('events_event_hash_check', 'CHECK ((octet_length(event_hash) = 32))')) w (name, definition)
  LEFT JOIN pg_constraint k ON k.conrelid = $3 AND k.conname = w.name
 CROSS JOIN LATERAL (SELECT k.contype = 'c' OR EXISTS (
           SELECT FROM pg_index WHERE indexrelid = k.conindid AND indisvalid AND indisready AND indislive AND indisunique)
           AS in_force) i
 CROSS JOIN LATERAL (SELECT coalesce(k.convalidated AND NOT k.condeferrable AND i.in_force
           AND (w.definition IS NULL OR pg_get_constraintdef(k.oid) = w.definition), false) AS ok) o
 GROUP BY e.wanted
)sql",

    R"sql(
SELECT 'indexes', e.wanted,
       coalesce(string_agg(w.name || CASE WHEN i.indexrelid IS NULL THEN ' missing' ELSE ' invalid' END, ', ' ORDER BY w.name)
                FILTER (WHERE NOT o.ok), e.wanted),
       bool_and(o.ok), 'Readers need them: make each as the install script does, under people_os_spine.unguard; REINDEX what is invalid.'
  FROM (VALUES ('those that readers need, valid')) e (wanted)
 CROSS JOIN (
    SELECT unnest($5) AS name
    UNION SELECT x.relname FROM pg_class c JOIN pg_index u ON u.indrelid = c.oid AND u.indisunique JOIN pg_class x ON x.oid = u.indexrelid
     WHERE c.relnamespace = $1) w
  LEFT JOIN pg_class c ON c.relnamespace = $1 AND c.relname = w.name
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
 CROSS JOIN LATERAL (SELECT coalesce(i.indisvalid AND i.indisready AND i.indislive, false) AS ok) o
 GROUP BY e.wanted
)sql",

    R"sql(
SELECT 'rules', 'none', coalesce(string_agg(rulename, ', ' ORDER BY rulename), 'none'), count(*) = 0,
       'DROP RULE … ON spine.events, under people_os_spine.unguard: it rewrites what is inserted or read.'
  FROM pg_rewrite WHERE ev_class = $3
)sql",

    "SELECT 'children and parents', e.wanted, coalesce(string_agg(f.found, '; ' ORDER BY f.found), e.wanted), count(f.found) = 0,"
    "       'Verify the chains; give the partition what it lacks as spine.events_default has it, or take away what is not its own, under '"
    "         || 'people_os_spine.unguard. What is no partition is read as events that nobody chained: ALTER TABLE … NO INHERIT.'"
    "  FROM (VALUES ('partitions, guarded as the table is, and no parents')) e (wanted)"
    "  LEFT JOIN (SELECT partition || ': ' || faults FROM (" PARTITION_FAULTS ") p"
    "             UNION ALL SELECT inhparent::regclass || ': a parent' FROM pg_inherits WHERE inhrelid = $3) f (found) ON true"
    " GROUP BY e.wanted",

    R"sql(
SELECT 'row security', 'enabled, not forced',
       CASE WHEN relrowsecurity THEN 'enabled' ELSE 'disabled' END || CASE WHEN relforcerowsecurity THEN ', forced' ELSE ', not forced' END,
       coalesce(relrowsecurity AND NOT relforcerowsecurity, false),
       'ALTER TABLE spine.events ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY, under people_os_spine.unguard.'
  FROM (SELECT) one LEFT JOIN pg_class c ON c.oid = $3
)sql",

    R"sql(
SELECT 'policies', 'read_given and insert_any', coalesce(string_agg(polname, ', ' ORDER BY polname), 'none'),
       coalesce(count(*) = 2 AND bool_and(polpermissive AND polroles = '{0}' AND (
           (polname = 'read_given' AND polcmd = 'r' AND pg_get_expr(polqual, polrelid) = 'spine.may_read(organization_id)'
            AND polwithcheck IS NULL) OR
           (polname = 'insert_any' AND polcmd = 'a' AND polqual IS NULL AND pg_get_expr(polwithcheck, polrelid) = 'true'))), false),
       'A further policy shows rows to roles that were not given them: drop it, and make these two as the install script does.'
  FROM pg_policy WHERE polrelid = $3
)sql"};

}  // namespace

const Checks table_checks = {queries, static_cast<int>(std::size(queries))};

const char *const heads_check = R"sql(
SELECT 'verified chains', 'none shorter than when it was verified',
       CASE count(*) WHEN 0 THEN 'none shorter than when it was verified'
            ELSE count(*) || ', among them that of organization ' || min(v.organization_id::text) END,
       count(*) = 0,
       'Events are gone that were there when the chain was verified: compare with a backup, and with what was published of its head.'
  FROM spine.verifications v
 WHERE v.last_sequence IS NOT NULL
   AND NOT EXISTS (SELECT FROM spine.events e WHERE e.organization_id = v.organization_id AND e.sequence >= v.last_sequence)
   AND NOT EXISTS (SELECT FROM spine.anchors a WHERE a.organization_id = v.organization_id AND a.sequence >= v.last_sequence)
)sql";

}  // namespace spine
