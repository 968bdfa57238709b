-- What captured events say of rows: values that no event can hold, what is a change, what is hidden, and in which order.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000cb001';
CREATE SCHEMA captured_rows;
SET search_path = captured_rows;
-- What was emitted since the last look, short.
CREATE TABLE looked (sequence bigint);
INSERT INTO looked VALUES (0);
CREATE FUNCTION clipped(j jsonb) RETURNS text LANGUAGE sql AS $$ SELECT CASE WHEN length(j::text) < 1000 THEN regexp_replace(j::text, '("sha256": "........)[0-9a-f]*', '\1', 'g') ELSE left(j::text, 40) || '… ' || length(j::text) END $$;
CREATE FUNCTION new() RETURNS TABLE (action text, key text, before text, after text, changed jsonb, omitted text) LANGUAGE sql AS $$
  WITH seen AS (UPDATE looked l SET sequence = (SELECT max(e.sequence) FROM spine.events e WHERE e.organization_id = '00000000-0000-4000-8000-0000000cb001') FROM looked o RETURNING o.sequence)
  SELECT e.action, coalesce(e.payload->'after'->>'id', e.payload->'before'->>'id'), clipped((e.payload->'before') - 'id'), clipped((e.payload->'after') - 'id'), e.payload->'changed', clipped(e.payload->'omitted')
    FROM seen, spine.events e WHERE e.organization_id = '00000000-0000-4000-8000-0000000cb001' AND e.sequence > seen.sequence ORDER BY e.sequence $$;

-- Values that no event can hold: the row can be written, changed and deleted, and the event tells of them.
CREATE TYPE pair AS (a json, b numeric);
CREATE TABLE odd (id int PRIMARY KEY, n int, v text, CHECK (v IS NOT NULL));
CREATE FUNCTION odd(type text, VARIADIC literals text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  DROP TABLE odd;
  EXECUTE format('CREATE TABLE odd (id int PRIMARY KEY, n int, v %s)', type);
  PERFORM spine.capture_changes('odd', 'r', 'odd', 'id');
  FOR i IN 1 .. cardinality(literals) LOOP
    EXECUTE format('INSERT INTO odd VALUES (%s, 1, (%s)::%s)', i, literals[i], type);
    UPDATE odd SET n = 2 WHERE id = i;
    DELETE FROM odd WHERE id = i;
  END LOOP;
  PERFORM spine.chain_pending();
  RETURN QUERY SELECT concat_ws(' | ', w.action, coalesce(w.after, w.before), w.omitted) FROM new() w;
END $$;
SELECT odd('json', $$'{"a": "\u0000"}'$$, $$'"\ud800"'$$, $$'[1e200000]'$$, $$repeat('[', 7000) || repeat(']', 7000)$$, $$'{"fine": "\u00e9", "n": 1e30}'$$);
SELECT odd('jsonb', $$repeat('[', 126) || repeat(']', 126)$$, $$repeat('[', 127) || repeat(']', 127)$$, $$'{"n": 1e309}'$$, $$to_jsonb(repeat('x', 1100000))$$);
SELECT odd('numeric', $$'1e308'$$, $$'1e309'$$, $$'1e-325'$$, $$'NaN'$$, $$'-Infinity'$$);
SELECT odd('json[]', $$ARRAY['"\u0000"']$$, $$ARRAY['1', NULL]$$);
SELECT odd('pair', $$ROW('"\u0000"', 1)$$, $$ROW('1', 1e400)$$);
SELECT odd('text', $$repeat('x', 600000)$$, $$repeat('x', 1100000)$$, $$repeat(E'\x01', 300000)$$);
SELECT odd('bytea', $$decode(repeat('ab', 300000), 'hex')$$, $$decode(repeat('ab', 600000), 'hex')$$);
SELECT odd('xml', $$'<a>' || repeat('x', 1100000) || '</a>'$$);
-- The size and the digest are those of what was stored.
INSERT INTO odd VALUES (1, 1, xmlparse(content repeat('x', 1100000)));
SELECT payload->'omitted'->'after'->'v'->>'bytes' AS bytes, payload->'omitted'->'after'->'v'->>'sha256' = encode(sha256(convert_to(repeat('x', 1100000), 'UTF8')), 'hex') AS is_digest
  FROM spine.events WHERE event_type = 'r.odd.created' ORDER BY sequence DESC LIMIT 1;
SELECT count(*) FROM new();

-- Two images that are too large together; a large value that did not change stands once.
CREATE TABLE large (id int, a text, b text);
SELECT spine.capture_changes('large', 'r', 'large', 'id');
INSERT INTO large VALUES (1, repeat('a', 600000), repeat('b', 9000));
UPDATE large SET a = repeat('c', 600000);
UPDATE large SET b = 'b';
DELETE FROM large;
SELECT * FROM new();
-- More columns than an event can name, and the least that one can be.
SET people_os_spine.max_payload_size = 1024;
INSERT INTO large VALUES (2, repeat('a', 500), repeat('b', 500));
UPDATE large SET a = repeat('A', 900);
DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE wide (id int, ' || string_agg('column_of_a_table_' || i || ' int', ', ') || ')' FROM generate_series(1, 100) i); END $$;
SELECT spine.capture_changes('wide', 'r', 'wide', 'id');
INSERT INTO wide VALUES (1);
SELECT payload FROM spine.events WHERE event_type = 'r.wide.created';
RESET people_os_spine.max_payload_size;
SELECT * FROM new();

-- What is another value says something else: no event where the two say the same.
CREATE TABLE alike (id int, n numeric, f float8, j json, jb jsonb, a numeric[], m numeric, c char(4), iv interval, t text);
SELECT spine.capture_changes('alike', 'r', 'alike', 'id', mask => '{m}');
SELECT spine.require_events('alike', 'id', domain => 'r', entity_type => 'alike');
INSERT INTO alike VALUES (1, 60, 0, '{"a":1, "b": 1.0}', '{"n": 1.0}', '{1, 2}', 5, 'x', '1 day', 'x');
SELECT count(*) FROM new();
UPDATE alike SET n = 60.00, f = '-0', j = '{ "b":1,"a":1 }', jb = '{"n": 1.00}', a = '{1.0, 2.0}', m = 5.0, c = 'x  ', iv = '1 day';
SELECT count(*) FROM new();
UPDATE alike SET n = 61.0, f = 0;
UPDATE alike SET iv = '24 hours';
UPDATE alike SET m = 6;
UPDATE alike SET a = '{1}', t = 'X';
SELECT action, changed FROM new();
SELECT spine.stop_requiring_events('alike');

-- A generated column is treated as what it is made from.
CREATE TABLE made (id int, secret text, hidden text, shown text, of_secret text GENERATED ALWAYS AS (upper(secret)) STORED, of_hidden text GENERATED ALWAYS AS (hidden || shown) STORED,
  of_both text GENERATED ALWAYS AS (secret || hidden) STORED, of_shown text GENERATED ALWAYS AS (upper(shown)) STORED, key int GENERATED ALWAYS AS (length(hidden)) STORED);
SELECT spine.capture_changes('made', 'r', 'made', 'id', exclude => '{secret}', mask => '{hidden}');
SELECT spine.require_events('made', 'id', domain => 'r', entity_type => 'made');
INSERT INTO made VALUES (1, 'secret', 'hidden', 'shown');
UPDATE made SET secret = 'other';
UPDATE made SET hidden = 'covered';
SELECT action, before, after, changed FROM new();
SELECT spine.capture_changes('made', 'r', 'made', 'key', mask => '{hidden}');
SELECT spine.stop_requiring_events('made');

-- Whatever one statement did, the last event of each entity tells its state.
CREATE TABLE item (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, n int);
CREATE FUNCTION told() RETURNS TABLE (id int, event text, is_state boolean) LANGUAGE sql AS $$
  SELECT i, e.action, (SELECT to_jsonb(t) FROM item t WHERE t.id = i) IS NOT DISTINCT FROM spine.entity_as_of('item', spine.entity_uuid('r', 'item', i::text), 'infinity')
    FROM generate_series(1, 6) i LEFT JOIN LATERAL (SELECT action FROM spine.events WHERE event_type LIKE 'r.item.%' AND entity_id = spine.entity_uuid('r', 'item', i::text) ORDER BY sequence DESC LIMIT 1) e ON true ORDER BY i $$;
SELECT spine.capture_changes('item', 'r', 'item', 'id');
INSERT INTO item VALUES (1, 1), (2, 2);
UPDATE item SET id = 3 - id;
SELECT action, key, before, after FROM new();
SELECT * FROM told();
UPDATE item SET id = id + 1;
SELECT * FROM told();
WITH gone AS (DELETE FROM item WHERE id = 2) INSERT INTO item VALUES (2, 22), (1, 11);
SELECT * FROM told();
WITH gone AS (DELETE FROM item RETURNING id, n) INSERT INTO item SELECT id, n + 100 FROM gone;
SELECT * FROM told();
WITH gone AS (DELETE FROM item WHERE id = 1), more AS (INSERT INTO item VALUES (4, 4)) UPDATE item SET id = CASE id WHEN 2 THEN 1 ELSE 2 END WHERE id IN (2, 3);
SELECT * FROM told();
WITH more AS (UPDATE item SET id = 5 WHERE id = 4) INSERT INTO item VALUES (4, 44);
SELECT * FROM told();
MERGE INTO item i USING (VALUES (1, 'delete'), (2, 'update'), (6, 'insert')) v (n, what) ON i.id = v.n
  WHEN MATCHED AND what = 'delete' THEN DELETE WHEN MATCHED THEN UPDATE SET id = 1 WHEN NOT MATCHED THEN INSERT VALUES (2, 66);
SELECT * FROM told();
SELECT count(*) > 0 AS more FROM new();

-- A trigger that fires before capture's and writes the row again, and one that emits.
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE item SET n = n + 1 WHERE id = NEW.id AND n < 1003;
  RETURN NULL;
END $$;
CREATE TRIGGER again AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION again();
UPDATE item SET n = 1000;
DELETE FROM item WHERE id = 6;
INSERT INTO item VALUES (6, 1001);
SELECT action, key, before, after FROM new();
SELECT * FROM told();
-- COPY tells nobody when its triggers begin: the order is another, and who asks for the row hears so.
DELETE FROM item WHERE id = 6;
COPY item FROM stdin;
6	1001
\.
SELECT action, key, before, after FROM new();
SELECT * FROM told();
UPDATE item SET n = 2000 WHERE id = 6;
SELECT * FROM told();
DROP TRIGGER again ON item;
-- In one organization what the caller emits has its place among what is captured.
BEGIN;
UPDATE item SET n = 1 WHERE id = 1;
SELECT spine.emit_event('r.item.praised', entity_id => spine.entity_uuid('r', 'item', '1')) IS NOT NULL AS emitted;
UPDATE item SET n = 2 WHERE id = 1;
COMMIT;
SELECT action, key, before, after FROM new() OFFSET 2;
-- A large WITH: none of it is chained before all of it is placed.
WITH gone AS (DELETE FROM item RETURNING id) INSERT INTO item SELECT i, i FROM generate_series(1, 40000) i;
SELECT * FROM told();
WITH gone AS (DELETE FROM item WHERE id > 20000) INSERT INTO item SELECT i, -i FROM generate_series(20001, 40000) i;
SELECT count(*) AS wrong FROM (SELECT DISTINCT ON (entity_id) action FROM spine.events WHERE event_type LIKE 'r.item.%' AND (payload->'after'->>'n')::int < 0 OR action = 'deleted' AND event_type = 'r.item.deleted' AND (payload->'before'->>'id')::int > 20000
  ORDER BY entity_id, sequence DESC) e WHERE action = 'deleted';

SELECT bool_and(intact) AS intact FROM spine.verify_chain() WHERE organization_id = '00000000-0000-4000-8000-0000000cb001';
SET client_min_messages = warning;
DROP SCHEMA captured_rows CASCADE;
SELECT count(spine.forget_watch(kind, table_name)) AS forgotten FROM spine.watches WHERE to_regclass(table_name) IS NULL;
DELETE FROM spine.event_types WHERE NOT built_in;
