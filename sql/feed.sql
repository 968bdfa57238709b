-- The questions that people ask of an organization's events are answered from the indexes that there are.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
\set A '00000000-0000-4000-8000-0000000ec001'
CREATE ROLE spine_feed;
SELECT spine.grant_reader('spine_feed');
-- 40 organizations of 500 events each.
SELECT count(id) FROM generate_series(1, 40) o, LATERAL (SELECT spine.emit_events(jsonb_agg(jsonb_build_object('event_type', (ARRAY['hcm.employee.changed', 'fin.invoice.paid'])[1 + i % 2],
  'entity_id', spine.entity_uuid('hcm', 'employee', o || '/' || i % 50), 'organization_id', '00000000-0000-4000-8000-0000000ec' || lpad(o::text, 3, '0'),
  'severity', CASE WHEN i % 100 = 0 THEN 'critical' ELSE 'low' END))) AS id FROM generate_series(1, 500) i) e;
VACUUM ANALYZE spine.events;
SET max_parallel_workers_per_gather = 0;
-- What a plan reads by; under row security as without.
CREATE FUNCTION reads_by(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  line text;
  found text[];
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    found := found || substring(line FROM 'Seq Scan|events_\w+');
  END LOOP;
  RETURN (SELECT string_agg(DISTINCT f, ', ' ORDER BY f) FROM unnest(found) f);
END $$;
CREATE FUNCTION questions() RETURNS TABLE (filter text, reads text) LANGUAGE sql AS $$
  SELECT f, reads_by(format('SELECT * FROM spine.events WHERE organization_id = %L AND sequence > 250 AND %s ORDER BY sequence LIMIT 20', '00000000-0000-4000-8000-0000000ec001', f))
    FROM unnest(ARRAY['true', 'domain = ''fin''', 'event_type = ''fin.invoice.paid''', 'actor_id = ''00000000-0000-4000-8000-0000000000a1''', 'severity >= ''high''',
                      '"timestamp" >= ''2026-01-01''']) f
  UNION ALL
  SELECT 'entity', reads_by(format('SELECT * FROM spine.events WHERE entity_id = %L ORDER BY sequence', spine.entity_uuid('hcm', 'employee', '7/7')))
  UNION ALL
  SELECT 'span of time', reads_by('SELECT count(*) FROM spine.events WHERE "timestamp" >= ''2000-01-01'' AND "timestamp" < ''2000-01-02''')
$$;
SELECT * FROM questions();
SET ROLE spine_feed;
SELECT * FROM questions();
RESET ROLE;
-- A role that was given a part is not shown how it is read.
SELECT spine.grant_reader('spine_feed', ARRAY[:'A']::uuid[]);
SET ROLE spine_feed;
\set SHOW_CONTEXT never
SELECT * FROM questions();
SELECT count(*), min(sequence) FROM (SELECT * FROM spine.events WHERE organization_id = :'A' AND sequence > 250 AND domain = 'fin' ORDER BY sequence LIMIT 20) e;
RESET ROLE;
RESET max_parallel_workers_per_gather;
DROP FUNCTION questions, reads_by;
SELECT spine.revoke_all('spine_feed');
DROP ROLE spine_feed;
