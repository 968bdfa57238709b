-- spine.replay, entity_history and entity_as_of.
\set A '00000000-0000-4000-8000-0000000f1001'
\set B '00000000-0000-4000-8000-0000000f1002'
\set E '00000000-0000-4000-8000-0000000f10e1'
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
-- More than a batch of A; payloads of all sizes, one of them out of line.
SELECT count(spine.emit_event('a.b.made', entity_id => spine.entity_uuid('a', 'b', i::text), organization_id => :'A',
         payload => jsonb_build_object('n', i, 'text', CASE i WHEN 700 THEN (SELECT string_agg(md5(j::text), '') FROM generate_series(1, 2000) j) END)))
  FROM generate_series(1, 2500) i;
SELECT count(spine.emit_event('a.b.made', entity_id => spine.entity_uuid('a', 'b', i::text), organization_id => :'B', payload => jsonb_build_object('n', i)))
  FROM generate_series(1, 3) i;

-- In order, each once, whole.
CREATE TABLE replayed (place bigint GENERATED ALWAYS AS IDENTITY, event spine.events);
CREATE FUNCTION keep(event spine.events) RETURNS void LANGUAGE sql AS $$ INSERT INTO replayed (event) VALUES (event) $$;
SELECT spine.replay('keep(spine.events)', :'A');
SELECT count(*), bool_and(place = (event).sequence) AS in_order, bool_and((event) = e) AS whole
  FROM replayed JOIN spine.events e ON e.id = (event).id AND organization_id = :'A';
CREATE FUNCTION replayed() RETURNS text LANGUAGE sql
  AS $$ WITH gone AS (DELETE FROM replayed RETURNING event) SELECT count(*) || ': ' || min((event).sequence) || ' to ' || max((event).sequence) FROM gone $$;
SELECT replayed();
SELECT spine.replay('keep(spine.events)', :'B');
SELECT replayed();

-- Ranges and how many; NULL is left out.
SELECT spine.replay('keep(spine.events)', :'A', 2, 4), spine.replay('keep(spine.events)', :'A', 2498), spine.replay('keep(spine.events)', :'A', 990, max_events => 1100);
SELECT (SELECT string_agg((event).sequence::text, ' ' ORDER BY place) FROM replayed WHERE place <= 2509), replayed();
SELECT spine.replay('keep(spine.events)', :'A', NULL, 1, NULL), spine.replay('keep(spine.events)', :'A', 5, 900000, 2);
SELECT replayed();
-- There is none: behind the end, of a range that is done, of no organization, or as it was asked.
SELECT spine.replay('keep(spine.events)', :'A', 2501), spine.replay('keep(spine.events)', :'A', 5, 4), spine.replay('keep(spine.events)', spine.entity_uuid('a', 'b', 'none')), spine.replay('keep(spine.events)', :'A', max_events => 0);
SELECT count(*) FROM replayed;

-- Whatever the handler returns, in whichever language; the out-of-line payload is whole.
CREATE TABLE seen (n bigint, size int);
CREATE FUNCTION see(event spine.events) RETURNS record LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO seen VALUES (event.sequence, length(event.payload ->> 'text'));
  RETURN event;
END $$;
CREATE FUNCTION payload_of(spine.events) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$ SELECT $1.payload $$;
SELECT spine.replay('see(spine.events)', :'A', 700, 701), spine.replay('payload_of(spine.events)', :'A'), spine.replay('spine.canonical_event(spine.events)', :'A', max_events => 1001);
TABLE seen;

-- What the handler emits comes behind the end of this call; a later call, with the last sequence, has it.
CREATE FUNCTION echo(event spine.events) RETURNS uuid LANGUAGE sql
  AS $$ SELECT spine.emit_event('a.b.echoed', entity_id => event.entity_id, organization_id => event.organization_id, payload => event.payload) $$;
SELECT spine.replay('echo(spine.events)', :'B') AS last \gset
SELECT :last, spine.replay('keep(spine.events)', :'B', :last + 1);
SELECT string_agg((event).event_type || ' ' || ((event).payload ->> 'n'), ', ' ORDER BY place) FROM replayed;
DELETE FROM replayed;

-- In batches, each committed, by whoever keeps the place; once more after it was interrupted.
CREATE TABLE places (organization_id uuid PRIMARY KEY, sequence bigint NOT NULL);
CREATE PROCEDURE catch_up(organization uuid, upto bigint) LANGUAGE plpgsql AS $$
DECLARE
  last bigint := coalesce((SELECT sequence FROM places WHERE organization_id = organization), 0);
BEGIN
  LOOP
    last := spine.replay('keep(spine.events)', organization, last + 1, upto, max_events => 800);
    EXIT WHEN last IS NULL;
    INSERT INTO places VALUES (organization, last) ON CONFLICT (organization_id) DO UPDATE SET sequence = last;
    COMMIT;
  END LOOP;
END $$;
CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stumbled' USING ERRCODE = 'QQ001'; END $$;
CREATE TRIGGER stumble BEFORE INSERT ON replayed FOR EACH ROW WHEN (((new.event).sequence) = 2000) EXECUTE FUNCTION stumble();
-- The error of the handler, and which event it was.
\set SHOW_CONTEXT never
CALL catch_up(:'A', 2500);
\echo :SQLSTATE
CREATE FUNCTION context_of(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  context text;
BEGIN
  EXECUTE command;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
  RETURN (SELECT string_agg(regexp_replace(line, '[0-9a-f-]{36}', '…'), E'\n') FROM regexp_split_to_table(context, E'\n') line WHERE line LIKE 'replay%');
END $$;
SELECT context_of(format($$SELECT spine.replay('keep(spine.events)', %L, 1601, 2500, 800)$$, :'A'));
SELECT * FROM places;
SELECT replayed();
ALTER TABLE replayed DISABLE TRIGGER stumble;
CALL catch_up(:'A', 2500);
SELECT * FROM places;
SELECT replayed();

-- A replay that can be interrupted.
CREATE FUNCTION wait(spine.events) RETURNS void LANGUAGE sql AS $$ SELECT pg_sleep(0.01) $$;
SET statement_timeout = '50ms';
SELECT spine.replay('wait(spine.events)', :'A');
RESET statement_timeout;

-- A gap is told, and passed.
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER ALL;
BEGIN;
DELETE FROM spine.events WHERE organization_id = :'A' AND sequence BETWEEN 5 AND 7;
SELECT spine.replay('keep(spine.events)', :'A', 3, 9);
SELECT spine.replay('keep(spine.events)', :'A', 6, 9);
SELECT replayed();
ROLLBACK;
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event, ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change;
CALL guard_on();

-- No handler, and no range.
CREATE FUNCTION two(spine.events, int DEFAULT 1) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION other(spine.role_bindings) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION many(spine.events) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE proc(spine.events) LANGUAGE sql AS '';
CREATE AGGREGATE agg(spine.events) (sfunc = array_append, stype = spine.events[]);
CREATE FUNCTION variadic_one(VARIADIC spine.events[]) RETURNS void LANGUAGE sql AS '';
SELECT spine.replay(NULL, :'A');
\echo :SQLSTATE
SELECT spine.replay(1, :'A');
SELECT spine.replay('two(spine.events, int)', :'A');
SELECT spine.replay('other(spine.role_bindings)', :'A');
SELECT spine.replay('many(spine.events)', :'A');
SELECT spine.replay('proc(spine.events)', :'A');
SELECT spine.replay('agg(spine.events)', :'A');
SELECT spine.replay('variadic_one(spine.events[])', :'A');
SELECT spine.replay('keep(spine.events)', NULL);
\echo :SQLSTATE
SELECT spine.replay('keep(spine.events)', :'A', 0);
\echo :SQLSTATE
SELECT spine.replay('keep(spine.events)', :'A', 5, 3);
SELECT spine.replay('keep(spine.events)', :'A', max_events => -1);
\echo :SQLSTATE

-- By its rights: of the handler, and of what it may read.
CREATE ROLE spine_replayer;
SELECT spine.grant_reader('spine_replayer', ARRAY[:'B']::uuid[]);
REVOKE EXECUTE ON FUNCTION see FROM PUBLIC;
GRANT INSERT ON replayed TO spine_replayer;
SET ROLE spine_replayer;
SELECT spine.replay('keep(spine.events)', :'A'), spine.replay('keep(spine.events)', :'B');
SELECT spine.replay('see(spine.events)', :'B');
\echo :SQLSTATE
RESET ROLE;
SELECT replayed();

-- The history of an entity: by organization and sequence, whatever was emitted first.
SELECT spine.emit_event('hr.person.hired', entity_id => :'E', organization_id => :'B', payload => '{"n": 1}') IS NOT NULL AS emitted;
SELECT spine.emit_event('hr.person.moved', entity_id => :'E', organization_id => :'A', payload => '{"n": 2}') IS NOT NULL AS emitted;
SELECT spine.emit_event('hr.contract.signed', entity_id => :'E', organization_id => :'A') IS NOT NULL AS emitted;
SELECT spine.emit_event('hr.person.left', entity_id => :'E', organization_id => :'B', payload => '{"n": 3}') IS NOT NULL AS emitted;
SELECT right(organization_id::text, 4) AS organization, sequence, event_type, payload FROM spine.entity_history('person', :'E');
SELECT h = e AS same FROM spine.entity_history('contract', :'E') h JOIN spine.events e USING (id);
SELECT count(*) FROM spine.entity_history('person', :'A');
SELECT count(*) FROM spine.entity_history(NULL, :'E');
SET ROLE spine_replayer;
SELECT right(organization_id::text, 4) AS organization, sequence, event_type FROM spine.entity_history('person', :'E');
RESET ROLE;

-- The row as it was, of what captured tables emit: moments between the events.
\set E '00000000-0000-4000-8000-0000000f10e2'
CREATE TABLE moments (name text PRIMARY KEY, at timestamptz);
CREATE SCHEMA hr;
CREATE TABLE hr.person (id uuid, organization_id uuid, name text);
SELECT spine.capture_changes('hr.person', 'hr', 'person', 'id', 'organization_id');
CREATE FUNCTION moment(name text) RETURNS void LANGUAGE sql AS $$ SELECT spine.chain_pending(), pg_sleep(0.001); INSERT INTO moments VALUES (name, clock_timestamp()); SELECT pg_sleep(0.001) $$;
DO $$
DECLARE
  a uuid := '00000000-0000-4000-8000-0000000f1001';
  b uuid := '00000000-0000-4000-8000-0000000f1002';
BEGIN
  PERFORM moment('1 before');
  COMMIT;
  INSERT INTO hr.person VALUES ('00000000-0000-4000-8000-0000000f10e2', a, 'Ada');
  PERFORM moment('2 created');
  COMMIT;
  UPDATE hr.person SET name = 'Ada L.';
  PERFORM moment('3 updated');
  COMMIT;
  -- What an application emits of the same entity is none of the table's.
  PERFORM spine.emit_event('hr.person.updated', entity_id => '00000000-0000-4000-8000-0000000f10e2', organization_id => a, payload => '{"table": "hr.person", "after": {"name": "?"}}');
  PERFORM spine.emit_event('hr.person.praised', entity_id => '00000000-0000-4000-8000-0000000f10e2', organization_id => a, payload => '{"table": "hr.person", "after": {"name": "?"}}');
  PERFORM moment('4 not captured');
  COMMIT;
  -- To another organization.
  UPDATE hr.person SET organization_id = b;
  PERFORM moment('5 deleted in A');
  COMMIT;
  UPDATE hr.person SET name = 'Ada K.';
  PERFORM moment('6 updated in B');
  COMMIT;
  DELETE FROM hr.person;
  PERFORM moment('7 deleted');
  COMMIT;
  INSERT INTO hr.person VALUES ('00000000-0000-4000-8000-0000000f10e2', b, 'Ada again');
  PERFORM moment('8 created again');
  COMMIT;
END $$;
SELECT name, spine.entity_as_of('person', :'E', at) FROM moments ORDER BY name;
SELECT spine.entity_as_of('person', :'E', 'infinity'), spine.entity_as_of('person', :'E', '-infinity'), spine.entity_as_of('contract', :'E', 'infinity'), spine.entity_as_of('person', :'A', 'infinity');
-- At the very moment of an event it has happened.
SELECT action, spine.entity_as_of('person', :'E', "timestamp") AS row FROM spine.events WHERE entity_id = :'E' AND payload ? 'table' AND organization_id = :'B' ORDER BY sequence;
SET ROLE spine_replayer;
SELECT spine.entity_as_of('person', :'E', 'infinity');
RESET ROLE;
SELECT at AS then FROM moments WHERE name = '3 updated' \gset
SET ROLE spine_replayer;
SELECT spine.entity_as_of('person', :'E', :'then');
RESET ROLE;

-- Moved within one moment: whichever the sequences, the row is there. And the order in one chain holds within a moment.
CREATE FUNCTION at_one_moment(first_organization uuid, first_action text, second_organization uuid, second_action text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  entity uuid := gen_random_uuid();
BEGIN
  PERFORM spine.emit_event('hr.person.' || first_action, entity_id => entity, organization_id => first_organization, payload => '{"table": "t", "before": {"n": 2}, "after": {"n": 2}}');
  PERFORM spine.emit_event('hr.person.' || second_action, entity_id => entity, organization_id => second_organization, payload => '{"table": "t", "before": {"n": 2}, "after": {"n": 2}}');
  UPDATE spine.events SET "timestamp" = '2030-01-01', payload = payload || '{"spine_capture": 1}' WHERE entity_id = entity;
  RETURN spine.entity_as_of('person', entity, '2030-01-01');
END $$;
CALL guard_off();
ALTER TABLE spine.events DISABLE TRIGGER refuse_change, DISABLE TRIGGER refuse_row_change;
BEGIN;
SELECT at_one_moment(:'A', 'deleted', :'B', 'created') AS a_to_b, at_one_moment(:'B', 'deleted', :'A', 'created') AS b_to_a,
       at_one_moment(:'B', 'created', :'A', 'deleted') AS created_first, at_one_moment(:'A', 'created', :'B', 'deleted') AS the_other_way,
       at_one_moment(:'A', 'created', :'A', 'deleted') AS deleted, at_one_moment(:'A', 'deleted', :'A', 'created') AS created;
ROLLBACK;
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event, ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change;
CALL guard_on();

-- Doubt: an error that says why. Of two domains, of two organizations, created while it was there, changed without an event.
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000f1001';
CREATE TABLE hr.paper (id int, n int);
CREATE TABLE hr.leaf (id int, n int);
SELECT spine.capture_changes('hr.paper', 'hr', 'paper', 'id'), spine.capture_changes('hr.leaf', 'tree', 'paper', 'id');
CREATE FUNCTION paper(id text, moment timestamptz DEFAULT 'infinity', type text DEFAULT 'paper') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN spine.entity_as_of(type, spine.entity_uuid('hr', 'paper', id), moment);
EXCEPTION WHEN sqlstate 'SP061' OR sqlstate 'SP062' THEN
  RETURN concat_ws(' ', SQLSTATE, regexp_replace(SQLERRM, 'event \d+', 'event N', 'g'));
END $$;
CREATE TABLE hr.same (id uuid, n int);
SELECT spine.capture_changes('hr.same', 'tree', 'person', 'id');
INSERT INTO hr.same VALUES (:'E', 7);
\set VERBOSITY default
SELECT spine.entity_as_of('person', :'E', 'infinity');
\set VERBOSITY terse
SELECT spine.entity_as_of('hr.person', :'E', 'infinity') AS hr, spine.entity_as_of('tree.person', :'E', 'infinity') AS tree;
SELECT array_agg(domain) FROM spine.entity_history('tree.person', :'E');
INSERT INTO hr.paper VALUES (1, 1), (2, 1), (3, 1), (4, 1);
-- Nobody else can say that it is capture's.
SELECT spine.emit_event('hr.paper.updated', entity_id => spine.entity_uuid('hr', 'paper', '1'), payload => '{"spine_capture": 1, "after": {"n": 9}}');
\echo :SQLSTATE
SELECT spine.emit_event('hr.paper.updated', entity_id => spine.entity_uuid('hr', 'paper', '1'), payload => '{"table": "hr.paper", "before": {"n": 1}, "after": {"n": 9}}') IS NOT NULL AS emitted;
INSERT INTO spine.events (event_type, entity_id, payload) VALUES ('hr.paper.updated', spine.entity_uuid('hr', 'paper', '1'), '{"spine_capture": null}');
\echo :SQLSTATE
SELECT paper('1');
-- Another organization has a row of that id.
BEGIN; SET LOCAL people_os_spine.organization_id = '00000000-0000-4000-8000-0000000f1002'; INSERT INTO hr.paper VALUES (1, 2); COMMIT;
SELECT paper('1');
-- Triggers did not run for a while.
ALTER TABLE hr.paper DISABLE TRIGGER spine_capture_update, DISABLE TRIGGER spine_capture_delete;
UPDATE hr.paper SET n = 5 WHERE id = 2;
DELETE FROM hr.paper WHERE id = 3;
ALTER TABLE hr.paper ENABLE TRIGGER spine_capture_update, ENABLE TRIGGER spine_capture_delete;
SELECT pg_sleep(0.001);
SELECT clock_timestamp() AS then \gset
SELECT pg_sleep(0.001);
UPDATE hr.paper SET n = 6 WHERE id = 2;
INSERT INTO hr.paper VALUES (3, 3);
SELECT paper('2', :'then') AS before_2, paper('2') AS since_2, paper('3', :'then') AS before_3, paper('3') AS since_3;
-- A column that comes or goes is no doubt.
ALTER TABLE hr.paper ADD COLUMN m int DEFAULT 4, ADD COLUMN bulk text;
UPDATE hr.paper SET n = 2 WHERE id = 4;
SELECT paper('4', :'then') AS before_4, paper('4') AS since_4;
-- What no event could hold.
UPDATE hr.paper SET bulk = repeat('x', 1100000) WHERE id = 4;
SELECT paper('4');
UPDATE hr.paper SET bulk = NULL WHERE id = 4;
SELECT paper('4');
-- Partitions that were detached and attached.
CREATE TABLE hr.tree (id int, part int) PARTITION BY LIST (part);
CREATE TABLE hr.tree1 PARTITION OF hr.tree FOR VALUES IN (1);
CREATE TABLE hr.tree2 PARTITION OF hr.tree FOR VALUES IN (2);
SELECT spine.capture_changes('hr.tree', 'hr', 'tree', 'id');
INSERT INTO hr.tree VALUES (1, 1), (2, 1);
ALTER TABLE hr.tree DETACH PARTITION hr.tree1;
INSERT INTO hr.tree SELECT id, 2 FROM hr.tree1 WHERE id = 1;
DELETE FROM hr.tree1;
ALTER TABLE hr.tree ATTACH PARTITION hr.tree1 FOR VALUES IN (1);
SELECT spine.entity_as_of('tree', spine.entity_uuid('hr', 'tree', '2'), 'infinity') AS gone;
SELECT spine.entity_as_of('tree', spine.entity_uuid('hr', 'tree', '1'), 'infinity') AS in_two_tables;
\echo :SQLSTATE
-- A type that would make the rows other entities.
ALTER TABLE hr.paper ALTER id TYPE text;
\echo :SQLSTATE
ALTER TABLE hr.person ALTER name TYPE varchar, ALTER organization_id TYPE text;
\echo :SQLSTATE
RESET people_os_spine.organization_id;

SELECT spine.revoke_all('spine_replayer');
DROP OWNED BY spine_replayer;
DROP ROLE spine_replayer;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP TABLE replayed CASCADE;
DROP AGGREGATE agg(spine.events);
DROP PROCEDURE proc(spine.events), catch_up;
DROP FUNCTION keep, see, payload_of, echo, wait, two, many, variadic_one, other, stumble, context_of, moment, at_one_moment, replayed;
DROP TABLE seen, places, moments;
DROP FUNCTION paper;
DROP SCHEMA hr CASCADE;
SELECT count(spine.forget_watch(kind, table_name)) AS forgotten FROM spine.watches WHERE to_regclass(table_name) IS NULL;
DELETE FROM spine.event_types WHERE NOT built_in;
