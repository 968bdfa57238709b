-- The same rows as 100 statements of INSERT … SELECT into spine.events, chained by its trigger.
\timing off
CREATE TEMP TABLE batch AS SELECT i, ('00000000-0000-4000-8000-' || lpad((i % 10 + 1)::text, 12, '0'))::uuid AS organization_id,
  '{"name": "Ada Lovelace", "department": "d-7", "salary": 120000.5, "manager": "m-1815", "since": "2026-01-19", "active": true}'::jsonb AS payload
  FROM generate_series(1, 1000) i;
\timing on
DO $$ BEGIN FOR i IN 1..100 LOOP
  INSERT INTO spine.events (event_type, entity_id, organization_id, payload)
    SELECT 'hcm.employee.updated', '00000000-0000-4000-8000-0000000000e1', organization_id, payload FROM batch;
END LOOP; END $$;
