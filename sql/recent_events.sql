-- A session that takes checkpoints again and again reads what is new of all chains together. It finds what each chain's own
-- index would find, also where that is not right.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
\set a '\'aaaaaaaa-0000-4000-8000-00000000f101\''
\set b '\'aaaaaaaa-0000-4000-8000-00000000f102\''
\set c '\'aaaaaaaa-0000-4000-8000-00000000f103\''
CREATE FUNCTION emit(organization uuid, events integer) RETURNS void LANGUAGE sql AS $$
  SELECT count(spine.emit_event('hcm.employee.updated', entity_id => gen_random_uuid(), organization_id => organization,
           payload => '{"n": 1}', personal => '{"name": "Ada"}')) FROM generate_series(1, events) $$;
CREATE PROCEDURE change(statement text) LANGUAGE plpgsql AS $$
BEGIN
  CALL guard_off();
  ALTER TABLE spine.events DISABLE TRIGGER ALL;
  EXECUTE statement;
  ALTER TABLE spine.events ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change, ENABLE ALWAYS TRIGGER zz_chain_event;
  CALL guard_on();
END $$;
CREATE VIEW taken AS SELECT right(organization_id::text, 4) AS chain, size, verified, intact, fault
  FROM spine.take_checkpoint() WHERE organization_id::text LIKE '%f10_' ORDER BY organization_id;
SELECT emit(:a, 3), emit(:b, 2) \g /dev/null
SELECT * FROM taken \g /dev/null
-- Interleaved, a new chain among them; then nothing.
SELECT emit(:a, 2), emit(:b, 300), emit(:c, 1), emit(:a, 2) \g /dev/null
SELECT * FROM taken;
SELECT * FROM taken;
SELECT size, verified FROM spine.take_checkpoint(:a);
-- The growth that this session read is the one that another reads from the events.
CREATE TABLE growths AS SELECT * FROM spine.prove_growth(ARRAY[:a, :b]::uuid[], '{3,2}', '{7,302}');
SELECT count(*) = 2 AS proved FROM growths;
\c -
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SELECT count(*) FROM (TABLE growths EXCEPT SELECT * FROM spine.prove_growth(ARRAY[:a, :b]::uuid[], '{3,2}', '{7,302}')) d;
SELECT * FROM taken;
-- An event that is rolled back behind a checkpoint of it: neither is there, and what comes in its place counts.
SELECT emit(:a, 1) \g /dev/null
SELECT * FROM taken;
BEGIN;
SELECT emit(:a, 2) \g /dev/null
SELECT * FROM taken;
ROLLBACK;
SELECT emit(:a, 1), emit(:b, 1) \g /dev/null
SELECT * FROM taken;
SELECT old_root IS NOT NULL AS proved FROM spine.prove_growth(ARRAY[:a, :b]::uuid[], '{8,302}', '{9,303}');
-- Erased as it should be.
SELECT emit(:a, 2) \g /dev/null
SELECT events FROM spine.erase_events(:a, (SELECT array_agg(id) FROM spine.events WHERE organization_id = :a AND sequence = 10), 'a request');
SELECT * FROM taken;
-- Not right: a part taken out by hand, content, a gap; then they are made right again. Then a fork.
CREATE TABLE kept (LIKE spine.events);
SELECT emit(:a, 3), emit(:b, 3), emit(:c, 3) \g /dev/null
INSERT INTO kept SELECT * FROM spine.events WHERE organization_id IN (:a, :b, :c) AND sequence > 1;
CALL change(format('UPDATE spine.events SET personal = NULL, personal_salt = NULL, personal_hash = sha256(personal_salt || convert_to(spine.canonical_json(personal), ''UTF8'')) WHERE organization_id = %L AND sequence = 14', :a));
CALL change(format('UPDATE spine.events SET payload = ''{"n": 2}'' WHERE organization_id = %L AND sequence = 305', :b));
CALL change(format('DELETE FROM spine.events WHERE organization_id = %L AND sequence = 3', :c));
SELECT * FROM taken;
SELECT * FROM taken;
CALL change('DELETE FROM spine.events e USING kept k WHERE e.id = k.id');
CALL change('INSERT INTO spine.events SELECT * FROM kept');
SELECT * FROM taken;
SELECT emit(:a, 1), emit(:b, 2) \g /dev/null
CALL change(format('INSERT INTO spine.events SELECT (jsonb_populate_record(e, jsonb_build_object(''id'', ''aaaaaaaa-0000-4000-8000-00000000f1ff'', ''timestamp'', e.timestamp + interval ''1 us''))).* FROM spine.events e WHERE organization_id = %L AND sequence = 16', :a));
SELECT * FROM taken;
CALL change('DELETE FROM spine.events WHERE id = ''aaaaaaaa-0000-4000-8000-00000000f1ff''');
SELECT * FROM taken;
SELECT organization_id, fault FROM spine.find_chain_faults(:a);
DROP VIEW taken;
DROP PROCEDURE change;
DROP FUNCTION emit;
DROP TABLE kept, growths;
