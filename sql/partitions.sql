-- Making partitions: what is cut, what is left alone, who may. Each test is undone, for the clock says their names.
SET TimeZone = 'UTC';
SET DateStyle = ISO;
SELECT * FROM spine.create_partitions('0', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM spine.create_partitions('-1 month', 1);
SELECT * FROM spine.create_partitions('1 month 2 days', 1);
SELECT * FROM spine.create_partitions('59 minutes', 1);
SELECT * FROM spine.create_partitions('90 minutes 1 second', 1);
SELECT * FROM spine.create_partitions('200 years', 1);
SELECT * FROM spine.create_partitions('1 month', -1);
SELECT * FROM spine.create_partitions('1 month', 1001);
SELECT * FROM spine.create_partitions('100 years', 1000);
SELECT spine.attach_partition('spine.events_default', '2020-01-01', '2020-02-01');
\echo :LAST_ERROR_SQLSTATE

-- The bounds of partitions beside what they would be.
CREATE FUNCTION pg_temp.bounds() RETURNS TABLE (name text, starts timestamptz, ends timestamptz) LANGUAGE sql AS $$
  SELECT c.relname, (m[1])::timestamptz, (m[2])::timestamptz
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
         regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('(.*)'\) TO \('(.*)'\)$re$) m
   WHERE i.inhparent = 'spine.events'::regclass AND m IS NOT NULL ORDER BY 2
$$;
-- The test's events of now lie in the default partition.
BEGIN;
SELECT spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(), actor_id => gen_random_uuid(),
  organization_id => '00000000-0000-4000-8000-00000000aa01') IS NOT NULL AS emitted;
SELECT count(*) AS made FROM spine.create_partitions('1 month', 3);
SELECT count(*) AS made_again FROM spine.create_partitions('1 month', 3);
SELECT bool_and(starts = date_trunc('month', starts) AND ends = starts + interval '1 month') AS are_months,
       bool_and(name = 'events_' || to_char(starts, 'YYYYMMDD')) AS are_named,
       min(starts) = date_trunc('month', now()) + interval '1 month' AS running_one_is_left, count(*) FROM pg_temp.bounds();
-- As their sibling: row security, no rights, the triggers, the indexes, no constraint that is left over.
SELECT DISTINCT c.relrowsecurity, c.relacl IS NULL OR c.relacl = acldefault('r', c.relowner) AS nobodys, c.relowner = r.relowner AS same_owner,
       (SELECT string_agg(tgname || ' ' || tgenabled::text, ', ' ORDER BY tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid) AS triggers,
       (SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid) AS indexes,
       (SELECT string_agg(conname, ', ' ORDER BY conname) FROM pg_constraint k WHERE k.conrelid = c.oid AND contype = 'c'
         AND conname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = r.oid)) AS more_constraints
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class r ON r.oid = i.inhparent WHERE i.inhparent = 'spine.events'::regclass;
-- A change of the interval goes on after the last bound, and closes no gap.
SELECT count(*) > 0 AS made FROM spine.create_partitions('7 days', 20);
SELECT bool_and(following IS NULL OR ends = following) AS no_gap_and_no_overlap, bool_and(extract(isodow FROM ends) = 1) FILTER (WHERE ends = starts + interval '7 days') AS to_mondays
  FROM (SELECT *, lead(starts) OVER (ORDER BY starts) AS following FROM pg_temp.bounds()) b;
SELECT event_type, severity, payload ?& ARRAY['partition', 'from', 'to'] AS says_which, count(*) > 3 AS several FROM spine.events
 WHERE event_type = 'platform.partition.created' GROUP BY 1, 2, 3;
-- The guard lets nothing else by.
CREATE TABLE spine.events_mine (LIKE spine.events INCLUDING ALL);
ROLLBACK;

-- A row that is inserted into another partition than that of its moment.
BEGIN;
SELECT spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(), actor_id => gen_random_uuid(),
  organization_id => '00000000-0000-4000-8000-00000000aa01') IS NOT NULL AS emitted;
SELECT count(*) AS made FROM spine.create_partitions('1 month', 1);
SELECT max(name) AS later FROM pg_temp.bounds() \gset
\set VERBOSITY sqlstate
INSERT INTO spine.:"later" (event_type, entity_id, actor_id, organization_id) SELECT 'a.b.c', u, u, u FROM gen_random_uuid() u;
\set VERBOSITY default
ROLLBACK;
-- An interval is cut in UTC, whatever the session's time zone; hours have a name of their own.
BEGIN;
SET LOCAL TimeZone = 'Asia/Kolkata';
SELECT count(*) >= 8 AS made FROM spine.create_partitions('6 hours', 8);
SELECT bool_and(extract(hour FROM starts AT TIME ZONE 'UTC')::int % 6 = 0 AND ends - starts = interval '6 hours'),
       bool_and(name ~ '^events_\d{8}(_(06|12|18)00)?$') FROM pg_temp.bounds();
SELECT intact FROM spine.verify_chain('00000000-0000-0000-0000-000000000000');
ROLLBACK;

-- A table that stands under the name.
BEGIN;
SET LOCAL people_os_spine.unguard = 'a test';
DO $$ BEGIN EXECUTE format('CREATE TABLE spine.%I ()', 'events_' || to_char(date_trunc('month', now()) + interval '1 month', 'YYYYMMDD')); END $$;
SET LOCAL people_os_spine.unguard = '';
\set VERBOSITY sqlstate
SELECT * FROM spine.create_partitions('1 month', 1);
\set VERBOSITY default
ROLLBACK;

-- Who may: nobody but the owner, also not with EXECUTE.
CREATE ROLE partition_maker;
GRANT USAGE ON SCHEMA spine TO partition_maker;
SET ROLE partition_maker;
SELECT * FROM spine.create_partitions('1 month', 1);
RESET ROLE;
GRANT EXECUTE ON FUNCTION spine.create_partitions TO partition_maker;
SET ROLE partition_maker;
SELECT * FROM spine.create_partitions('1 month', 1);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION spine.create_partitions FROM partition_maker;
REVOKE USAGE ON SCHEMA spine FROM partition_maker;
DROP ROLE partition_maker;
-- The table's owner needs no right on what its partitions are made with. What default privileges give is taken away.
BEGIN;
SET LOCAL people_os_spine.unguard = 'a test';
CREATE ROLE partition_owner;
ALTER TABLE spine.events OWNER TO partition_owner;
GRANT USAGE ON SCHEMA spine TO partition_owner;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
SET LOCAL people_os_spine.unguard = '';
GRANT EXECUTE ON FUNCTION spine.create_partitions TO partition_owner;
SET LOCAL ROLE partition_owner;
SELECT count(*) > 0 AS made FROM spine.create_partitions('1 month', 2);
RESET ROLE;
SELECT DISTINCT relowner::regrole, array_length(relacl, 1) AS grants FROM pg_class WHERE relname ~ '^events_\d{8}$';
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM spine.create_partitions('1 month', 1);
ROLLBACK;
