-- No DML changes a stored event: every statement, every role, also where no row matches.
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000e2001';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SELECT count(spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', i::text))) FROM generate_series(1, 3) i;
SELECT md5(string_agg(e::text, '' ORDER BY organization_id, sequence)) AS before FROM spine.events e \gset

UPDATE spine.events SET payload = '{}';
UPDATE spine.events SET payload = '{}' WHERE false;
DELETE FROM spine.events;
DELETE FROM spine.events WHERE false;
DELETE FROM ONLY spine.events USING pg_class WHERE relname = 'x';
TRUNCATE spine.events;
TRUNCATE spine.events CASCADE;
INSERT INTO spine.events (event_type, entity_id) VALUES ('a.b.c', gen_random_uuid()) ON CONFLICT (organization_id, sequence, "timestamp") DO UPDATE SET payload = '{}';
INSERT INTO spine.events SELECT * FROM spine.events ON CONFLICT (organization_id, sequence, "timestamp") DO UPDATE SET payload = '{"x": 1}';
MERGE INTO spine.events e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE;
MERGE INTO spine.events e USING (SELECT 1) s ON false WHEN MATCHED THEN UPDATE SET payload = '{}' WHEN NOT MATCHED THEN DO NOTHING;
WITH gone AS (DELETE FROM spine.events RETURNING *) SELECT count(*) FROM gone;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM spine.events FOR UPDATE;
FETCH 1 FROM c \gset
UPDATE spine.events SET payload = '{}' WHERE CURRENT OF c;
ROLLBACK;
SET session_replication_role = replica;
UPDATE spine.events SET payload = '{}' WHERE false;
DELETE FROM spine.events WHERE sequence = 1;
TRUNCATE spine.events;
RESET session_replication_role;

-- What logical replication would do: row triggers alone.
BEGIN;
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER refuse_change;
UPDATE spine.events SET payload = '{}';
ROLLBACK;
BEGIN;
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER refuse_change;
DELETE FROM spine.events;
ROLLBACK;

\set VERBOSITY sqlstate
DELETE FROM spine.events;
\set VERBOSITY default

-- A MERGE that only inserts is an INSERT.
BEGIN;
MERGE INTO spine.events e USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT (event_type, entity_id) VALUES ('a.b.merged', spine.entity_uuid('a', 'b', 'm'));
SELECT sequence, event_hash = spine.event_digest(e) AS hashed FROM spine.events e WHERE action = 'merged';
ROLLBACK;

SELECT md5(string_agg(e::text, '' ORDER BY organization_id, sequence)) = :'before' AS unchanged FROM spine.events e;
