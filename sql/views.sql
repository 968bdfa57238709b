-- The views of events, counts and chains.
\set A '00000000-0000-4000-8000-0000000f2001'
\set B '00000000-0000-4000-8000-0000000f2002'
\set C '00000000-0000-4000-8000-0000000f2003'
\set E '00000000-0000-4000-8000-0000000f20e1'
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SELECT spine.emit_event('hcm.employee_file.signed_off', entity_id => :'E', organization_id => :'A', severity => 'high', payload => '{"n": 1}') IS NOT NULL AS emitted;
SELECT spine.emit_event('hcm.employee.created', entity_id => :'E', organization_id => :'A', actor_id => '00000000-0000-0000-0000-000000000000', actor_type => 'system') IS NOT NULL AS emitted;
SELECT count(spine.emit_event('pay.slip.sent', entity_id => :'E', organization_id => o, actor_type => 'pipeline', severity => 'medium'))
  FROM generate_series(1, 20), unnest(ARRAY[:'A', :'B']::uuid[]) o;

\pset expanded on
SELECT age(moment) < '1 day' AS is_now, organization_id, actor_type, actor_id, action, domain, entity_type, entity_id, severity, event_type, payload, environment, recorded_by = session_user AS is_mine, sequence
  FROM spine.audit_log WHERE organization_id = :'A' ORDER BY sequence LIMIT 1;
\pset expanded off
SELECT sequence, severity, summary FROM spine.activity_feed WHERE organization_id = :'A' AND sequence < 4 ORDER BY sequence DESC;
SELECT count(*) AS of_another FROM spine.events e FULL JOIN spine.audit_log a ON a.event_id = e.id FULL JOIN spine.activity_feed f ON f.event_id = e.id
 WHERE (a.moment, a.sequence, f.moment, f.sequence) IS DISTINCT FROM (e."timestamp", e.sequence, e."timestamp", e.sequence);

-- Which indexes a query goes through, and what it reads whole.
CREATE FUNCTION ways(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    IF line ~ 'Scan|Sort' THEN RETURN NEXT regexp_replace(line, '^[ >-]*', ''); END IF;
  END LOOP;
END $$;
SELECT 1 FROM spine.refresh_dashboards();
CREATE ROLE spine_view_auditor;
SELECT spine.grant_auditor('spine_view_auditor');
-- So that it is what can be chosen that is shown, whatever other tests have left: without row security, and with it.
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT ways(format('SELECT * FROM spine.audit_log WHERE organization_id = %L ORDER BY sequence DESC LIMIT 50', :'A'));
SET ROLE spine_view_auditor;
SELECT ways(format('SELECT * FROM spine.audit_log WHERE organization_id = %L ORDER BY sequence DESC LIMIT 50', :'A'));
SELECT ways(format('SELECT * FROM spine.audit_log WHERE organization_id = %L AND sequence < 900 ORDER BY sequence DESC LIMIT 50', :'A'));
SELECT ways('SELECT * FROM spine.audit_log ORDER BY event_id DESC LIMIT 50');
SELECT ways(format('SELECT * FROM spine.audit_log WHERE entity_id = %L', :'E'));
SELECT ways(format('SELECT * FROM spine.activity_feed WHERE organization_id = %L ORDER BY sequence DESC LIMIT 50', :'A'));
SELECT ways(format('SELECT * FROM spine.activity_feed WHERE organization_id = %L AND sequence < 900 ORDER BY sequence DESC LIMIT 50', :'A'));
SELECT ways(format('SELECT * FROM spine.activity_feed WHERE event_id < %L ORDER BY event_id DESC LIMIT 50', :'A'));
-- What is not counted yet is found by its id.
SELECT q, bool_or(way LIKE '%events_default_id_idx%') AS by_index, bool_or(way LIKE '%Seq Scan on events_default%') AS whole
  FROM unnest(ARRAY['TABLE spine.uncounted_events', 'TABLE spine.events_by_day', 'SELECT domain, sum(events) FROM spine.events_by_domain GROUP BY 1', 'TABLE spine.events_by_actor']) q, ways(q) way GROUP BY q ORDER BY q;
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET ROLE;

-- The counts are those of the events, whatever of them was counted before.
CREATE VIEW wrong AS
  WITH e AS (SELECT *, ("timestamp" AT TIME ZONE 'UTC')::date AS day FROM spine.events),
       w AS (SELECT 'day' AS of, organization_id, day, '' AS what, events FROM spine.events_by_day
             UNION ALL SELECT 'domain', organization_id, day, domain, events FROM spine.events_by_domain
             UNION ALL SELECT 'type', organization_id, day, event_type, events FROM spine.events_by_type
             UNION ALL SELECT 'severity', organization_id, day, severity::text, events FROM spine.events_by_severity
             UNION ALL SELECT 'actor', organization_id, day, actor_type || ' ' || actor_id, events FROM spine.events_by_actor
             UNION ALL SELECT 'all', NULL, day, '', events FROM spine.totals_by_day
             UNION ALL SELECT 'all domain', NULL, day, domain, events FROM spine.totals_by_domain
             UNION ALL SELECT 'all type', NULL, day, event_type, events FROM spine.totals_by_type
             UNION ALL SELECT 'all severity', NULL, day, severity::text, events FROM spine.totals_by_severity
             UNION ALL SELECT 'all actor', NULL, day, actor_type::text, events FROM spine.totals_by_actor_type),
       r AS (SELECT 'day' AS of, organization_id, day, '' AS what, count(*) AS events FROM e GROUP BY 2, 3
             UNION ALL SELECT 'domain', organization_id, day, domain, count(*) FROM e GROUP BY 2, 3, 4
             UNION ALL SELECT 'type', organization_id, day, event_type, count(*) FROM e GROUP BY 2, 3, 4
             UNION ALL SELECT 'severity', organization_id, day, severity::text, count(*) FROM e GROUP BY 2, 3, 4
             UNION ALL SELECT 'actor', organization_id, day, actor_type || ' ' || actor_id, count(*) FROM e GROUP BY 2, 3, 4
             UNION ALL SELECT 'all', NULL, day, '', count(*) FROM e GROUP BY 3
             UNION ALL SELECT 'all domain', NULL, day, domain, count(*) FROM e GROUP BY 3, 4
             UNION ALL SELECT 'all type', NULL, day, event_type, count(*) FROM e GROUP BY 3, 4
             UNION ALL SELECT 'all severity', NULL, day, severity::text, count(*) FROM e GROUP BY 3, 4
             UNION ALL SELECT 'all actor', NULL, day, actor_type::text, count(*) FROM e GROUP BY 3, 4)
  SELECT of, o AS organization, day, what, w.events, r.events AS right_number FROM (SELECT *, coalesce(organization_id::text, '') AS o FROM w) w FULL JOIN (SELECT *, coalesce(organization_id::text, '') AS o FROM r) r USING (of, o, day, what) WHERE w.events IS DISTINCT FROM r.events;
TABLE wrong;
SELECT count(*) FROM spine.uncounted_events;
SELECT count(spine.emit_event('hcm.employee.changed', entity_id => :'E', organization_id => o, severity => 'low'))
  FROM generate_series(1, 3), unnest(ARRAY[:'B', :'C']::uuid[]) o;
SELECT right(organization_id::text, 4) AS organization, sequence, event_type FROM spine.uncounted_events
 WHERE organization_id <> '00000000-0000-0000-0000-000000000000' ORDER BY 1, 2;
TABLE wrong;
SELECT spine.refresh_dashboards(), spine.refresh_dashboards() AS again;
SELECT count(*) FROM spine.uncounted_events;
TABLE wrong;
SELECT count(*) AS left_out FROM spine.read_chain_heads() h FULL JOIN spine.counted_chains c USING (organization_id) WHERE h.sequence IS DISTINCT FROM c.sequence;
-- With what this transaction emitted, if it is committed.
BEGIN;
SELECT spine.emit_event('hcm.employee.changed', entity_id => :'E', organization_id => :'C') IS NOT NULL AS emitted;
SELECT spine.refresh_dashboards();
SELECT sum(events) FROM spine.events_by_type WHERE organization_id = :'C';
ROLLBACK;
SELECT sum(events) FROM spine.events_by_type WHERE organization_id = :'C';
TABLE wrong;
-- Days are those of UTC.
SET TimeZone = 'Pacific/Kiritimati';
SELECT DISTINCT day = ("timestamp" AT TIME ZONE 'UTC')::date AS utc FROM spine.events_by_day JOIN spine.events USING (organization_id) WHERE organization_id = :'C';
RESET TimeZone;
-- Also under a snapshot of the transaction's; but it counts under none.
BEGIN ISOLATION LEVEL REPEATABLE READ;
TABLE wrong;
SELECT spine.refresh_dashboards();
\echo :SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT spine.refresh_dashboards();
\echo :SQLSTATE
ROLLBACK;

-- The last event of each chain; where there is none, none.
SELECT count(*) AS other FROM spine.read_chain_heads() h
  FULL JOIN (SELECT DISTINCT ON (organization_id) * FROM spine.events ORDER BY organization_id, sequence DESC) e USING (organization_id)
 WHERE (h.sequence, h.event_hash, h."timestamp") IS DISTINCT FROM (e.sequence, e.event_hash, e."timestamp");
BEGIN;
SELECT spine.emit_event('a.b.c', entity_id => :'E', organization_id => 'ffffffff-ffff-ffff-ffff-ffffffffffff') IS NOT NULL AS emitted;
SELECT sequence FROM spine.read_chain_heads() WHERE organization_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
ROLLBACK;
SELECT sequence FROM spine.read_chain_heads() WHERE organization_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

-- In pages: each chain once, in order, with its status; behind the last one there is none.
CREATE FUNCTION paged(chains bigint) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
DECLARE
  last uuid;
  page uuid[];
BEGIN
  LOOP
    page := ARRAY(SELECT organization_id FROM spine.read_chain_heads(last, chains));
    IF page IS DISTINCT FROM ARRAY(SELECT organization_id FROM spine.read_chain_status(last, chains)) OR cardinality(page) > chains THEN
      RAISE 'behind %: %', last, page;
    END IF;
    EXIT WHEN cardinality(page) = 0;
    RETURN QUERY SELECT unnest(page);
    last := page[cardinality(page)];
  END LOOP;
END $$;
SELECT chains, ARRAY(SELECT paged(chains)) = ARRAY(SELECT organization_id FROM spine.read_chain_heads() ORDER BY 1) AS same FROM unnest(ARRAY[1, 2, 3, 1000]) chains;
SELECT count(*) FROM spine.read_chain_heads('ffffffff-ffff-ffff-ffff-ffffffffffff', 5);
SELECT right(organization_id::text, 4) AS organization FROM spine.read_chain_heads(:'A', 2);
SELECT right(organization_id::text, 4) AS organization FROM spine.read_chain_heads(:'A') WHERE organization_id <= :'C' ORDER BY 1;
SELECT spine.read_chain_heads(NULL, -1);
SELECT spine.read_chain_status(NULL, -1);
SELECT spine.read_chain_status(NULL, NULL);
SELECT spine.refresh_dashboards(0);

-- Step by step, whatever a step takes; and rows that came later than their ids say.
CREATE FUNCTION step(most bigint, since timestamptz DEFAULT NULL) RETURNS TABLE (steps bigint, events bigint) LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  steps := 0;
  events := 0;
  LOOP
    SELECT * INTO r FROM spine.refresh_dashboards(most, since);
    steps := steps + 1;
    events := events + r.events;
    EXIT WHEN NOT r.more OR steps > 100;
    since := NULL;
  END LOOP;
  RETURN NEXT;
END $$;
SELECT count(*) AS left FROM step(1000);
SELECT count(spine.emit_event('hcm.employee.changed', entity_id => :'E', organization_id => o)) FROM generate_series(1, 10), unnest(ARRAY[:'B', :'C']::uuid[]) o;
SELECT events, more FROM spine.refresh_dashboards(1);
TABLE wrong;
SELECT events, more FROM spine.refresh_dashboards(7);
TABLE wrong;
SELECT events FROM step(3);
SELECT count(*) FROM spine.uncounted_events;
TABLE wrong;

-- Verifications.
CREATE VIEW status AS
  SELECT right(organization_id::text, 4) AS organization, events, head_hash = (SELECT event_hash FROM spine.events e WHERE e.organization_id = s.organization_id AND sequence = s.events) AS head,
         age BETWEEN '0' AND '1 day' AS is_young, verified_at > now() - interval '1 day' AS is_fresh, verified_by = session_user AS by_me, intact, verified_sequence, faults
    FROM spine.chain_status s WHERE organization_id::text LIKE '%0000000f200_' ORDER BY 1;
TABLE status;
SELECT r = v AS same FROM spine.record_verification(:'A') r, spine.verify_chain(:'A') v;
TABLE status;
SELECT spine.emit_event('a.b.c', entity_id => :'E', organization_id => :'A') IS NOT NULL AS emitted;
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER refuse_change, DISABLE TRIGGER refuse_row_change;
BEGIN;
UPDATE spine.events SET payload = '{"altered": true}' WHERE organization_id = :'B' AND sequence IN (2, 3);
SELECT intact, faults, first_fault_sequence FROM spine.record_verification(:'B');
SELECT intact FROM spine.record_verification(:'A');
DELETE FROM spine.events WHERE organization_id = :'A';
TABLE status;
-- Of a chain without events nothing is verified, and what was noted stays.
SELECT intact, events FROM spine.record_verification(:'A');
TABLE status;
ROLLBACK;
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change;
CALL guard_on();
BEGIN READ ONLY;
SELECT spine.record_verification();
\echo :SQLSTATE
ROLLBACK;

-- What roles see: a part, or all, but to an auditor no other right than to count and to verify.
CREATE ROLE spine_viewer;
SELECT spine.grant_reader('spine_viewer', ARRAY[:'A', :'C']::uuid[]);
SELECT count(*) > 0 AS noted FROM spine.record_verification(:'B');
CREATE FUNCTION visible() RETURNS TABLE (what text, organizations text) LANGUAGE plpgsql AS $$
DECLARE
  view text;
BEGIN
  FOREACH view IN ARRAY ARRAY['audit_log', 'activity_feed', 'events_by_day', 'events_by_domain', 'events_by_type', 'events_by_severity', 'events_by_actor', 'daily_counts', 'daily_actor_counts',
    'counted_chains', 'uncounted_events', 'event_counts', 'verifications', 'chain_status', 'read_chain_heads()'] LOOP
    RETURN QUERY EXECUTE format($q$SELECT %L, string_agg(DISTINCT right(organization_id::text, 4), ' ' ORDER BY right(organization_id::text, 4)) FROM spine.%s
      WHERE organization_id::text LIKE '%%0000000f2%%' HAVING true$q$, view, view);
  END LOOP;
END $$;
GRANT SELECT ON status TO spine_viewer, spine_view_auditor;
SELECT spine.emit_event('a.b.c', entity_id => :'E', organization_id => :'B') IS NOT NULL AS emitted;
SET ROLE spine_viewer;
SELECT * FROM visible();
SELECT string_agg(DISTINCT right(organization_id::text, 4), ' ') FROM spine.chain_status;
SELECT string_agg(right(organization_id::text, 4), ' ') FROM spine.read_chain_status();
SELECT string_agg(right(organization_id::text, 4), ' ') FROM spine.read_chain_heads(:'A', 1);
SELECT (SELECT count(*) FROM spine.daily_totals) AS counted, (SELECT count(*) FROM spine.total_counts) AS all, spine.may_read_all();
EXPLAIN SELECT * FROM spine.totals_by_day;
SET people_os_spine.organization_id = :'C';
SELECT * FROM visible() WHERE organizations IS DISTINCT FROM '2003';
RESET people_os_spine.organization_id;
SELECT spine.refresh_dashboards();
SELECT spine.record_verification();
EXPLAIN SELECT * FROM spine.events_by_day;
EXPLAIN SELECT * FROM spine.daily_counts;
EXPLAIN SELECT * FROM spine.verifications;
INSERT INTO spine.daily_counts VALUES (:'A', '2026-01-01', 'a.b.c', 'low', 1);
UPDATE spine.counted_chains SET sequence = 0;
RESET ROLE;
-- With EXECUTE alone, as a job may have it: all is counted, and how many others have is not told.
GRANT EXECUTE ON FUNCTION spine.refresh_dashboards, spine.record_verification TO spine_viewer;
SET ROLE spine_viewer;
SELECT events IS NULL AS hidden, more FROM spine.refresh_dashboards();
SELECT string_agg(DISTINCT right(organization_id::text, 4), ' ') FROM spine.record_verification();
RESET ROLE;
SELECT count(*) FROM spine.uncounted_events;
SELECT organization, verified_sequence, intact FROM status;
SELECT spine.emit_event('a.b.c', entity_id => :'E', organization_id => :'B') IS NOT NULL AS emitted;
SET ROLE spine_view_auditor;
SELECT spine.refresh_dashboards();
SELECT intact FROM spine.record_verification(:'C');
SELECT * FROM visible() WHERE organizations NOT IN ('2001 2002 2003');
UPDATE spine.verifications SET intact = true;
SELECT spine.refresh_dashboards();
RESET ROLE;
TABLE wrong;

DROP VIEW status, wrong;
DROP FUNCTION visible, ways, paged, step;
SELECT spine.revoke_all(r) FROM unnest(ARRAY['spine_viewer', 'spine_view_auditor']::regrole[]) r;
DROP ROLE spine_viewer, spine_view_auditor;
