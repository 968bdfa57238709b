-- 100 calls of emit_events with 1,000 events of 10 organizations each.
\timing off
CREATE TEMP TABLE batch AS SELECT jsonb_agg(jsonb_build_object(
  'event_type', 'hcm.employee.updated', 'entity_id', '00000000-0000-4000-8000-0000000000e1',
  'organization_id', '00000000-0000-4000-8000-' || lpad((i % 10 + 1)::text, 12, '0'),
  'payload', '{"name": "Ada Lovelace", "department": "d-7", "salary": 120000.5, "manager": "m-1815", "since": "2026-01-19", "active": true}'::jsonb)) AS events
  FROM generate_series(1, 1000) i;
\timing on
DO $$ BEGIN FOR i IN 1..100 LOOP PERFORM count(*) FROM batch, spine.emit_events(events); END LOOP; END $$;
