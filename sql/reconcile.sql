-- spine.reconcile_table, and the rule that looks at a table now and then: what was done with triggers off is found, and what
-- nobody can tell is told apart.
SET timezone = 'UTC';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
\set o '00000000-0000-4000-8000-0000ec001c01'
\set other '00000000-0000-4000-8000-0000ec001c02'
CREATE SCHEMA reconcile;
SET search_path = reconcile;
CREATE TABLE employee (id int PRIMARY KEY, organization_id uuid, name text, salary numeric, pin text, note text, iban text);
SELECT spine.capture_changes('employee', 'rec', 'employee', 'id', 'organization_id', exclude => '{note}', mask => '{pin}', personal => '{iban}');
INSERT INTO employee SELECT i, :'o', 'n' || i, 1000 * i, 'secret', 'note', 'DE' || i FROM generate_series(1, 8) i;
INSERT INTO employee VALUES (20, :'other', 'Eve', 5, 'x', 'y', 'FR');
UPDATE employee SET salary = 1500 WHERE id = 1;
DELETE FROM employee WHERE id = 8;
CREATE VIEW unexplained AS SELECT right(of_organization::text, 2) AS org, id, verdict, columns, sequence IS NOT NULL AS has_event, detail FROM spine.reconcile_table('employee');
SELECT * FROM unexplained;
-- What an event leaves out may change: 60 and 60.00 are one number, the excluded and the masked column say nothing.
ALTER TABLE employee DISABLE TRIGGER USER;
UPDATE employee SET note = 'other', pin = 'other', salary = 2000.00 WHERE id = 2;
SELECT * FROM unexplained;
-- With the triggers off: changed, deleted, inserted, brought back; a personal value.
UPDATE employee SET salary = 99999, name = 'Mallory' WHERE id = 3;
DELETE FROM employee WHERE id = 4;
INSERT INTO employee VALUES (9, :'o', 'Ghost', 4800, NULL, NULL, 'DE9'), (8, :'o', 'n8', 8000, 'secret', 'note', 'DE8');
ALTER TABLE employee ENABLE TRIGGER USER;
SET session_replication_role = replica;
UPDATE employee SET iban = 'DE99' WHERE id = 5;
RESET session_replication_role;
SELECT * FROM unexplained ORDER BY id::int;
-- A move to another organization without an event: gone here, come there.
SET session_replication_role = replica;
UPDATE employee SET organization_id = :'other' WHERE id = 6;
RESET session_replication_role;
SELECT * FROM unexplained WHERE id = '6' ORDER BY org;
-- The rule: a finding each organization, once, and again when there is more.
SELECT spine.set_rule('rec_table', '{"title": "Rows that nobody explains", "level": "critical", "correlation": {"type": "reconcile", "table": "reconcile.employee", "timespan": "1d"}}', '[]', 'a test');
SELECT findings FROM spine.run_watch();
SELECT right(organization_id::text, 2) AS org, severity, sentence, jsonb_array_length(events) AS events FROM spine.findings WHERE rule = 'rec_table' ORDER BY 1;
SELECT findings, repeats FROM spine.run_watch();
CREATE FUNCTION look_now() RETURNS TABLE (findings bigint, repeats bigint) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE spine.watch_states SET due_at = now() WHERE rule = 'rec_table';
  RETURN QUERY SELECT w.findings, w.repeats FROM spine.run_watch() w;
END $$;
SELECT * FROM look_now();
SET session_replication_role = replica;
UPDATE employee SET name = 'Trudy' WHERE id = 2;
RESET session_replication_role;
SELECT * FROM look_now();
SELECT count(*) AS findings, sum(repeats) AS repeats FROM spine.findings WHERE rule = 'rec_table';
SELECT bool_and(f.payload::text !~ 'Mallory|99999|DE99') AS no_values FROM spine.events f WHERE event_type = 'platform.finding.raised' AND payload ->> 'rule' = 'rec_table';
-- A table that is gone does not stop the watch.
SELECT spine.set_rule('rec_gone', '{"title": "Of no table", "correlation": {"type": "reconcile", "table": "reconcile.gone", "timespan": "1d"}}', '[]', 'a test');
SELECT findings FROM spine.run_watch();
SELECT spine.enable_rule('rec_table', false, 'the test ended'), spine.enable_rule('rec_gone', false, 'the test ended');

-- What nobody can tell: rows from before the capture; parts that are erased or withheld; organizations that the session says.
CREATE TABLE older (id uuid PRIMARY KEY, organization_id uuid, name text, iban text);
INSERT INTO older VALUES ('00000000-0000-4000-8000-0000ec001ce1', :'o', 'before', 'DE1');
SELECT spine.capture_changes('older', 'rec', 'older', 'id', 'organization_id', personal => '{iban}');
INSERT INTO older VALUES ('00000000-0000-4000-8000-0000ec001ce2', :'o', 'after', 'DE2'), ('00000000-0000-4000-8000-0000ec001ce3', :'o', 'erased', 'DE3'), ('00000000-0000-4000-8000-0000ec001ce4', :'o', 'all erased', 'DE4');
SELECT from_empty FROM spine.watches WHERE table_name = 'reconcile.older';
SELECT spine.erase_entity(:'o', 'rec', 'older', '00000000-0000-4000-8000-0000ec001ce3', 'asked for') \g /dev/null
SELECT spine.erase_entity(:'o', 'rec', 'older', '00000000-0000-4000-8000-0000ec001ce4', 'asked for', '{payload,personal}') \g /dev/null
SELECT id, verdict, columns, detail FROM spine.reconcile_table('older') ORDER BY id;
CREATE ROLE rec_reader;
SELECT spine.grant_reader('rec_reader', ARRAY[:'o']::uuid[], personal => false);
GRANT USAGE ON SCHEMA reconcile TO rec_reader;
SET ROLE rec_reader;
SELECT public.refused('SELECT * FROM spine.reconcile_table(''older'')');
RESET ROLE;
GRANT SELECT ON employee, older TO rec_reader;
SET ROLE rec_reader;
SELECT id, verdict, columns, detail FROM spine.reconcile_table('older') ORDER BY id;
-- Of the rows of others it says nothing.
SELECT id, verdict, columns FROM spine.reconcile_table('employee') WHERE of_organization IS DISTINCT FROM :'o' OR verdict <> 'cannot_tell' ORDER BY id::int;
RESET ROLE;
-- Row security of the table would make rows seem to be missing.
ALTER TABLE older ENABLE ROW LEVEL SECURITY;
SET ROLE rec_reader;
SELECT public.refused('SELECT * FROM spine.reconcile_table(''older'')');
RESET ROLE;

-- No column of the organization: the session's setting was it.
CREATE TABLE setting (id text PRIMARY KEY, n int);
SET people_os_spine.organization_id = :'o';
SELECT spine.capture_changes('setting', 'rec', 'setting', 'id');
INSERT INTO setting VALUES ('a', 1), ('b', 2), ('c', 3);
RESET people_os_spine.organization_id;
SET session_replication_role = replica;
UPDATE setting SET n = 0 WHERE id = 'a';
DELETE FROM setting WHERE id = 'b';
INSERT INTO setting VALUES ('d', 4);
RESET session_replication_role;
SELECT of_organization, id, verdict, columns FROM spine.reconcile_table('setting') ORDER BY id;

-- Partitions, whose columns stand in another order; one that comes with rows of its own ends what is known of the rest.
CREATE TABLE part (id int, organization_id uuid, a text, b jsonb) PARTITION BY LIST (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1);
SELECT spine.capture_changes('part', 'rec', 'part', 'id', 'organization_id');
CREATE TABLE part2 (b jsonb, a text, organization_id uuid, id int);
ALTER TABLE part ATTACH PARTITION part2 FOR VALUES IN (2);
INSERT INTO part VALUES (1, :'o', 'x', '{"k": 1}'), (2, :'o', 'y', '{"k": 2}');
SET session_replication_role = replica;
UPDATE part2 SET b = '{"k": 3}';
RESET session_replication_role;
SELECT id, verdict, columns FROM spine.reconcile_table('part');
CREATE TABLE part3 (id int, organization_id uuid, a text, b jsonb);
INSERT INTO part3 VALUES (3, :'o', 'z', '{}');
SELECT from_empty FROM spine.watches WHERE table_name = 'reconcile.part';
ALTER TABLE part ATTACH PARTITION part3 FOR VALUES IN (3);
SELECT from_empty FROM spine.watches WHERE table_name = 'reconcile.part';
SELECT id, verdict, columns, detail FROM spine.reconcile_table('part') ORDER BY id;
SELECT public.refused('SELECT * FROM spine.reconcile_table(''part1'')');

-- Values that no event holds: told by their digest. A column that came later says nothing of older events.
CREATE TABLE odd (id int PRIMARY KEY, organization_id uuid, body json);
SELECT spine.capture_changes('odd', 'rec', 'odd', 'id', 'organization_id');
INSERT INTO odd VALUES (1, :'o', '{"a": "\u0000"}'), (2, :'o', '{"a": "\u0000"}'), (3, :'o', '{}'), (4, :'o', '{"a": "\u0000"}'), (5, :'o', ('"' || repeat('x', 2000000) || '"')::json);
SET session_replication_role = replica;
UPDATE odd SET body = '{"b": "\u0000"}' WHERE id = 2;
UPDATE odd SET body = '{"b": "\u0000"}' WHERE id = 3;
UPDATE odd SET body = '{}' WHERE id >= 4;
RESET session_replication_role;
ALTER TABLE odd ADD COLUMN later int DEFAULT 7;
SELECT id, verdict, columns, detail FROM spine.reconcile_table('odd') ORDER BY id;
-- In one transaction, once its events are chained; and captured anew with a definition that shows more.
BEGIN;
UPDATE odd SET body = '{}' WHERE id = 1;
SELECT spine.chain_pending() > 0 AS chained;
SELECT count(*) FROM spine.reconcile_table('odd') WHERE id = '1';
COMMIT;
SELECT spine.capture_changes('odd', 'rec', 'odd', 'id', 'organization_id', personal => '{body}');
SELECT from_empty FROM spine.watches WHERE table_name = 'reconcile.odd';
SELECT id, verdict, columns, detail FROM spine.reconcile_table('odd') ORDER BY id;

-- Where an inner statement's event stands before that of the statement that ran it, the events do not say which was last.
CREATE TABLE inner_first (id int PRIMARY KEY, organization_id uuid, n int);
SELECT spine.capture_changes('inner_first', 'rec', 'inner', 'id', 'organization_id');
CREATE FUNCTION once_more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE reconcile.inner_first SET n = n + 1 WHERE id = NEW.id; RETURN NULL; END $$;
CREATE TRIGGER once_more AFTER INSERT ON inner_first FOR EACH ROW EXECUTE FUNCTION once_more();
COPY inner_first FROM stdin;
1	00000000-0000-4000-8000-0000ec001c01	1
\.
SELECT event_type FROM spine.events WHERE entity_type = 'inner' ORDER BY sequence;
SELECT id, verdict, columns, detail FROM spine.reconcile_table('inner_first');

-- What is not captured.
CREATE TABLE free (id int);
SELECT public.refused('SELECT * FROM spine.reconcile_table(''free'')');
SELECT public.refused('SELECT * FROM spine.reconcile_table(''pg_class'')');
SELECT count(*) FROM spine.reconcile_table(NULL);
SELECT spine.revoke_all('rec_reader');
RESET search_path;
DROP SCHEMA reconcile CASCADE;
DROP ROLE rec_reader;
SELECT spine.forget_watch(kind, table_name) FROM spine.watches WHERE table_name LIKE 'reconcile.%' \g /dev/null
-- Other tests list the subscriptions that there are.
SELECT spine.drop_subscription('platform.watch');
