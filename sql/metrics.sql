-- spine.metrics: what there is to watch, as numbers.
\set ON_ERROR_STOP on
BEGIN;
\set A 'aaaaaaaa-0000-4000-8000-0000000000f1'
\set B 'bbbbbbbb-0000-4000-8000-0000000000f2'
\set E '00000000-0000-4000-8000-0000000000e1'
SET LOCAL people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
CREATE ROLE metrics_exporter;
SELECT spine.grant_auditor('metrics_exporter');
CREATE FUNCTION pg_temp.metric(wanted text, state text DEFAULT NULL) RETURNS float8 LANGUAGE sql AS
  $$ SELECT sum(value) FROM spine.metrics WHERE name = wanted AND ($2 IS NULL OR labels ->> 'state' = $2) $$;
SELECT pg_temp.metric('spine_events_total') AS events, pg_temp.metric('spine_chain_count') AS chains, pg_temp.metric('spine_chain_count', 'unverified') AS unverified,
       pg_temp.metric('spine_events_unverified') AS behind, pg_temp.metric('spine_events_uncounted') AS uncounted \gset before_

SELECT count(spine.emit_event('hcm.employee.created', entity_id => :'E', organization_id => o)) FROM (VALUES (:'A'::uuid), (:'A'), (:'B')) v (o);
SELECT pg_temp.metric('spine_events_total') - :before_events AS events, pg_temp.metric('spine_chain_count') - :before_chains AS chains,
       pg_temp.metric('spine_chain_count', 'unverified') - :before_unverified AS unverified,
       pg_temp.metric('spine_events_unverified') - :before_behind AS behind, pg_temp.metric('spine_events_uncounted') - :before_uncounted AS uncounted;
SELECT count(*) > 1 AS verified FROM spine.record_verification();
SELECT pg_temp.metric('spine_chain_count', 'unverified') AS unverified, pg_temp.metric('spine_events_unverified') AS behind;
SELECT name, value BETWEEN extract(epoch FROM now()) - 3600 AND extract(epoch FROM clock_timestamp()) AS is_recent FROM spine.metrics
 WHERE name IN ('spine_last_event_timestamp_seconds') ORDER BY name COLLATE "C";
-- What was verified and is gone, and what has faults.
-- Other tests left faults.
SELECT pg_temp.metric('spine_faults') AS faults, pg_temp.metric('spine_chain_count', 'faulty') AS faulty, pg_temp.metric('spine_chain_count', 'shrunken') AS shrunken \gset verified_
SAVEPOINT s;
UPDATE spine.verifications SET last_sequence = last_sequence + 1 WHERE organization_id = :'A';
UPDATE spine.verifications SET intact = false, faults = 7 WHERE organization_id = :'B';
SELECT pg_temp.metric('spine_chain_count', 'faulty') - :verified_faulty AS faulty, pg_temp.metric('spine_chain_count', 'shrunken') - :verified_shrunken AS shrunken;
SELECT pg_temp.metric('spine_faults') - :verified_faults AS faults;
ROLLBACK TO s;

-- The lag is that of the subscriptions that the role may consume.
SELECT spine.create_subscription('metrics', organizations => ARRAY[:'A']::uuid[]);
SELECT name, labels, value FROM spine.metrics WHERE name LIKE 'spine_subscription%' AND labels ->> 'subscription' = 'metrics' AND name NOT LIKE '%timestamp%' ORDER BY name COLLATE "C";
-- A broken guard.
SELECT count(*) > 30 AS guards, sum(value) AS broken FROM spine.metrics WHERE name = 'spine_guard_broken';

-- An auditor sees it; nobody else does.
SET LOCAL ROLE metrics_exporter;
SELECT count(DISTINCT name) AS names, count(*) FILTER (WHERE labels ->> 'subscription' = 'metrics') AS of_others FROM spine.metrics;
RESET ROLE;
CREATE ROLE metrics_reader;
SELECT spine.grant_reader('metrics_reader');
SET LOCAL ROLE metrics_reader;
\set ON_ERROR_STOP off
SELECT count(*) FROM spine.metrics;
ROLLBACK;
\set ON_ERROR_STOP on

-- Names and types are as Prometheus has them, and each name has one help and one type.
SELECT name AS is_no_name FROM spine.metrics WHERE name !~ '^spine_[a-z_]+$' OR (type = 'counter') <> (name LIKE '%\_total') OR type NOT IN ('gauge', 'counter');
SELECT name AS is_told_twice FROM spine.metrics GROUP BY name HAVING count(DISTINCT (help, type)) > 1 OR count(*) > count(DISTINCT labels);
-- Who asks for some names runs nothing for others.
CREATE FUNCTION pg_temp.runs(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) ' || query LOOP
    IF line ~ 'Function Scan' AND line !~ 'never executed' THEN RETURN NEXT substring(line FROM 'Function Scan on (\w+)'); END IF;
  END LOOP;
END $$;
SELECT DISTINCT pg_temp.runs($$SELECT * FROM spine.metrics WHERE name = 'spine_events_uncounted'$$) AS runs;
SELECT DISTINCT pg_temp.runs($$SELECT * FROM spine.metrics WHERE name = 'spine_guard_broken'$$) AS runs;
