\set organization random(1, :organizations)
INSERT INTO plain VALUES (gen_random_uuid(), 'hcm.employee.updated', 'hcm', 'employee', '00000000-0000-4000-8000-0000000000e1', 'updated',
  '00000000-0000-4000-8000-0000000000a1', 'human', ('00000000-0000-4000-8000-' || lpad(:organization::text, 12, '0'))::uuid, 'prod',
  clock_timestamp(), 'low',
  '{"name": "Ada Lovelace", "department": "d-7", "salary": 120000.5, "manager": "m-1815", "since": "2026-01-19", "active": true}',
  nextval('plain_sequence'), pg_current_xact_id(), session_user,
  '\x00f502bbb586992be0dc8bc5edb11f3c5cba10fe108bd4a0831a01c21d9a4901', '\x00f502bbb586992be0dc8bc5edb11f3c5cba10fe108bd4a0831a01c21d9a4901',
  '\x000102030405060708090a0b0c0d0e0f');
