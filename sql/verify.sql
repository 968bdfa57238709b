-- spine.verify_chain and spine.find_chain_faults: scope, ranges, and a few faults; tampering for real is in test/tap.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
\set A '00000000-0000-4000-8000-0000000e4001'
\set B '00000000-0000-4000-8000-0000000e4002'
SELECT count(spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', i::text), organization_id => :'A')) FROM generate_series(1, 20) i;
SELECT count(spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', i::text), organization_id => :'B')) FROM generate_series(1, 5) i;

-- Never "intact" without its scope, and NULL where nothing was checked.
SELECT organization_id, intact, events, first_sequence, last_sequence, octet_length(head_hash), faults, first_fault_sequence, first_fault
  FROM spine.verify_chain(:'A');
SELECT head_hash = (SELECT event_hash FROM spine.events WHERE organization_id = :'A' AND sequence = 20) AS head FROM spine.verify_chain(:'A');
SELECT * FROM spine.verify_chain('00000000-0000-4000-8000-0000000e4999');
SELECT intact, events, first_sequence, last_sequence FROM spine.verify_chain(:'A', 5, 10);
SELECT intact, events, first_sequence, last_sequence FROM spine.verify_chain(:'A', 15);
SELECT intact, events, first_sequence, last_sequence FROM spine.verify_chain(:'A', NULL, 1);
SELECT intact, events, first_sequence, last_sequence FROM spine.verify_chain(:'A', 10, 99);
SELECT intact, events, first_sequence, last_sequence FROM spine.verify_chain(:'A', 21, 99);
SELECT intact, events, first_sequence, last_sequence FROM spine.verify_chain(:'A', 22, 99);
SELECT organization_id, intact, events FROM spine.verify_chain(from_sequence => 4, to_sequence => 8) WHERE organization_id IN (:'A', :'B');
SELECT count(*) FROM spine.find_chain_faults(:'A');
-- Sorted, one row an organization.
SELECT array_agg(organization_id) = array_agg(organization_id ORDER BY organization_id) AS sorted,
       count(*) = count(DISTINCT organization_id) AS once FROM spine.verify_chain();

-- One's own events that are not committed yet count; what was rolled back does not.
BEGIN;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'x'), organization_id => :'A') IS NOT NULL AS emitted;
SAVEPOINT s;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'y'), organization_id => :'A') IS NOT NULL AS emitted;
ROLLBACK TO s;
SELECT intact, events FROM spine.verify_chain(:'A');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'x'), organization_id => :'A') IS NOT NULL AS emitted;
SAVEPOINT s;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'y'), organization_id => :'A') IS NOT NULL AS emitted;
RELEASE s;
SELECT intact, events FROM spine.verify_chain(:'A');
SELECT count(*) AS predicate_locks FROM pg_locks WHERE mode = 'SIReadLock' AND relation = 'spine.events'::regclass;
ROLLBACK;

-- Physical order is not chain order.
BEGIN;
SET LOCAL client_min_messages = error;
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER ALL;
CREATE TEMP TABLE shuffled AS SELECT * FROM spine.events WHERE organization_id IN (:'A', :'B');
DELETE FROM spine.events WHERE organization_id IN (:'A', :'B');
INSERT INTO spine.events SELECT * FROM shuffled ORDER BY md5(id::text);
SELECT intact, events FROM spine.verify_chain() WHERE organization_id IN (:'A', :'B') ORDER BY organization_id;

-- Several faults, each at its sequence, in both organizations; ranges see what they hold.
UPDATE spine.events SET payload = '{"salary": 1}' WHERE organization_id = :'A' AND sequence = 3;
DELETE FROM spine.events WHERE organization_id = :'A' AND sequence IN (6, 7, 12);
UPDATE spine.events SET "timestamp" = "timestamp" - interval '1 day' WHERE organization_id = :'A' AND sequence = 15;
UPDATE spine.events SET previous_hash = sha256('x') WHERE organization_id = :'B' AND sequence = 1;
SELECT organization_id, sequence, fault, event_id IS NOT NULL AS has_id, expected IS NOT NULL AS has_expected, found IS NOT NULL AS has_found, detail
  FROM spine.find_chain_faults() WHERE organization_id IN (:'A', :'B');
SELECT organization_id, intact, events, first_sequence, last_sequence, faults, first_fault_sequence, first_fault
  FROM spine.verify_chain() WHERE organization_id IN (:'A', :'B');
SELECT sequence, fault FROM spine.find_chain_faults(:'A', 8, 12);
SELECT sequence, fault, detail FROM spine.find_chain_faults(:'A', 7, 7);
SELECT intact, events, faults FROM spine.verify_chain(:'A', 6, 7);
SELECT sequence, fault FROM spine.find_chain_faults(:'A', 16, 20);
-- expected and found of altered content: what it hashes to now, and what it said.
SELECT f.expected = spine.event_digest(e) AS expected, f.found = e.event_hash AS found
  FROM spine.find_chain_faults(:'A') f JOIN spine.events e ON e.id = f.event_id WHERE f.fault = 'content_altered' AND f.sequence = 3;
ROLLBACK;

-- In a cursor, in a select list, in a function.
BEGIN;
DECLARE c CURSOR FOR SELECT intact FROM spine.verify_chain();
FETCH 1 FROM c;
COMMIT;
SELECT (spine.verify_chain(:'A')).events;
DO $$ BEGIN PERFORM FROM spine.verify_chain(); RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN NULL; END $$;
SELECT intact FROM spine.verify_chain(:'A');

-- With parallel workers: as many as the table's size and the settings say, and none where there is no use for them.
SET min_parallel_table_scan_size = 0;
SET max_parallel_maintenance_workers = 1;
CREATE FUNCTION pg_temp.workers() RETURNS boolean LANGUAGE plpgsql SET client_min_messages = debug1 AS $$
BEGIN
  PERFORM FROM spine.verify_chain();
  RETURN true;
END $$;
SELECT pg_temp.workers();
SET max_parallel_maintenance_workers = 0;
SELECT pg_temp.workers();
SET max_parallel_maintenance_workers = 2;
SET max_parallel_workers = 0;
SELECT pg_temp.workers();
SET max_parallel_workers = 1;
SELECT pg_temp.workers();
RESET max_parallel_workers;
SET min_parallel_table_scan_size = '1GB';
SELECT pg_temp.workers();
SET min_parallel_table_scan_size = 0;
BEGIN;
ALTER TABLE spine.events_default SET (parallel_workers = 2);
SELECT pg_temp.workers();
ALTER TABLE spine.events_default SET (parallel_workers = 0);
SELECT pg_temp.workers();
ROLLBACK;
SET max_parallel_maintenance_workers = 1;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pg_temp.workers();
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.workers();
ROLLBACK;
SELECT intact, events, first_sequence, last_sequence FROM spine.verify_chain(:'A');
SELECT intact, events, first_sequence, last_sequence FROM spine.verify_chain(:'A', 5, 10);
SELECT intact, events, first_sequence, last_sequence FROM spine.verify_chain(:'A', 22, 99);

-- Workers see one's own events that are not committed yet, and not what was rolled back.
BEGIN;
SELECT count(spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'x'), organization_id => :'A')) FROM generate_series(1, 500);
SAVEPOINT s;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'y'), organization_id => :'A') IS NOT NULL AS emitted;
RELEASE s;
SAVEPOINT s;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'y'), organization_id => :'A') IS NOT NULL AS emitted;
ROLLBACK TO s;
SELECT pg_temp.workers();
SELECT intact, events FROM spine.verify_chain(:'A');
-- The transaction goes on as before.
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'y'), organization_id => :'A') IS NOT NULL AS emitted;
SELECT intact, events FROM spine.verify_chain(:'A');
ROLLBACK;

-- One organization is read by its index, and thorough in the table: the same faults, of the whole and of a range.
BEGIN;
SET LOCAL client_min_messages = error;
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER ALL;
UPDATE spine.events SET payload = '{"salary": 1}' WHERE organization_id = :'A' AND sequence = 3;
DELETE FROM spine.events WHERE organization_id = :'A' AND sequence IN (6, 7, 18, 20);
UPDATE spine.events SET previous_hash = sha256('x') WHERE organization_id = :'A' AND sequence = 10;
SELECT sequence, fault FROM spine.find_chain_faults(:'A');
SELECT sequence, fault FROM spine.find_chain_faults(:'A', 7, 18);
SELECT low, high, NOT EXISTS (SELECT * FROM spine.find_chain_faults(:'A', low, high) EXCEPT ALL SELECT * FROM spine.find_chain_faults(:'A', low, high, thorough => true)) AS none_more,
       NOT EXISTS (SELECT * FROM spine.find_chain_faults(:'A', low, high, thorough => true) EXCEPT ALL SELECT * FROM spine.find_chain_faults(:'A', low, high)) AS none_less,
       (SELECT a FROM spine.verify_chain(:'A', low, high) a) = (SELECT b FROM spine.verify_chain(:'A', low, high, thorough => true) b) AS same
  FROM (VALUES (NULL::bigint, NULL::bigint), (7, 18), (1, 5), (6, 6), (11, NULL), (18, 18), (20, 20)) r (low, high);
-- Without the index, the table is read.
ALTER TABLE spine.events DROP CONSTRAINT events_pkey;
SELECT intact, events, faults FROM spine.verify_chain(:'A');
ROLLBACK;

-- Every kind of fault, alone and with workers, whole and in ranges, in chain order and in none.
BEGIN;
SET LOCAL client_min_messages = error;
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER ALL;
ALTER TABLE spine.events DROP CONSTRAINT events_pkey, DROP CONSTRAINT events_event_type_check,
  DROP CONSTRAINT events_sequence_check;
CREATE TEMP TABLE compared (organization_id uuid, low bigint, high bigint, same boolean, kinds bigint);
CREATE FUNCTION pg_temp.compare(organization uuid, low bigint, high bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  SET LOCAL max_parallel_maintenance_workers = 0;
  CREATE TEMP TABLE alone AS SELECT * FROM spine.find_chain_faults(organization, low, high, true) WITH ORDINALITY;
  CREATE TEMP TABLE alone_summary AS SELECT * FROM spine.verify_chain(organization, low, high, true) WITH ORDINALITY;
  SET LOCAL max_parallel_maintenance_workers = 2;
  CREATE TEMP TABLE together AS SELECT * FROM spine.find_chain_faults(organization, low, high, true) WITH ORDINALITY;
  CREATE TEMP TABLE together_summary AS SELECT * FROM spine.verify_chain(organization, low, high, true) WITH ORDINALITY;
  INSERT INTO compared SELECT organization, low, high,
      NOT EXISTS (TABLE alone EXCEPT ALL TABLE together) AND NOT EXISTS (TABLE together EXCEPT ALL TABLE alone) AND
      NOT EXISTS (TABLE alone_summary EXCEPT ALL TABLE together_summary) AND
      NOT EXISTS (TABLE together_summary EXCEPT ALL TABLE alone_summary),
      (SELECT count(DISTINCT fault) FROM together);
  DROP TABLE alone, alone_summary, together, together_summary;
END $$;
CREATE FUNCTION pg_temp.tamper(organization uuid) RETURNS void LANGUAGE sql AS $$
  UPDATE spine.events SET payload = '{"salary": 1}' WHERE organization_id = organization AND sequence = 3;
  DELETE FROM spine.events WHERE organization_id = organization AND sequence IN (6, 7, 190, 300);
  UPDATE spine.events SET "timestamp" = "timestamp" - interval '1 day' WHERE organization_id = organization AND sequence = 15;
  UPDATE spine.events SET previous_hash = sha256('x') WHERE organization_id = organization AND sequence IN (1, 100);
  UPDATE spine.events SET action = 'x' WHERE organization_id = organization AND sequence = 200;
  UPDATE spine.events SET sequence = 149 WHERE organization_id = organization AND sequence = 150;
  UPDATE spine.events SET sequence = 0 WHERE organization_id = organization AND sequence = 250;
$$;
ALTER TABLE spine.events ENABLE TRIGGER zz_chain_event;
ALTER TABLE spine.events_default ADD CONSTRAINT once UNIQUE (organization_id, sequence);
SELECT count(spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'x'), payload => jsonb_build_object('n', i),
         organization_id => ('00000000-0000-4000-8000-0000000e5' || lpad((i % 20)::text, 3, '0'))::uuid))
  FROM generate_series(1, 6400) i;
ALTER TABLE spine.events_default DROP CONSTRAINT once;
ALTER TABLE spine.events DISABLE TRIGGER ALL;
SELECT count(pg_temp.tamper(('00000000-0000-4000-8000-0000000e5' || lpad(i::text, 3, '0'))::uuid)) FROM generate_series(1, 7) i;
SELECT count(pg_temp.compare(organization, low, high))
  FROM (VALUES (NULL::uuid), ('00000000-0000-4000-8000-0000000e5002')) o (organization),
       (VALUES (NULL::bigint, NULL::bigint), (2, 100), (7, 7), (100, 150), (120, 190), (200, NULL), (NULL, 149), (149, 149)) r (low, high);
TABLE compared;
CREATE TEMP TABLE shuffled AS SELECT * FROM spine.events;
DELETE FROM spine.events;
INSERT INTO spine.events SELECT * FROM shuffled ORDER BY md5(id::text);
TRUNCATE compared;
SELECT count(pg_temp.compare(organization, low, high))
  FROM (VALUES (NULL::uuid), ('00000000-0000-4000-8000-0000000e5002')) o (organization),
       (VALUES (NULL::bigint, NULL::bigint), (100, 150), (120, 190)) r (low, high);
TABLE compared;
-- A gap at the end of the range, behind a sequence that two events share.
SELECT sequence, fault, detail FROM spine.find_chain_faults('00000000-0000-4000-8000-0000000e5002', 120, 190);
ROLLBACK;

-- With too little work_mem for anything.
SET work_mem = '64kB';
SELECT bool_and(intact) AS intact, sum(events) > 0 AS any FROM spine.verify_chain();
RESET work_mem;
RESET min_parallel_table_scan_size;
RESET max_parallel_maintenance_workers;

-- Who runs no verification sees none.
SELECT count(*) FROM spine.verify_progress;
SHOW people_os_spine.progress_interval;
\set VERBOSITY sqlstate
SET people_os_spine.progress_interval = -1;
\set VERBOSITY default
