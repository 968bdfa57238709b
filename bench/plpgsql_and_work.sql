\set organization random(1, :organizations)
BEGIN;
INSERT INTO plpgsql_chain (event_type, entity_id, actor_id, actor_type, organization_id, environment, severity, payload)
VALUES ('hcm.employee.updated', '00000000-0000-4000-8000-0000000000e1', '00000000-0000-4000-8000-0000000000a1', 'human',
  ('00000000-0000-4000-8000-' || lpad(:organization::text, 12, '0'))::uuid, 'prod', 'low',
  '{"name": "Ada Lovelace", "department": "d-7", "salary": 120000.5, "manager": "m-1815", "since": "2026-01-19", "active": true}');
\sleep 5 ms
COMMIT;
