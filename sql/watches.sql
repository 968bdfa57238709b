-- Whether capture and the rule are in force: what was said stands in spine.watches, and spine.verify_guards compares.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000cc001';
CREATE SCHEMA watched;
SET search_path = watched;
CREATE TABLE "Odd name" (id int, a text, b text);
CREATE TABLE part (id int, a text, b text) PARTITION BY LIST (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE held (id uuid) PARTITION BY HASH (id);
CREATE TABLE held0 PARTITION OF held FOR VALUES WITH (modulus 1, remainder 0);
SELECT spine.capture_changes('"Odd name"', 'w', 'odd', 'id', mask => '{a}'), spine.capture_changes('part', 'w', 'part', 'id'), spine.require_events('held', 'id');
SELECT * FROM spine.watches ORDER BY 1, 2;
CREATE VIEW told AS SELECT guard, found, ok, remedy FROM spine.verify_guards() WHERE guard ~ '^(capture|rule of)';
SELECT * FROM told;
-- Called anew, with another definition; and a partition that comes.
SELECT spine.capture_changes('"Odd name"', 'w', 'odd', 'id'), spine.require_events('held', 'id', domain => 'w', entity_type => 'held');
CREATE TABLE part2 PARTITION OF part FOR VALUES IN (2);
SELECT * FROM told;
-- Each way in which it ends.
CREATE FUNCTION tell(command text) RETURNS TABLE (told text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RETURN QUERY SELECT concat_ws(': ', g.guard, g.found) FROM spine.verify_guards() g WHERE NOT g.ok AND g.guard ~ '^(capture|rule of)' ORDER BY g.guard COLLATE "C";
  RAISE EXCEPTION USING ERRCODE = 'ABCDE';
EXCEPTION WHEN sqlstate 'ABCDE' THEN
END $$;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
SELECT tell('ALTER TABLE "Odd name" DISABLE TRIGGER spine_capture_update');
SELECT tell('ALTER TABLE "Odd name" ENABLE REPLICA TRIGGER spine_capture_update');
SELECT tell('ALTER TABLE "Odd name" ENABLE ALWAYS TRIGGER spine_capture_update');
SELECT tell('ALTER TABLE "Odd name" DISABLE TRIGGER ALL');
SELECT tell('DROP TRIGGER spine_capture_delete ON "Odd name"; DROP TRIGGER spine_capture_truncate ON "Odd name"');
SELECT tell('ALTER TRIGGER spine_capture_insert ON "Odd name" RENAME TO other');
SELECT tell('CREATE OR REPLACE TRIGGER spine_capture_insert AFTER INSERT ON "Odd name" FOR EACH STATEMENT EXECUTE FUNCTION nothing()');
SELECT tell($c$CREATE OR REPLACE TRIGGER spine_capture_update AFTER UPDATE ON "Odd name" REFERENCING OLD TABLE AS spine_before NEW TABLE AS spine_after
  FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change('w', 'odd', 'id', '', 'low', 'exclude a')$c$);
SELECT tell($c$CREATE OR REPLACE TRIGGER spine_capture_update AFTER UPDATE ON "Odd name" REFERENCING OLD TABLE AS spine_before NEW TABLE AS spine_after
  FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION spine.capture_change('w', 'odd', 'id', '', 'low')$c$);
SELECT tell('CREATE TABLE new (LIKE "Odd name"); ALTER TABLE "Odd name" RENAME TO old; ALTER TABLE new RENAME TO "Odd name"');
SELECT tell('ALTER TABLE "Odd name" RENAME TO old');
SELECT tell('DROP TABLE "Odd name"; CREATE TABLE "Odd name" (id int, a text, b text)');
SELECT tell('DROP TABLE part2');
SELECT tell('DROP TRIGGER spine_capture_insert ON part1');
SELECT tell('ALTER TABLE part DISABLE TRIGGER ALL');
SELECT tell('DROP TRIGGER spine_require_events ON held');
SELECT tell('ALTER TABLE held DISABLE TRIGGER spine_require_events_truncate');
SELECT tell('ALTER TABLE held0 DISABLE TRIGGER spine_require_events');
SELECT tell('CREATE TABLE held_too () INHERITS ("Odd name"); DROP TRIGGER spine_capture_update ON held_too');
SET client_min_messages = warning;
SELECT tell('DROP SCHEMA watched CASCADE');
RESET client_min_messages;
-- A renamed table is captured under its new name, and the old one is forgotten.
ALTER TABLE "Odd name" RENAME TO even;
SELECT spine.capture_changes('even', 'w', 'odd', 'id');
SELECT * FROM told;
SELECT spine.forget_watch('capture', 'watched."Odd name"');
SELECT spine.forget_watch('capture', 'watched."Odd name"');
\echo :SQLSTATE
SELECT * FROM told;
SELECT spine.stop_capture('even'), spine.stop_requiring_events('held');
-- Made anew while nobody looked, so that no trigger is left: the watch is taken off all the same.
DROP TABLE part;
CREATE TABLE part (id int, a text, b text) PARTITION BY LIST (id);
SELECT found FROM told;
SELECT spine.stop_capture('part');
SELECT count(*) FROM spine.watches;

-- A partition that was captured brings what it hides: the stricter of the two holds for all.
CREATE TABLE leaf (id int, a text, b text, c text);
CREATE TABLE tree (c text, b text, a text, id int) PARTITION BY LIST (id);
CREATE TABLE tree9 PARTITION OF tree FOR VALUES IN (9);
SELECT spine.capture_changes('leaf', 'w', 'leaf', 'id', exclude => '{b}', mask => '{a}'), spine.capture_changes('tree', 'w', 'tree', 'id', exclude => '{c}', mask => '{b}', severity => 'high');
ALTER TABLE tree ATTACH PARTITION leaf FOR VALUES IN (1);
INSERT INTO tree VALUES ('c', 'b', 'a', 1), ('c', 'b', 'a', 9);
INSERT INTO leaf VALUES (1, 'a', 'b', 'c');
SELECT event_type, severity, payload - 'spine_capture' AS payload FROM spine.events WHERE domain = 'w' ORDER BY sequence;
SELECT * FROM spine.watches;
SELECT found FROM told;
ALTER TABLE tree DETACH PARTITION leaf;
ALTER TABLE tree ATTACH PARTITION leaf FOR VALUES IN (1);
SELECT found FROM told;
-- What hides the other's entity id cannot come; a column that the other has not is hidden where it is.
CREATE TABLE hides (id int, key int, c text, b text, a text);
CREATE TABLE keyed (id int, key int, c text, b text, a text) PARTITION BY LIST (id);
SELECT spine.capture_changes('hides', 'w', 'hides', 'id', mask => '{key}'), spine.capture_changes('keyed', 'w', 'keyed', 'key');
ALTER TABLE keyed ATTACH PARTITION hides FOR VALUES IN (1);
\echo :SQLSTATE
CREATE TABLE animal (id int);
CREATE TABLE dog (id int, chip text);
SELECT spine.capture_changes('animal', 'w', 'animal', 'id'), spine.capture_changes('dog', 'w', 'dog', 'id', mask => '{chip}');
ALTER TABLE dog INHERIT animal;
INSERT INTO dog VALUES (1, 'x');
SELECT payload->'after' AS after FROM spine.events WHERE event_type = 'w.animal.created';
SELECT found FROM told;
SET client_min_messages = warning;
DROP SCHEMA watched CASCADE;
SELECT count(spine.forget_watch(kind, table_name)) AS forgotten FROM spine.watches WHERE to_regclass(table_name) IS NULL;
DELETE FROM spine.event_types WHERE NOT built_in;
