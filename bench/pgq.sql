\set organization random(1, :organizations)
SELECT pgq.insert_event('bench', 'hcm.employee.updated',
  '{"name": "Ada Lovelace", "department": "d-7", "salary": 120000.5, "manager": "m-1815", "since": "2026-01-19", "active": true}',
  :organization::text, NULL, NULL, NULL);
