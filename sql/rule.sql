-- The rule, enforced: who changes a row of a table under spine.require_events emits an event of it.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
CREATE SCHEMA rule;
CREATE TABLE rule.employee (id uuid PRIMARY KEY, organization_id uuid, name text, manager uuid REFERENCES rule.employee ON DELETE CASCADE);
\set o1 '00000000-0000-4000-8000-0000000c0001'
\set o2 '00000000-0000-4000-8000-0000000c0002'
-- Employee number n, and its event in an organization.
CREATE FUNCTION rule.e(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid $$;
CREATE FUNCTION rule.emit(n int, organization int DEFAULT 1, name text DEFAULT 'hcm.employee.updated') RETURNS void LANGUAGE sql
  AS $$ SELECT spine.emit_event(name, entity_id => rule.e(n), organization_id => ('00000000-0000-4000-8000-0000000c000' || organization)::uuid) $$;
INSERT INTO rule.employee SELECT rule.e(n), :'o1', 'before' FROM generate_series(1, 9) n;
SELECT spine.require_events('rule.employee', 'id', 'organization_id');
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'rule.employee'::regclass AND NOT tgisinternal ORDER BY tgname;

-- The message, once.
\set VERBOSITY default
INSERT INTO rule.employee VALUES (rule.e(10), :'o1', 'Ada');
\set VERBOSITY sqlstate
UPDATE rule.employee SET name = 'Ada' WHERE id = rule.e(1);
DELETE FROM rule.employee WHERE id = rule.e(1);
\set VERBOSITY terse

-- With its event all is well, before the change or after it, in either mode.
BEGIN; INSERT INTO rule.employee VALUES (rule.e(10), :'o1', 'Ada'); SELECT rule.emit(10, 1, 'hcm.employee.created'); COMMIT;
BEGIN; SELECT rule.emit(10); UPDATE rule.employee SET name = 'Ada L.' WHERE id = rule.e(10); COMMIT;
SET people_os_spine.chain_at = 'commit';
BEGIN; UPDATE rule.employee SET name = 'Ada' WHERE id = rule.e(10); SELECT rule.emit(10); COMMIT;
BEGIN; SELECT rule.emit(10); UPDATE rule.employee SET name = 'Ada L.' WHERE id = rule.e(10); COMMIT;
UPDATE rule.employee SET name = 'nobody hears' WHERE id = rule.e(10);
RESET people_os_spine.chain_at;
-- An event of a transaction before does not count.
UPDATE rule.employee SET name = 'nobody hears' WHERE id = rule.e(10);
-- Of another entity, or in another organization: neither.
BEGIN; UPDATE rule.employee SET name = 'x' WHERE id = rule.e(1); SELECT rule.emit(2); COMMIT;
BEGIN; UPDATE rule.employee SET name = 'x' WHERE id = rule.e(1); SELECT rule.emit(1, 2); COMMIT;
-- One of several is missing.
BEGIN; UPDATE rule.employee SET name = 'x' WHERE id IN (rule.e(1), rule.e(2), rule.e(3)); SELECT rule.emit(1), rule.emit(3); COMMIT;
-- A batch.
BEGIN; UPDATE rule.employee SET name = 'all' WHERE organization_id = :'o1';
SELECT count(*) FROM spine.emit_events((SELECT jsonb_agg(jsonb_build_object('event_type', 'hcm.employee.updated', 'entity_id', id, 'organization_id', organization_id)) FROM rule.employee));
COMMIT;
-- A direct INSERT.
BEGIN; UPDATE rule.employee SET name = 'x' WHERE id = rule.e(1);
INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('hcm.employee.updated', rule.e(1), :'o1'); COMMIT;

-- Nothing changed: no event. Changed and changed back: one.
UPDATE rule.employee SET name = name;
BEGIN; UPDATE rule.employee SET name = 'y' WHERE id = rule.e(1); UPDATE rule.employee SET name = 'x' WHERE id = rule.e(1); COMMIT;
-- Another id or organization: both the old one and the new one.
BEGIN; UPDATE rule.employee SET id = rule.e(11) WHERE id = rule.e(10); SELECT rule.emit(11); COMMIT;
BEGIN; UPDATE rule.employee SET id = rule.e(11) WHERE id = rule.e(10); SELECT rule.emit(10); COMMIT;
BEGIN; UPDATE rule.employee SET id = rule.e(11) WHERE id = rule.e(10); SELECT rule.emit(10), rule.emit(11); COMMIT;
BEGIN; UPDATE rule.employee SET organization_id = :'o2' WHERE id = rule.e(11); SELECT rule.emit(11, 2); COMMIT;
BEGIN; UPDATE rule.employee SET organization_id = :'o2' WHERE id = rule.e(11); SELECT rule.emit(11, 1); COMMIT;
BEGIN; UPDATE rule.employee SET organization_id = :'o2' WHERE id = rule.e(11); SELECT rule.emit(11, 1), rule.emit(11, 2); COMMIT;

-- An organization that is not the row's to say: the setting's at that time, or any.
BEGIN; SET LOCAL people_os_spine.organization_id = :'o2'; INSERT INTO rule.employee VALUES (rule.e(20)); RESET people_os_spine.organization_id; SELECT rule.emit(20, 1); COMMIT;
BEGIN; SET LOCAL people_os_spine.organization_id = :'o2'; INSERT INTO rule.employee VALUES (rule.e(20)); RESET people_os_spine.organization_id; SELECT rule.emit(20, 2); COMMIT;
INSERT INTO rule.employee VALUES (rule.e(21));
BEGIN; INSERT INTO rule.employee VALUES (rule.e(21)); SELECT rule.emit(21, 9); COMMIT;

-- Savepoints take their changes with them, and their events.
BEGIN; SAVEPOINT a; UPDATE rule.employee SET name = 'undone'; ROLLBACK TO a; COMMIT;
BEGIN; SAVEPOINT a; SAVEPOINT b; UPDATE rule.employee SET name = 'undone' WHERE id = rule.e(1); RELEASE b; ROLLBACK TO a; COMMIT;
BEGIN; SAVEPOINT a; UPDATE rule.employee SET name = 'undone' WHERE id = rule.e(1); SAVEPOINT b; UPDATE rule.employee SET name = 'undone' WHERE id = rule.e(2); RELEASE b; ROLLBACK TO a; COMMIT;
BEGIN; SAVEPOINT a; UPDATE rule.employee SET name = 'kept' WHERE id = rule.e(1); RELEASE a; COMMIT;
BEGIN; UPDATE rule.employee SET name = 'kept' WHERE id = rule.e(1); SAVEPOINT a; UPDATE rule.employee SET name = 'undone' WHERE id = rule.e(2); ROLLBACK TO a; COMMIT;
BEGIN; UPDATE rule.employee SET name = 'kept' WHERE id = rule.e(1); SAVEPOINT a; UPDATE rule.employee SET name = 'undone' WHERE id = rule.e(2); ROLLBACK TO a; SELECT rule.emit(1); COMMIT;
BEGIN; UPDATE rule.employee SET name = 'kept 2' WHERE id = rule.e(1); SAVEPOINT a; SELECT rule.emit(1); ROLLBACK TO a; COMMIT;
BEGIN; UPDATE rule.employee SET name = 'kept 2' WHERE id = rule.e(1); SAVEPOINT a; SELECT rule.emit(1); RELEASE a; COMMIT;
BEGIN; SAVEPOINT a; UPDATE rule.employee SET name = 'kept 3' WHERE id = rule.e(1); SAVEPOINT b; UPDATE rule.employee SET name = 'kept 3' WHERE id = rule.e(2); RELEASE b; RELEASE a; SELECT rule.emit(1); COMMIT;
DO $$ BEGIN
  BEGIN UPDATE rule.employee SET name = 'undone'; RAISE 'no'; EXCEPTION WHEN raise_exception THEN NULL; END;
  BEGIN UPDATE rule.employee SET name = 'kept 4' WHERE id = rule.e(3); EXCEPTION WHEN raise_exception THEN NULL; END;
END $$;
SELECT count(*) FILTER (WHERE name LIKE 'kept%') AS kept, count(*) FILTER (WHERE name = 'undone') AS undone FROM rule.employee;

-- COPY, ON CONFLICT, MERGE, cascades, CTEs.
COPY rule.employee (id, organization_id) FROM stdin;
00000000-0000-4000-8000-000000000130	00000000-0000-4000-8000-0000000c0001
\.
INSERT INTO rule.employee VALUES (rule.e(1), :'o1', 'x') ON CONFLICT (id) DO NOTHING;
INSERT INTO rule.employee VALUES (rule.e(1), :'o1', 'z') ON CONFLICT (id) DO UPDATE SET name = 'conflict';
MERGE INTO rule.employee e USING (VALUES (rule.e(1)), (rule.e(40))) v(id) ON e.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING;
BEGIN; UPDATE rule.employee SET manager = rule.e(2) WHERE id = rule.e(3); SELECT rule.emit(3); COMMIT;
BEGIN; DELETE FROM rule.employee WHERE id = rule.e(2); SELECT rule.emit(2); COMMIT;
BEGIN; WITH gone AS (DELETE FROM rule.employee WHERE id = rule.e(2) RETURNING id) SELECT count(*), min(rule.emit(2)::text), min(rule.emit(3)::text) FROM gone; COMMIT;
TRUNCATE rule.employee;

-- A deferred trigger may emit, in either mode; and what one changes counts.
CREATE FUNCTION rule.emit_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM spine.emit_event('hcm.employee.updated', entity_id => NEW.id, organization_id => NEW.organization_id); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON rule.employee DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.name LIKE 'later%') EXECUTE FUNCTION rule.emit_later();
UPDATE rule.employee SET name = 'later' WHERE id = rule.e(4);
SET people_os_spine.chain_at = 'commit';
UPDATE rule.employee SET name = 'later 2' WHERE id = rule.e(4);
RESET people_os_spine.chain_at;
CREATE FUNCTION rule.change_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE rule.employee SET name = NEW.note WHERE id = rule.e(5); RETURN NULL; END $$;
CREATE TABLE rule.note (note text);
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON rule.note DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION rule.change_later();
INSERT INTO rule.note VALUES ('silent');
INSERT INTO rule.note VALUES ('later 3');
DROP TABLE rule.note;

-- Each transaction of a procedure is held to it.
CREATE PROCEDURE rule.twice() LANGUAGE plpgsql AS $$ BEGIN
  UPDATE rule.employee SET name = 'first' WHERE id = rule.e(6); PERFORM rule.emit(6); COMMIT;
  UPDATE rule.employee SET name = 'second' WHERE id = rule.e(6); COMMIT; END $$;
CALL rule.twice();
SELECT name FROM rule.employee WHERE id = rule.e(6);
-- A renamed column.
ALTER TABLE rule.employee RENAME organization_id TO tenant;
UPDATE rule.employee SET name = 'renamed' WHERE id = rule.e(6);
SELECT spine.require_events('rule.employee', 'id', 'tenant', 'hcm', 'employee');
-- Events of that domain and entity type, now.
BEGIN; UPDATE rule.employee SET name = 'renamed' WHERE id = rule.e(6); SELECT rule.emit(6, 1, 'hcm.person.updated'), rule.emit(6, 1, 'crm.employee.updated'); COMMIT;
BEGIN; UPDATE rule.employee SET name = 'renamed' WHERE id = rule.e(6); SELECT rule.emit(6), rule.emit(6, 1, 'hcm.person.updated'); COMMIT;
\set VERBOSITY default
UPDATE rule.employee SET name = 'silent' WHERE id = rule.e(6);
\set VERBOSITY terse
SELECT spine.stop_requiring_events('rule.employee');
UPDATE rule.employee SET name = 'free';
TRUNCATE rule.employee;
SELECT spine.stop_requiring_events('rule.employee');

-- What has no uuid.
CREATE TABLE rule.setting (key text COLLATE "C" PRIMARY KEY, value int, "the org" uuid);
SELECT spine.require_events('rule.setting', 'key', domain => 'platform', entity_type => 'setting');
BEGIN; INSERT INTO rule.setting VALUES ('theme', 1);
SELECT count(spine.emit_event('platform.setting.created', entity_id => spine.entity_uuid('platform', 'setting', 'theme'), organization_id => :'o1')); COMMIT;
INSERT INTO rule.setting VALUES ('colour', 1);
SELECT spine.entity_uuid('platform', 'setting', 'colour');
-- It is an entity of two organizations, and one's chain is longer.
SELECT spine.require_events('rule.setting', 'key', 'the org', 'platform', 'setting');
SELECT count(spine.emit_event('platform.setting.updated', entity_id => spine.entity_uuid('platform', 'setting', 'theme'), organization_id => '00000000-0000-4000-8000-0000000c000b')) FROM generate_series(1, 300);
BEGIN; UPDATE rule.setting SET "the org" = '00000000-0000-4000-8000-0000000c000c' WHERE key = 'theme';
SELECT count(spine.emit_event('platform.setting.updated', entity_id => spine.entity_uuid('platform', 'setting', 'theme'), organization_id => o)) FROM unnest('{00000000-0000-4000-8000-0000000c000c, 00000000-0000-4000-8000-0000000c000b}'::uuid[]) o; COMMIT;
BEGIN; UPDATE rule.setting SET value = 2 WHERE key = 'theme';
SELECT count(spine.emit_event('platform.setting.updated', entity_id => spine.entity_uuid('platform', 'setting', 'theme'), organization_id => '00000000-0000-4000-8000-0000000c000b')); COMMIT;

-- Partitions, those that come later too; a row that moves between them.
CREATE TABLE rule.part (id uuid NOT NULL, region int, organization_id uuid) PARTITION BY LIST (region);
CREATE TABLE rule.part1 PARTITION OF rule.part FOR VALUES IN (1);
SELECT spine.require_events('rule.part', 'id', 'organization_id');
CREATE TABLE rule.part2 (organization_id uuid, region int, id uuid NOT NULL);
ALTER TABLE rule.part ATTACH PARTITION rule.part2 FOR VALUES IN (2);
INSERT INTO rule.part VALUES (rule.e(50), 1, :'o1');
INSERT INTO rule.part2 VALUES (:'o1', 2, rule.e(50));
BEGIN; INSERT INTO rule.part VALUES (rule.e(50), 1, :'o1'), (rule.e(51), 2, :'o1'); SELECT rule.emit(50), rule.emit(51); COMMIT;
UPDATE rule.part SET region = 2 WHERE id = rule.e(50);
BEGIN; UPDATE rule.part SET region = 2 WHERE id = rule.e(50); SELECT rule.emit(50); COMMIT;
TRUNCATE rule.part;
TRUNCATE rule.part1;
SELECT spine.require_events('rule.part', 'id', 'organization_id');
TRUNCATE rule.part2;
SELECT spine.stop_requiring_events('rule.part1');
SELECT spine.stop_requiring_events('rule.part');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid IN ('rule.part'::regclass, 'rule.part1'::regclass, 'rule.part2'::regclass);
TRUNCATE rule.part;

-- A partition that was detached keeps the trigger of TRUNCATE, wherever it is attached then.
CREATE TABLE rule.area (id uuid NOT NULL, region int) PARTITION BY LIST (region);
CREATE TABLE rule.area1 PARTITION OF rule.area FOR VALUES IN (1);
CREATE TABLE rule.area2 PARTITION OF rule.area FOR VALUES IN (2);
SELECT spine.require_events('rule.area', 'id');
ALTER TABLE rule.area DETACH PARTITION rule.area1;
ALTER TABLE rule.area DETACH PARTITION rule.area2;
INSERT INTO rule.area1 VALUES (rule.e(50), 1);
TRUNCATE rule.area1;
SELECT spine.stop_requiring_events('rule.area1');
TRUNCATE rule.area1;
SELECT spine.stop_requiring_events('rule.area1');
CREATE TABLE rule.elsewhere (LIKE rule.area) PARTITION BY LIST (region);
ALTER TABLE rule.elsewhere ATTACH PARTITION rule.area2 FOR VALUES IN (2);
SELECT spine.stop_requiring_events('rule.area2');
TRUNCATE rule.area2;
SELECT spine.stop_requiring_events('rule.area');

-- With capture: both name the entity alike whatever the id's type, in every session, and see the same changes.
SET people_os_spine.organization_id = :'o1';
DO $$ DECLARE type text; n int := 0; BEGIN
  FOREACH type IN ARRAY '{char(10), boolean, date, timestamptz, interval, float4, bytea, inet, regclass, varchar, bigint}'::text[] LOOP
    n := n + 1;
    EXECUTE format('CREATE TABLE rule.of%s (id %s)', n, type);
    PERFORM spine.capture_changes(format('rule.of%s', n)::regclass, 'hcm', 'kind', 'id'), spine.require_events(format('rule.of%s', n)::regclass, 'id', NULL, 'hcm', 'kind');
  END LOOP; END $$;
BEGIN;
SET LOCAL DateStyle = 'German'; SET LOCAL TimeZone = 'Asia/Tokyo'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL bytea_output = 'escape';
SET LOCAL extra_float_digits = -3; SET LOCAL search_path = rule, pg_catalog; SET LOCAL quote_all_identifiers = on;
INSERT INTO rule.of1 VALUES ('abc'); INSERT INTO rule.of2 VALUES (true); INSERT INTO rule.of3 VALUES ('2020-01-31'); INSERT INTO rule.of4 VALUES ('2020-01-31 00:00+00');
INSERT INTO rule.of5 VALUES ('1 day'); INSERT INTO rule.of6 VALUES (0.1234567); INSERT INTO rule.of7 VALUES ('\x00ff'); INSERT INTO rule.of8 VALUES ('10.0.0.1');
INSERT INTO rule.of9 VALUES ('rule.of1'); INSERT INTO rule.of10 VALUES ('x'); INSERT INTO rule.of11 VALUES (1);
SHOW DateStyle;
COMMIT;
SELECT text, count(*) FROM unnest('{abc, true, 2020-01-31, 2020-01-31 00:00:00+00, 1 day, 0.1234567, \\x00ff, 10.0.0.1/32, rule.of1, x, 1}'::text[]) WITH ORDINALITY u(text, n)
  JOIN spine.events ON entity_id = spine.entity_uuid('hcm', 'kind', text) AND organization_id = :'o1' GROUP BY text, n ORDER BY n;
CREATE TABLE rule.doc (id uuid PRIMARY KEY, gone int, name text, body text, seen int, organization_id uuid);
ALTER TABLE rule.doc ALTER body SET STORAGE EXTERNAL;
BEGIN; INSERT INTO rule.doc VALUES (rule.e(60), 1, 'a', repeat('text ', 2000), 0, :'o1'); SELECT rule.emit(60);
SELECT spine.require_events('rule.doc', 'id', 'organization_id'); COMMIT;
-- The same is stored otherwise: out of line, after a column came or went.
UPDATE rule.doc SET body = body || '';
ALTER TABLE rule.doc ADD COLUMN later int;
UPDATE rule.doc SET name = name;
ALTER TABLE rule.doc DROP COLUMN gone;
UPDATE rule.doc SET name = name;
UPDATE rule.doc SET body = body || '.';
UPDATE rule.doc SET later = 1;
-- A change of nothing but what capture leaves out.
UPDATE rule.doc SET seen = 1;
SELECT spine.capture_changes('rule.doc', 'hcm', 'doc', 'id', 'organization_id', exclude => '{seen, organization_id}');
UPDATE rule.doc SET seen = 1;
UPDATE rule.doc SET seen = 2, name = 'b';
UPDATE rule.doc SET organization_id = :'o2';
SELECT organization_id, event_type, payload -> 'changed' AS changed FROM spine.events WHERE entity_type = 'doc' ORDER BY organization_id, sequence;
ALTER TABLE rule.doc DISABLE TRIGGER spine_capture_update;
UPDATE rule.doc SET seen = 3;
ALTER TABLE rule.doc ENABLE REPLICA TRIGGER spine_capture_update;
UPDATE rule.doc SET seen = 3;
RESET people_os_spine.organization_id;
DELETE FROM spine.event_types WHERE name LIKE 'hcm.kind.%' OR name LIKE 'hcm.doc.%';

-- Definitions that will not do.
CREATE VIEW rule.view AS SELECT * FROM rule.employee;
CREATE TABLE rule.loose (id uuid, n int, organization_id text);
CREATE SEQUENCE rule.seq;
\set VERBOSITY default
SELECT spine.require_events('rule.loose', 'ident');
SELECT spine.require_events('rule.loose', 'n');
\set VERBOSITY sqlstate
SELECT spine.require_events('rule.loose', 'n');
\set VERBOSITY terse
SELECT spine.require_events('rule.view', 'id');
SELECT spine.require_events('rule.seq', 'last_value');
SELECT spine.require_events('spine.events', 'id');
SELECT spine.require_events('spine.role_bindings', 'organization_id');
SELECT spine.require_events('rule.loose', '');
SELECT spine.require_events('rule.loose', 'ctid');
SELECT spine.require_events('rule.loose', 'id', 'organization_id');
SELECT spine.require_events('rule.loose', 'id', 'tenant');
SELECT spine.require_events('rule.loose', 'id', NULL, 'hcm');
SELECT spine.require_events('rule.loose', 'id', NULL, NULL, 'employee');
SELECT spine.require_events('rule.loose', 'id', NULL, 'HCM', 'employee');
SELECT spine.require_events('rule.loose', 'n', NULL, 'hcm', 'an employee');
SELECT spine.require_events(4294967295::oid::regclass, 'id');
SELECT spine.require_events(NULL, 'id');
SELECT spine.require_events('rule.loose', NULL);
SELECT spine.stop_requiring_events(NULL);
SELECT spine.stop_requiring_events('rule.loose');
SELECT spine.stop_requiring_events(4294967295::oid::regclass);
SELECT spine.require_event();
CREATE TRIGGER wrong BEFORE INSERT ON rule.loose FOR EACH ROW EXECUTE FUNCTION spine.require_event('id', '', '', '');
INSERT INTO rule.loose VALUES (rule.e(1));
DROP TRIGGER wrong ON rule.loose;
CREATE TRIGGER wrong AFTER INSERT ON rule.loose FOR EACH ROW EXECUTE FUNCTION spine.require_event('id');
INSERT INTO rule.loose VALUES (rule.e(1));
DROP TRIGGER wrong ON rule.loose;
-- A row without an id.
SELECT spine.require_events('rule.loose', 'id');
INSERT INTO rule.loose VALUES (NULL, 1);

-- Who is held to it needs no right on the spine but to emit; who defines it, the owner's on the table.
CREATE ROLE rule_writer;
GRANT USAGE ON SCHEMA rule TO rule_writer;
GRANT ALL ON rule.loose TO rule_writer;
SELECT spine.grant_emitter('rule_writer', ARRAY[:'o1']::uuid[]);
SET ROLE rule_writer;
BEGIN; INSERT INTO rule.loose VALUES (rule.e(1), 1); SELECT count(spine.emit_event('hcm.employee.created', entity_id => rule.e(1), organization_id => :'o1')); COMMIT;
INSERT INTO rule.loose VALUES (rule.e(2), 1);
SELECT spine.stop_requiring_events('rule.loose');
RESET ROLE;
CREATE TABLE rule.own (id uuid);
CREATE TABLE rule.heir () INHERITS (rule.own);
ALTER TABLE rule.own OWNER TO rule_writer;
ALTER TABLE rule.heir OWNER TO rule_writer;
GRANT EXECUTE ON FUNCTION spine.require_events, spine.stop_requiring_events, spine.require_event TO rule_writer;
SET ROLE rule_writer;
SELECT spine.require_events('rule.setting', 'key', domain => 'hcm', entity_type => 'setting');
SELECT spine.stop_requiring_events('rule.loose');
SELECT spine.require_events('rule.own', 'id');
INSERT INTO rule.own VALUES (rule.e(1));
TRUNCATE rule.own;
-- What inherits is held on its own.
INSERT INTO rule.heir VALUES (rule.e(1));
SELECT spine.stop_requiring_events('rule.own');
INSERT INTO rule.own VALUES (rule.e(1));
RESET ROLE;
-- A table that is dropped meanwhile was still changed without an event.
BEGIN; INSERT INTO rule.loose VALUES (rule.e(2), 1); DROP TABLE rule.loose; COMMIT;

SELECT bool_and(intact) FROM spine.verify_chain() WHERE organization_id::text LIKE '%-0000000c____';
DROP SCHEMA rule CASCADE;
SELECT spine.revoke_all('rule_writer');
DROP ROLE rule_writer;
SELECT count(spine.forget_watch(kind, table_name)) > 0 AS forgotten FROM spine.watches WHERE to_regclass(table_name) IS NULL;
