-- Capture: what a business table's changes become, in every way that rows change. They are chained at the commit, so what a
-- transaction is to see of them it chains before.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000ca001';
CREATE SCHEMA hr;
CREATE SCHEMA capture_test;
SET search_path = capture_test;
-- What this transaction emitted, in order.
CREATE VIEW emitted AS
  SELECT right(organization_id::text, 2) AS org, event_type, right(entity_id::text, 4) AS entity, payload - 'table' - 'spine_capture' AS payload
    FROM spine.events WHERE transaction_id = pg_current_xact_id_if_assigned() ORDER BY organization_id, sequence;
CREATE FUNCTION id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('00000000-0000-4000-8000-00000000' || lpad(n::text, 4, '0'))::uuid $$;
CREATE FUNCTION org(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('00000000-0000-4000-8000-0000000ca0' || lpad(n::text, 2, '0'))::uuid $$;
CREATE FUNCTION try(command text) RETURNS TABLE (code text, message text, hint text, context text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  code := 'none';
  RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  context := CASE WHEN context LIKE 'capture%' THEN split_part(context, E'\n', 1) END;
  message := regexp_replace(message, 'pg_temp_\d+', 'pg_temp_N');
  RETURN NEXT;
END
$$;
CREATE TABLE hr.employee (id uuid PRIMARY KEY, org uuid, name text, salary int, ssn text, secret text, gone int);
ALTER TABLE hr.employee DROP COLUMN gone;
SELECT spine.capture_changes('hr.employee', 'hcm', 'employee', 'id', 'org', exclude => '{secret}', mask => '{ssn}', severity => 'medium');
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'hr.employee'::regclass ORDER BY tgname;
-- The types of its events are registered, those that were not.
SELECT name, description, built_in FROM spine.event_types WHERE name LIKE 'hcm.employee.%' ORDER BY name;
SET people_os_spine.require_registered_types = on;

-- Each kind of change; what is excluded is absent, what is masked is not seen but counts; nothing where nothing changed.
BEGIN;
INSERT INTO hr.employee VALUES (id(1), org(2), 'Ada', 10, '123', 'x'), (id(2), NULL, 'Bob', NULL, NULL, 'y');
UPDATE hr.employee SET salary = 11 WHERE id = id(1);
UPDATE hr.employee SET salary = 11, name = 'Ada' WHERE id = id(1);
UPDATE hr.employee SET secret = 'z';
UPDATE hr.employee SET ssn = '124', name = upper(name) WHERE id = id(1);
UPDATE hr.employee SET salary = 1 WHERE false;
DELETE FROM hr.employee WHERE id = id(2);
SELECT spine.chain_pending() > 0 AS chained;
SELECT * FROM emitted;
SELECT DISTINCT severity, payload->>'table' AS "table" FROM spine.events WHERE transaction_id = pg_current_xact_id();
COMMIT;
-- One tenant's data never lands in another's chain, nor one entity's in another's history.
BEGIN;
UPDATE hr.employee SET org = org(3), salary = 12 WHERE id = id(1);
UPDATE hr.employee SET id = id(3);
UPDATE hr.employee SET org = NULL;
UPDATE hr.employee SET org = org(1);
SELECT spine.chain_pending() > 0 AS chained;
SELECT * FROM emitted;
COMMIT;

-- COPY, ON CONFLICT, MERGE, writable CTEs.
BEGIN;
COPY hr.employee FROM stdin;
00000000-0000-4000-8000-000000000011	\N	Copied	1	\N	\N
00000000-0000-4000-8000-000000000012	\N	Copied too	2	\N	\N
\.
INSERT INTO hr.employee (id, name) VALUES (id(11), 'Conflict'), (id(13), 'New') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
INSERT INTO hr.employee (id, name) VALUES (id(11), 'Nothing') ON CONFLICT (id) DO NOTHING;
MERGE INTO hr.employee e USING (VALUES (11), (12), (14)) v (n) ON e.id = id(v.n)
  WHEN MATCHED AND n = 11 THEN UPDATE SET name = 'Merged' WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, name) VALUES (id(n), 'Merged in');
WITH gone AS (DELETE FROM hr.employee WHERE id = id(13) RETURNING name), new AS (INSERT INTO hr.employee (id, name) SELECT id(15), name FROM gone)
  UPDATE hr.employee SET name = 'Beside' WHERE id = id(14);
SELECT spine.chain_pending() > 0 AS chained;
SELECT event_type, entity, payload->'before'->>'name' AS before, payload->'after'->>'name' AS after, payload->'changed' AS changed FROM emitted;
COMMIT;

-- A savepoint that is rolled back leaves nothing, and both chain_at modes say the same.
BEGIN;
SET LOCAL people_os_spine.chain_at = commit;
SAVEPOINT s;
UPDATE hr.employee SET salary = 77;
ROLLBACK TO s;
UPDATE hr.employee SET salary = 78 WHERE id = id(15);
SELECT count(*) FROM emitted;
SELECT spine.chain_pending();
SELECT event_type, entity, payload->'changed' AS changed FROM emitted;
COMMIT;

-- Foreign keys: what a cascade changes is captured, in the statement that caused it.
CREATE TABLE unit (id int PRIMARY KEY, parent int REFERENCES unit ON DELETE CASCADE);
CREATE TABLE member (id int PRIMARY KEY, unit int REFERENCES unit ON DELETE SET NULL ON UPDATE CASCADE);
SELECT spine.capture_changes('unit', 'hcm', 'unit', 'id'), spine.capture_changes('member', 'hcm', 'member', 'id');
INSERT INTO unit VALUES (1, NULL), (2, 1), (3, 2);
INSERT INTO member VALUES (1, 1), (2, 3);
BEGIN;
UPDATE unit SET id = 4 WHERE id = 3;
DELETE FROM unit WHERE id = 1;
SELECT spine.chain_pending() > 0 AS chained;
SELECT event_type, payload FROM emitted ORDER BY event_type, payload::text;
SELECT bool_and(entity_id = spine.entity_uuid('hcm', entity_type, coalesce(payload->'after', payload->'before')->>'id')) AS named_by_key
  FROM spine.events WHERE transaction_id = pg_current_xact_id();
COMMIT;

-- Triggers that change rows, generated columns, and columns that come later.
CREATE TABLE item (id int PRIMARY KEY, name text, loud text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := NEW.name || '!'; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION touch();
SELECT spine.capture_changes('item', 'shop', 'item', 'id');
BEGIN;
INSERT INTO item (id, name) VALUES (1, 'pen');
ALTER TABLE item ADD COLUMN price numeric NOT NULL DEFAULT 1.50;
UPDATE item SET name = 'pencil';
SELECT spine.chain_pending() > 0 AS chained;
SELECT payload FROM emitted;
COMMIT;

-- What an AFTER ROW trigger does to the same row comes before the statement that fired it, which ends later.
CREATE FUNCTION after_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE item SET price = 2 WHERE id = NEW.id; RETURN NULL; END $$;
CREATE TRIGGER after_row AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION after_row();
BEGIN;
INSERT INTO item (id, name, price) VALUES (3, 'ink', 1);
SELECT spine.chain_pending() > 0 AS chained;
SELECT event_type, payload->'after'->'price' AS price FROM emitted;
COMMIT;
DROP TRIGGER after_row ON item;

-- Values are as to_jsonb gives them, whatever the session's settings; a long value that is not touched is not changed.
CREATE TYPE mood AS ENUM ('fine');
CREATE DOMAIN posint AS int CHECK (value > 0);
CREATE TABLE kinds (key timestamptz, b bool, i2 int2, i8 int8, n numeric, nan numeric, f float8, f4 float4, t text, v varchar, c char(4), u uuid, d date, ts timestamp, tz timestamptz,
  iv interval, tt time, ttz timetz, by bytea, m money, e mood, p posint, a int[], at timestamptz[], r daterange, j json, jb jsonb, js jsonb, jn jsonb, reg regclass, x xml, ch "char",
  na name, ip inet, comp unit, long text);
ALTER TABLE kinds ALTER long SET STORAGE EXTERNAL;
SELECT spine.capture_changes('kinds', 'a', 'kinds', 'key');
INSERT INTO kinds VALUES ('2026-01-19 10:30:00.25+01', true, 1, 9007199254740993, 1.50, 'NaN', 0.1::float8 + 0.2, 1e-7, 'tée', 'v', 'c', id(1), '2026-01-19', 'infinity', '2026-01-19 10:30+01',
  '1 day 2 hours', '10:30', '10:30+01', '\x00ff', '12.34', 'fine', 5, '{1,NULL,3}', '{2026-01-19 10:30+01}', '[2026-01-19,2026-02-01)', '{"z": 1, "a": [1.0, null]}',
  '{"k": [1, {"l": "s"}]}', '"scalar"', 'null', 'unit', '<x/>', 'q', 'nm', '10.0.0.1', ROW(1, NULL), repeat('long', 10000));
SET TimeZone = 'America/New_York'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = -5; SET bytea_output = 'escape'; SET quote_all_identifiers = on;
UPDATE kinds SET i2 = 2;
SHOW TimeZone; SHOW quote_all_identifiers;
RESET TimeZone; RESET DateStyle; RESET IntervalStyle; RESET extra_float_digits; RESET bytea_output; RESET quote_all_identifiers;
SELECT action, jsonb_pretty((payload->'before') - 'long') AS before, payload->'changed' AS changed, payload->>'table' AS "table" FROM spine.events WHERE event_type = 'a.kinds.updated';
SELECT (c.payload->'after') - 'long' = u.payload->'before' AS same_in_both, length(u.payload->'after'->>'long') AS long, c.entity_id = u.entity_id AS same_entity
  FROM spine.events c, spine.events u WHERE c.event_type = 'a.kinds.created' AND u.event_type = 'a.kinds.updated';
SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET search_path = pg_catalog;
SELECT to_jsonb(k) = (SELECT payload->'after' FROM spine.events WHERE event_type = 'a.kinds.updated') AS as_to_jsonb FROM capture_test.kinds k;
RESET TimeZone; RESET DateStyle; RESET IntervalStyle; SET search_path = capture_test;

-- Partitions: directly and through the root, moved, made later, attached, detached.
CREATE TABLE part (region text, id int, note text) PARTITION BY LIST (region);
CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a');
CREATE TABLE part_b PARTITION OF part FOR VALUES IN ('b') PARTITION BY RANGE (id);
CREATE TABLE part_b1 PARTITION OF part_b FOR VALUES FROM (0) TO (100);
SELECT spine.capture_changes('part', 'p', 'part', 'id', exclude => '{note}');
CREATE TABLE part_b2 PARTITION OF part_b FOR VALUES FROM (100) TO (200);
CREATE TABLE apart (note text, id int, region text);
ALTER TABLE part ATTACH PARTITION apart FOR VALUES IN ('c');
CREATE SCHEMA capture_more CREATE TABLE part_d PARTITION OF capture_test.part FOR VALUES IN ('d');
BEGIN;
INSERT INTO part VALUES ('a', 1, 'n'), ('b', 2, 'n'), ('b', 102, 'n'), ('c', 3, 'n');
UPDATE part SET region = 'b' WHERE id = 1;
INSERT INTO part_b2 VALUES ('b', 103);
UPDATE apart SET id = 30, note = 'm';
UPDATE apart SET note = 'k';
DELETE FROM capture_more.part_d;
INSERT INTO capture_more.part_d VALUES ('d', 4);
MERGE INTO part p USING (VALUES (1)) v (n) ON p.id = v.n WHEN MATCHED AND n = 1 THEN UPDATE SET region = 'a' WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES ('a', n);
DELETE FROM part_b WHERE id = 2;
SELECT spine.chain_pending() > 0 AS chained;
SELECT event_type, payload FROM emitted;
SELECT DISTINCT payload->>'table' AS "table" FROM spine.events WHERE transaction_id = pg_current_xact_id();
COMMIT;
ALTER TABLE part DETACH PARTITION apart;
BEGIN;
INSERT INTO apart VALUES ('n', 31, 'c');
SELECT spine.chain_pending() > 0 AS chained;
SELECT payload->>'table' AS "table" FROM spine.events WHERE transaction_id = pg_current_xact_id();
COMMIT;
-- A further definition replaces the first, everywhere.
SELECT spine.capture_changes('part', 'p', 'part', 'id');
SELECT tgrelid::regclass, string_agg(convert_from(replace(encode(tgargs, 'escape'), '\000', ' ')::bytea, 'UTF8'), ', ' ORDER BY tgname) FILTER (WHERE tgname = 'spine_capture_update') AS arguments, count(*)
  FROM pg_trigger WHERE tgname LIKE 'spine_capture%' AND tgrelid::regclass::text LIKE '%part%' GROUP BY 1 ORDER BY 1::text;

-- Inheritance: as with partitions; a child's own columns show where it is written itself.
CREATE TABLE animal (id int, name text);
CREATE TABLE dog (barks bool) INHERITS (animal);
SELECT spine.capture_changes('animal', 'zoo', 'animal', 'id');
CREATE TABLE cat () INHERITS (animal);
CREATE TABLE cow (LIKE animal);
ALTER TABLE cow INHERIT animal;
BEGIN;
INSERT INTO dog VALUES (1, 'Rex', true);
INSERT INTO cat VALUES (2, 'Tom');
INSERT INTO cow VALUES (3, 'Moo');
UPDATE animal SET name = upper(name);
DELETE FROM ONLY animal;
SELECT spine.chain_pending() > 0 AS chained;
SELECT event_type, payload FROM emitted;
COMMIT;

-- Row security hides nothing from capture, and the writer needs no right on the spine.
CREATE ROLE capture_owner;
CREATE ROLE capture_writer;
GRANT USAGE, CREATE ON SCHEMA capture_test TO capture_owner;
GRANT USAGE ON SCHEMA capture_test TO capture_writer;
GRANT USAGE ON SCHEMA spine TO capture_owner;
GRANT EXECUTE ON FUNCTION spine.capture_changes, spine.stop_capture, spine.capture_change TO capture_owner;
SET ROLE capture_owner;
CREATE TABLE mine (id int, org uuid, who name DEFAULT current_user) PARTITION BY LIST (id);
CREATE TABLE mine_1 PARTITION OF mine FOR VALUES IN (1);
SELECT spine.capture_changes('mine', 'm', 'mine', 'id', 'org');
ALTER TABLE mine ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mine USING (false) WITH CHECK (true);
GRANT INSERT ON mine TO capture_writer;
RESET ROLE;
REVOKE ALL ON FUNCTION spine.capture_change FROM capture_owner;
REVOKE ALL ON SCHEMA spine FROM capture_owner;
-- Who may make a partition need no right on the spine.
SET ROLE capture_owner;
CREATE TABLE mine_2 PARTITION OF mine FOR VALUES IN (2);
SET ROLE capture_writer;
INSERT INTO mine VALUES (1, NULL), (2, org(5));
RESET ROLE;
INSERT INTO spine.role_bindings VALUES ('capture_writer', 'emit', org(5));
SET ROLE capture_writer;
INSERT INTO mine VALUES (2, org(5));
SELECT * FROM try('INSERT INTO mine VALUES (1, org(6))');
RESET ROLE;
SELECT right(organization_id::text, 2) AS org, event_type, payload->'after'->>'who' AS who FROM spine.events WHERE domain = 'm' ORDER BY organization_id, sequence;

-- A trigger of the name that runs another function captures nothing, nor has it anything captured.
SET ROLE capture_owner;
CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TABLE fake (id uuid, org uuid);
CREATE TRIGGER spine_capture_insert AFTER INSERT ON fake FOR EACH STATEMENT EXECUTE FUNCTION forge('platform', 'spine', 'id', 'org', 'critical');
CREATE TABLE fake_child () INHERITS (fake);
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'fake_child'::regclass;
-- Nor has one beside the spine's own, renamed: that one counts.
ALTER TRIGGER spine_capture_insert ON mine RENAME TO zz;
CREATE TRIGGER spine_capture_insert AFTER INSERT ON mine FOR EACH STATEMENT EXECUTE FUNCTION forge('platform', 'spine', 'id', '', 'critical');
CREATE TABLE mine_3 PARTITION OF mine FOR VALUES IN (3);
RESET ROLE;
CREATE VIEW triggers AS
  SELECT tgrelid::regclass AS "table", tgname, tgfoid::regproc AS function, tgenabled, convert_from(replace(encode(tgargs, 'escape'), '\000', ' ')::bytea, 'UTF8') AS arguments FROM pg_trigger;
SELECT * FROM triggers WHERE "table" IN ('mine'::regclass, 'mine_3'::regclass) ORDER BY 1, 2;
-- Captured anew, it has no event twice.
SELECT spine.capture_changes('mine', 'm', 'mine', 'id', 'org', severity => 'high');
SELECT * FROM triggers WHERE "table" = 'mine'::regclass ORDER BY 1, 2;

-- Other changes of tables are not followed, so what is said of a trigger stays.
ALTER TABLE part_a ENABLE ALWAYS TRIGGER spine_capture_insert;
DROP TRIGGER spine_capture_insert ON mine;
ALTER TABLE mine_3 ALTER who SET DEFAULT 'nobody';
SELECT tgname, tgenabled FROM triggers WHERE "table" = 'part_a'::regclass ORDER BY 1;
-- A detached partition without all of its triggers, and a trigger that somebody attached.
CREATE TABLE part_e PARTITION OF part FOR VALUES IN ('e');
ALTER TABLE part DETACH PARTITION part_e;
DROP TRIGGER spine_capture_insert ON part_e;
CREATE TABLE by_hand (id int);
CREATE TRIGGER by_hand AFTER INSERT ON by_hand REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change('p', 'part', 'id', '', 'low', 'inherited');
INSERT INTO part_e VALUES ('e', 1);
BEGIN;
UPDATE part_e SET id = 2;
INSERT INTO by_hand VALUES (1);
SELECT spine.chain_pending() > 0 AS chained;
SELECT event_type, payload->'table' AS "table" FROM spine.events WHERE transaction_id = pg_current_xact_id() ORDER BY organization_id, sequence;
COMMIT;
-- Names that are the mark's.
CREATE TABLE heir (inherited int);
SELECT spine.capture_changes('heir', 'inherited', 'inherited', 'inherited');
CREATE TABLE heir_child () INHERITS (heir);
SELECT * FROM triggers WHERE "table" IN ('heir'::regclass, 'heir_child'::regclass) AND tgname = 'spine_capture_insert' ORDER BY 1;
BEGIN;
INSERT INTO heir_child VALUES (1);
SELECT spine.chain_pending() > 0 AS chained;
SELECT event_type, payload FROM emitted;
COMMIT;

-- What is refused. A column that is gone is never silently unmasked.
\pset format unaligned
\pset expanded on
SELECT * FROM try($$TRUNCATE hr.employee$$);
SELECT * FROM try($$TRUNCATE part$$);
SELECT * FROM try($$TRUNCATE part_b2$$);
-- Nor is one shown because it is renamed and another has its name.
SELECT * FROM try($$ALTER TABLE hr.employee RENAME ssn TO social$$);
SELECT * FROM try($$ALTER TABLE hr.employee RENAME secret TO open$$);
SELECT * FROM try($$ALTER TABLE hr.employee RENAME org TO unit$$);
SELECT * FROM try($$ALTER TABLE part RENAME id TO key$$);
SELECT * FROM try($$ALTER FOREIGN TABLE hr.employee RENAME ssn TO social$$);
SELECT * FROM try($$ALTER VIEW hr.employee RENAME ssn TO social$$);
SELECT * FROM try($$ALTER MATERIALIZED VIEW hr.employee RENAME ssn TO social$$);
CREATE TYPE form AS (id int, tax text);
CREATE TABLE typed OF form;
SELECT spine.capture_changes('typed', 'a', 'typed', 'id', mask => '{tax}');
SELECT * FROM try($$ALTER TYPE form RENAME ATTRIBUTE tax TO tax_old CASCADE$$);
ALTER TABLE hr.employee RENAME salary TO pay;
BEGIN;
SELECT spine.stop_capture('hr.employee');
ALTER TABLE hr.employee RENAME ssn TO social;
SELECT spine.capture_changes('hr.employee', 'hcm', 'employee', 'id', 'org', mask => '{social}', exclude => '{secret}');
COMMIT;
ALTER TABLE hr.employee DROP COLUMN secret;
SELECT * FROM try($$DELETE FROM hr.employee$$);
SELECT * FROM try($$DELETE FROM hr.employee WHERE false$$);
SELECT * FROM try($$SELECT spine.capture_changes('hr.employee', 'hcm', 'employee', 'id', 'org', mask => '{social}')$$);
SELECT * FROM try($$UPDATE hr.employee SET pay = 1$$);
SELECT * FROM try($$SELECT spine.stop_capture('hr.employee')$$);
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'hr.employee'::regclass;
SELECT * FROM try($$TRUNCATE hr.employee$$);
SELECT * FROM try($$SELECT spine.stop_capture('hr.employee')$$);
SELECT * FROM try($$INSERT INTO animal VALUES (NULL, 'nobody')$$);
CREATE VIEW a_view AS SELECT 1 AS id;
CREATE TEMP TABLE a_temp (id int);
CREATE UNLOGGED TABLE an_unlogged (id int);
SELECT * FROM try($$SELECT spine.capture_changes('a_view', 'a', 'b', 'id')$$);
SELECT * FROM try($$SELECT spine.capture_changes('a_temp', 'a', 'b', 'id')$$);
SELECT * FROM try($$SELECT spine.capture_changes('an_unlogged', 'a', 'b', 'id')$$);
SELECT * FROM try($$SELECT spine.capture_changes('spine.role_bindings', 'a', 'b', 'role')$$);
SELECT * FROM try($$SELECT spine.capture_changes('part_a', 'a', 'b', 'id')$$);
SELECT * FROM try($$SELECT spine.stop_capture('part_a')$$);
SELECT * FROM try($$SELECT spine.capture_changes('item', 'a', 'b', 'missing')$$);
SELECT * FROM try($$SELECT spine.capture_changes('item', 'a', 'b', NULL)$$);
SELECT * FROM try($$SELECT spine.capture_changes('item', 'a', 'b', 'ctid')$$);
SELECT * FROM try($$SELECT spine.capture_changes('item', 'a', 'b', 'id', 'name')$$);
SELECT * FROM try($$SELECT spine.capture_changes('item', 'a', 'b', 'id', exclude => '{missing}')$$);
SELECT * FROM try($$SELECT spine.capture_changes('item', 'a', 'b', 'id', mask => '{name,id}')$$);
SELECT * FROM try($$SELECT spine.capture_changes('item', 'A', 'b', 'id')$$);
SELECT * FROM try($$SELECT spine.capture_changes('item', 'a', NULL, 'id')$$);
SELECT * FROM try($$SELECT spine.capture_changes(NULL, 'a', 'b', 'id')$$);
GRANT USAGE ON SCHEMA spine TO capture_owner;
SET ROLE capture_owner;
SELECT * FROM try($$SELECT spine.capture_changes('item', 'a', 'b', 'id')$$);
SELECT * FROM try($$SELECT spine.capture_changes('mine', 'a', 'b', 'id')$$);
RESET ROLE;
-- A table that is captured does not come under one that is not, and not under two that are.
CREATE TABLE root (LIKE apart) PARTITION BY LIST (region);
SELECT * FROM try($$ALTER TABLE root ATTACH PARTITION apart FOR VALUES IN ('c')$$);
CREATE TABLE plant (id int);
SELECT spine.capture_changes('plant', 'a', 'plant', 'id');
SELECT * FROM try($$CREATE TABLE twin () INHERITS (animal, plant)$$);
CREATE FOREIGN DATA WRAPPER capture_wrapper;
CREATE SERVER capture_server FOREIGN DATA WRAPPER capture_wrapper;
SELECT * FROM try($$CREATE FOREIGN TABLE far PARTITION OF part FOR VALUES IN ('f') SERVER capture_server$$);
CREATE FOREIGN TABLE abroad (id int) SERVER capture_server;
SELECT * FROM try($$ALTER FOREIGN TABLE abroad INHERIT plant$$);
SELECT * FROM try($$ALTER TABLE abroad INHERIT plant$$);
SELECT * FROM try($$CREATE TEMP TABLE seedling () INHERITS (plant)$$);
SELECT * FROM try($$CREATE UNLOGGED TABLE seedling () INHERITS (plant)$$);
-- A read-only transaction writes to temporary tables, and emits nothing.
CREATE TRIGGER by_hand AFTER INSERT ON a_temp REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change('p', 'part', 'id', '', 'low');
BEGIN READ ONLY;
SELECT * FROM try($$INSERT INTO a_temp VALUES (1)$$);
COMMIT;
SELECT * FROM try($$SELECT spine.follow_partitions()$$);
SELECT * FROM try($$SELECT spine.capture_change()$$);
CREATE TRIGGER wrong AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION spine.capture_change();
SELECT * FROM try($$INSERT INTO item VALUES (2, 'x')$$);
DROP TRIGGER wrong ON item;
CREATE TRIGGER wrong AFTER INSERT ON item REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change();
SELECT * FROM try($$INSERT INTO item VALUES (2, 'x')$$);
DROP TRIGGER wrong ON item;
-- A MERGE that moves rows shows triggers the row only where it also inserts and deletes.
SELECT * FROM try($$MERGE INTO part p USING (VALUES (1)) v (n) ON p.id = v.n WHEN MATCHED THEN UPDATE SET region = 'b'$$);
SELECT * FROM try($$MERGE INTO part p USING (VALUES (1)) v (n) ON p.id = v.n WHEN MATCHED THEN UPDATE SET id = n WHEN NOT MATCHED THEN INSERT VALUES ('a', n)$$);
SELECT * FROM try($$MERGE INTO part p USING (VALUES (1)) v (n) ON p.id = v.n WHEN MATCHED THEN UPDATE SET note = 'merged' WHEN NOT MATCHED THEN INSERT VALUES ('a', n)$$);
-- A trigger may move it, too.
CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.region := 'a'; RETURN NEW; END $$;
CREATE TRIGGER move BEFORE UPDATE ON part_b1 FOR EACH ROW EXECUTE FUNCTION move();
SELECT * FROM try($$MERGE INTO part p USING (VALUES (1)) v (n) ON p.id = v.n WHEN MATCHED THEN UPDATE SET note = 'merged'$$);
DROP TRIGGER move ON part_b1;
-- A row that is moved to where it is not taken.
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER swallow BEFORE INSERT ON part_a FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT * FROM try($$UPDATE part SET region = 'a' WHERE region = 'b'$$);

\pset expanded off
\pset format aligned
SELECT count(*) AS not_intact FROM spine.verify_chain() WHERE NOT intact;
DELETE FROM spine.role_bindings WHERE role = 'capture_writer'::regrole;
SET client_min_messages = warning;
DROP SCHEMA capture_test, capture_more, hr CASCADE;
DROP SERVER capture_server;
DROP FOREIGN DATA WRAPPER capture_wrapper;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA spine FROM capture_owner;
REVOKE ALL ON SCHEMA spine FROM capture_owner;
DROP ROLE capture_owner, capture_writer;
DELETE FROM spine.event_types WHERE NOT built_in;
-- What is gone with the schemas is told until it is forgotten.
SELECT count(spine.forget_watch(kind, table_name)) > 0 AS forgotten FROM spine.watches WHERE to_regclass(table_name) IS NULL;
SELECT count(*) AS watches FROM spine.watches;
