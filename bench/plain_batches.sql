-- The same rows as 100 statements of INSERT … SELECT into the plain table.
\timing off
CREATE TEMP TABLE batch AS SELECT i, ('00000000-0000-4000-8000-' || lpad((i % 10 + 1)::text, 12, '0'))::uuid AS organization_id,
  '{"name": "Ada Lovelace", "department": "d-7", "salary": 120000.5, "manager": "m-1815", "since": "2026-01-19", "active": true}'::jsonb AS payload
  FROM generate_series(1, 1000) i;
\timing on
DO $$ BEGIN FOR i IN 1..100 LOOP
  INSERT INTO plain SELECT gen_random_uuid(), 'hcm.employee.updated', 'hcm', 'employee', '00000000-0000-4000-8000-0000000000e1', 'updated',
    '00000000-0000-4000-8000-0000000000a1', 'human', organization_id, 'prod', clock_timestamp(), 'low', payload,
    nextval('plain_sequence'), pg_current_xact_id(), session_user,
    '\x00f502bbb586992be0dc8bc5edb11f3c5cba10fe108bd4a0831a01c21d9a4901', '\x00f502bbb586992be0dc8bc5edb11f3c5cba10fe108bd4a0831a01c21d9a4901',
    '\x000102030405060708090a0b0c0d0e0f' FROM batch;
END LOOP; END $$;
