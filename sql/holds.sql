-- Legal holds: who places and releases them, what they hold, and that they stay.
\set o '00000000-0000-4000-8000-0000000f0001'
\set other '00000000-0000-4000-8000-0000000f0002'
\set ada '00000000-0000-4000-8000-0000000fe001'
\set bob '00000000-0000-4000-8000-0000000fe002'
SET people_os_spine.organization_id = :'o';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SELECT spine.emit_event('hcm.employee.created', entity_id => :'ada', personal => '{"name": "Ada"}') AS of_ada \gset
SELECT spine.emit_event('crm.lead.created', entity_id => :'bob', personal => '{"name": "Bob"}') AS of_bob \gset
SELECT spine.emit_event('hcm.employee.created', entity_id => :'ada', personal => '{"name": "Ada"}', organization_id => :'other') AS elsewhere \gset
CREATE FUNCTION held(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE call;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, '(event|hold|by hold) [0-9a-f-]{36}', '\1 …', 'g');
END $$;
CREATE FUNCTION erasable(org uuid, id uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM spine.erase_events(org, ARRAY[id], 'x');
  RAISE EXCEPTION 'it is erased' USING ERRCODE = 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN RETURN 'erasable';
  WHEN SQLSTATE 'SP072' THEN RETURN 'held';
END $$;
CREATE ROLE keeper;
CREATE ROLE eraser;
CREATE ROLE onlooker;
SELECT spine.grant_hold_keeper('keeper', ARRAY[:'o']::uuid[]), spine.grant_eraser('eraser'), spine.grant_reader('onlooker', ARRAY[:'other']::uuid[]);
-- Who erases places and releases none, and the other way round.
SET ROLE eraser;
SELECT spine.place_hold(:'o', 'x');
SET ROLE keeper;
SELECT * FROM spine.erase_events(:'o', ARRAY[:'of_ada']::uuid[], 'x');
SELECT spine.place_hold(:'other', 'x');
SELECT spine.place_hold(NULL, 'x');
SELECT spine.place_hold(:'o', '');
SELECT spine.place_hold(:'o', 'x', domain => 'HCM');
SELECT spine.place_hold(:'o', 'x', entity_type => 'a.b');
SELECT spine.place_hold(:'o', 'x', from_timestamp => '2026-01-02', to_timestamp => '2026-01-01');
-- All of an organization; another's are free.
SELECT spine.place_hold(:'o', 'case 7') AS hold \gset
RESET ROLE;
SELECT held(format('SELECT spine.erase_events(%L, ARRAY[%L]::uuid[], ''x'')', :'o', :'of_ada'));
SELECT held(format('SELECT spine.erase_entity(%L, ''crm'', ''lead'', %L, ''x'')', :'o', :'bob'));
SELECT erasable(:'other', :'elsewhere');
SELECT event_type, entity_id = :'hold' AS of_hold, payload - 'hold' AS payload, payload ->> 'hold' = :'hold' AS hold FROM spine.events WHERE organization_id = :'o' AND entity_type = 'hold';
-- It stays on record, whoever tries.
DELETE FROM spine.legal_holds;
\echo :LAST_ERROR_SQLSTATE
UPDATE spine.legal_holds SET released_at = now();
TRUNCATE spine.legal_holds;
SET session_replication_role = replica;
DELETE FROM spine.legal_holds;
RESET session_replication_role;
SET ROLE eraser;
SELECT spine.release_hold(:'hold', 'x');
SET ROLE onlooker;
SELECT count(*) AS sees FROM spine.legal_holds;
SET ROLE keeper;
SELECT spine.release_hold(:'hold', NULL);
SELECT held('SELECT spine.release_hold(gen_random_uuid(), ''x'')');
SELECT spine.release_hold(:'hold', 'case 7 is closed');
SELECT held(format('SELECT spine.release_hold(%L, ''x'')', :'hold'));
RESET ROLE;
SELECT reason, placed_by, released_at >= placed_at AS released, released_by, release_reason FROM spine.legal_holds;
SELECT erasable(:'o', :'of_ada');

-- By domain, type, entity and time; what does not match is free. In one transaction too.
CREATE TABLE of_holds (n int, ada text, bob text);
DO $$
DECLARE
  o uuid := '00000000-0000-4000-8000-0000000f0001';
  of_ada uuid := (SELECT id FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-0000000f0001' AND sequence = 1);
  of_bob uuid := (SELECT id FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-0000000f0001' AND sequence = 2);
  at_ada timestamptz := (SELECT "timestamp" FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-0000000f0001' AND sequence = 1);
  holds uuid[];
  n int := 0;
  call text;
BEGIN
  FOREACH call IN ARRAY ARRAY[
    $c$spine.place_hold($1, 'd', domain => 'hcm')$c$, $c$spine.place_hold($1, 'd', domain => 'crm')$c$,
    $c$spine.place_hold($1, 't', entity_type => 'lead')$c$, $c$spine.place_hold($1, 'e', entity_id => '00000000-0000-4000-8000-0000000fe001')$c$,
    $c$spine.place_hold($1, 'dt', 'hcm', 'lead')$c$, $c$spine.place_hold($1, 'to', to_timestamp => $2)$c$,
    $c$spine.place_hold($1, 'before', to_timestamp => $2 - interval '1 microsecond')$c$, $c$spine.place_hold($1, 'from', from_timestamp => $2 + interval '1 microsecond')$c$,
    $c$spine.place_hold($1, 'exactly', from_timestamp => $2, to_timestamp => $2)$c$]
  LOOP
    n := n + 1;
    EXECUTE 'SELECT ARRAY[' || call || ']' INTO holds USING o, at_ada;
    INSERT INTO of_holds VALUES (n, erasable(o, of_ada), erasable(o, of_bob));
    PERFORM spine.release_hold(holds[1], 'next');
  END LOOP;
END $$;
SELECT * FROM of_holds ORDER BY n;
DROP TABLE of_holds;
-- Repeating an erasure is one: what is held stays.
SELECT events FROM spine.erase_events(:'o', ARRAY[:'of_bob']::uuid[], 'art. 17');
SELECT jsonb_build_array(jsonb_set(to_jsonb(e), '{payload,erased,personal,0}', jsonb_build_object('id', :'of_ada', 'sequence', 1))) AS kept
  FROM spine.events e WHERE organization_id = :'o' AND event_type = 'platform.personal.erased' \gset
SELECT spine.place_hold(:'o', 'case 8') AS hold \gset
SELECT held(format('SELECT spine.repeat_erasures(%L)', :'kept'));
-- Taken back with its savepoint.
SELECT spine.release_hold(:'hold', 'case 8 is closed');
BEGIN;
SAVEPOINT s;
SELECT spine.place_hold(:'o', 'no') IS NOT NULL AS placed;
SELECT erasable(:'o', :'of_ada');
ROLLBACK TO s;
SELECT erasable(:'o', :'of_ada');
COMMIT;
SELECT count(*) FILTER (WHERE event_type = 'platform.hold.placed') AS placed, count(*) FILTER (WHERE event_type = 'platform.hold.released') AS released FROM spine.events WHERE organization_id = :'o';
SELECT intact, faults FROM spine.verify_chain(:'o');
DROP FUNCTION held(text);
DROP FUNCTION erasable(uuid, uuid);
SELECT spine.revoke_all('keeper'), spine.revoke_all('eraser'), spine.revoke_all('onlooker');
DROP ROLE keeper, eraser, onlooker;
RESET people_os_spine.organization_id;
RESET people_os_spine.actor_id;
