-- Direct INSERTs are chained by the trigger; others' triggers, rules, columns and constraints.
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000e3001';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
\set E 'spine.entity_uuid(''a'', ''b'', ''1'')'

INSERT INTO spine.events (event_type, entity_id) VALUES ('a.b.one', :E), ('a.b.two', :E);
INSERT INTO spine.events (event_type, entity_id, severity, payload, domain, entity_type, action)
  SELECT 'a.b.three', :E, 'high', jsonb_build_object('i', i), 'a', 'b', 'three' FROM generate_series(1, 3) i;
COPY spine.events (event_type, entity_id, payload) FROM stdin;
a.b.copied	00000000-0000-4000-8000-0000000000e1	{"n": 1}
a.b.copied	00000000-0000-4000-8000-0000000000e1	{"n": 2}
\.
BEGIN;
SELECT spine.emit_event('a.b.emitted', entity_id => :E) IS NOT NULL AS emitted;
INSERT INTO spine.events (event_type, entity_id) VALUES ('a.b.between', :E);
SELECT spine.emit_event('a.b.emitted', entity_id => :E) IS NOT NULL AS emitted;
INSERT INTO spine.events (event_type, entity_id) VALUES ('a.b.nothing', :E) ON CONFLICT DO NOTHING;
COMMIT;
SELECT sequence, action, severity, payload FROM spine.events WHERE organization_id = current_setting('people_os_spine.organization_id')::uuid ORDER BY 1;
SELECT intact, events FROM spine.verify_chain(current_setting('people_os_spine.organization_id')::uuid);

-- Rows that ON CONFLICT leaves out leave no gap, also in the middle of a statement.
BEGIN;
SET LOCAL people_os_spine.unguard = 'a test';
CREATE UNIQUE INDEX direct_once ON spine.events_default ((payload ->> 'key')) WHERE payload ? 'key';
INSERT INTO spine.events (event_type, entity_id, payload)
  SELECT 'a.b.once', :E, jsonb_build_object('key', k) FROM unnest(ARRAY[1, 1, 2, 1, 3, 3]) k ON CONFLICT DO NOTHING;
SELECT sequence - min(sequence) OVER () AS distance, payload FROM spine.events WHERE action = 'once' ORDER BY sequence;
SELECT intact, events FROM spine.verify_chain(current_setting('people_os_spine.organization_id')::uuid);
ROLLBACK;

-- What the spine gives cannot be set, one column or several, unless the row is complete (a backup's).
INSERT INTO spine.events (event_type, entity_id, id) VALUES ('a.b.c', :E, gen_random_uuid());
INSERT INTO spine.events (event_type, entity_id, "timestamp") VALUES ('a.b.c', :E, now());
INSERT INTO spine.events (event_type, entity_id, sequence) VALUES ('a.b.c', :E, 9);
INSERT INTO spine.events (event_type, entity_id, transaction_id) VALUES ('a.b.c', :E, '9');
INSERT INTO spine.events (event_type, entity_id, recorded_by) VALUES ('a.b.c', :E, 'nobody');
INSERT INTO spine.events (event_type, entity_id, previous_hash) VALUES ('a.b.c', :E, decode(repeat('00', 32), 'hex'));
INSERT INTO spine.events (event_type, entity_id, event_hash) VALUES ('a.b.c', :E, decode(repeat('00', 32), 'hex'));

-- A restored row is stored as it is; one that does not reproduce its hash with a warning.
CREATE TEMP TABLE backup AS SELECT * FROM spine.events WHERE organization_id = current_setting('people_os_spine.organization_id')::uuid AND sequence = 3;
UPDATE backup SET organization_id = '00000000-0000-4000-8000-0000000e3002', sequence = 1, id = '00000000-0000-7000-8000-000000000301',
  previous_hash = decode(repeat('00', 32), 'hex'), payload = '{"n": 1e999}';
INSERT INTO spine.events SELECT * FROM backup;
UPDATE backup SET sequence = 2, id = '00000000-0000-7000-8000-000000000302', payload = '{}',
  previous_hash = (SELECT event_hash FROM spine.events WHERE id = '00000000-0000-7000-8000-000000000301');
UPDATE backup b SET event_hash = spine.event_digest(ROW(b.*)::spine.events);
BEGIN;
INSERT INTO spine.events SELECT * FROM backup;
-- What follows a restored row links to it, in the same transaction too.
SELECT spine.emit_event('a.b.after', entity_id => :E, organization_id => '00000000-0000-4000-8000-0000000e3002') IS NOT NULL AS emitted;
COMMIT;
SELECT intact, events, faults, first_fault_sequence, first_fault FROM spine.verify_chain('00000000-0000-4000-8000-0000000e3002');
SELECT sequence, fault, event_id FROM spine.find_chain_faults('00000000-0000-4000-8000-0000000e3002');

-- A trigger that runs before the chaining may complete the event: what it says is hashed.
CREATE FUNCTION direct_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.payload := coalesce(NEW.payload, '{}') || '{"noted": true}'; RETURN NEW; END $$;
CREATE FUNCTION direct_swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION direct_forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.sequence := 77; RETURN NEW; END $$;
CREATE FUNCTION direct_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '% % %: %', TG_WHEN, TG_LEVEL, TG_OP, CASE WHEN TG_LEVEL = 'ROW' THEN (to_jsonb(NEW)->>'sequence') ELSE '-' END;
  RETURN NEW;
END $$;
CREATE FUNCTION direct_count() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% new', (SELECT count(*) FROM new_rows); RETURN NULL; END $$;

CALL guard_off();
BEGIN;
CREATE TRIGGER note BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION direct_note();
CREATE TRIGGER log_before BEFORE INSERT ON spine.events FOR EACH STATEMENT EXECUTE FUNCTION direct_log();
CREATE TRIGGER log_after AFTER INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION direct_log();
CREATE TRIGGER log_after_all AFTER INSERT ON spine.events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION direct_count();
CREATE CONSTRAINT TRIGGER log_deferred AFTER INSERT ON spine.events DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION direct_log();
SELECT spine.emit_event('a.b.noted', entity_id => :E) IS NOT NULL AS emitted;
INSERT INTO spine.events (event_type, entity_id) VALUES ('a.b.noted', :E);
SELECT count(*) FROM spine.emit_events('[{"event_type": "a.b.noted", "entity_id": "00000000-0000-4000-8000-0000000000e1"}, {"event_type": "a.b.noted", "entity_id": "00000000-0000-4000-8000-0000000000e1"}]');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT payload, event_hash = spine.event_digest(e) AS hashed FROM spine.events e WHERE action = 'noted' ORDER BY sequence;
ROLLBACK;

-- One that would swallow or forge it is an error in the emitter.
BEGIN;
CREATE TRIGGER swallow BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION direct_swallow();
SAVEPOINT s;
SELECT spine.emit_event('a.b.c', entity_id => :E);
ROLLBACK TO s;
SELECT spine.emit_events('[{"event_type": "a.b.c", "entity_id": "00000000-0000-4000-8000-0000000000e1"}]');
ROLLBACK;
BEGIN;
CREATE TRIGGER forge BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION direct_forge();
SELECT spine.emit_event('a.b.c', entity_id => :E);
ROLLBACK;
BEGIN;
CREATE TRIGGER zzz_swallow BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION direct_swallow();
SAVEPOINT s;
SELECT spine.emit_event('a.b.c', entity_id => :E);
ROLLBACK TO s;
INSERT INTO spine.events (event_type, entity_id) VALUES ('a.b.c', :E);
ROLLBACK;
-- A rule does not reach emit_event.
BEGIN;
CREATE RULE nothing AS ON INSERT TO spine.events DO INSTEAD NOTHING;
SELECT spine.emit_event('a.b.ruled', entity_id => :E) IS NOT NULL AS emitted;
SELECT count(*) FROM spine.events WHERE action = 'ruled';
ROLLBACK;

-- Columns that others add are filled and not hashed; their constraints count.
BEGIN;
ALTER TABLE spine.events ADD COLUMN tag text DEFAULT 'new', ADD COLUMN number bigint DEFAULT 7,
  ADD COLUMN doubled bigint GENERATED ALWAYS AS (sequence * 2) STORED, ADD COLUMN gone int DEFAULT 3;
ALTER TABLE spine.events DROP COLUMN gone;
SELECT spine.emit_event('a.b.tagged', entity_id => :E) IS NOT NULL AS emitted;
INSERT INTO spine.events (event_type, entity_id, tag) VALUES ('a.b.tagged', :E, 'mine');
SELECT tag, number, doubled = sequence * 2 AS doubled, event_hash = spine.event_digest(e) AS hashed FROM spine.events e WHERE action = 'tagged' ORDER BY sequence;
SELECT intact FROM spine.verify_chain(current_setting('people_os_spine.organization_id')::uuid);
ALTER TABLE spine.events ADD CONSTRAINT no_x CHECK (action <> 'x');
SAVEPOINT s;
\set VERBOSITY terse
SELECT spine.emit_event('a.b.x', entity_id => :E);
ROLLBACK TO s;
ALTER TABLE spine.events ALTER tag SET NOT NULL, ALTER tag DROP DEFAULT;
SELECT spine.emit_event('a.b.c', entity_id => :E);
ROLLBACK;
BEGIN;
CREATE DOMAIN direct_required AS int CHECK (VALUE IS NOT NULL);
ALTER TABLE spine.events ADD COLUMN required direct_required DEFAULT 1;
ALTER TABLE spine.events ALTER required DROP DEFAULT;
SELECT spine.emit_event('a.b.c', entity_id => :E);
ROLLBACK;
\set VERBOSITY default

-- A table of the user's own, and a partitioned one, whose chain runs through all partitions.
CREATE TABLE direct_own (LIKE spine.events INCLUDING ALL);
CREATE TRIGGER zz_chain_event BEFORE INSERT ON direct_own FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON direct_own FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change();
INSERT INTO direct_own (event_type, entity_id) VALUES ('a.b.one', :E), ('a.b.two', :E);
SELECT sequence, action, event_hash = spine.event_digest(ROW(o.*)::spine.events) AS hashed FROM direct_own o ORDER BY 1;
DELETE FROM direct_own;
CREATE TABLE direct_parts (LIKE spine.events INCLUDING CONSTRAINTS, PRIMARY KEY (id, severity)) PARTITION BY LIST (severity);
CREATE TABLE direct_parts_low PARTITION OF direct_parts FOR VALUES IN ('low');
CREATE TABLE direct_parts_rest PARTITION OF direct_parts DEFAULT;
CREATE UNIQUE INDEX ON direct_parts_low (organization_id, sequence);
CREATE UNIQUE INDEX ON direct_parts_rest (organization_id, sequence);
CREATE TRIGGER zz_chain_event BEFORE INSERT ON direct_parts FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
INSERT INTO direct_parts (event_type, entity_id, severity) VALUES ('a.b.one', :E, 'low'), ('a.b.two', :E, 'high'), ('a.b.three', :E, 'low');
INSERT INTO direct_parts_rest (event_type, entity_id, severity) VALUES ('a.b.four', :E, 'medium');
SELECT tableoid::regclass, sequence, action, previous_hash = lag(event_hash, 1, decode(repeat('00', 32), 'hex')) OVER (ORDER BY sequence) AS linked FROM direct_parts ORDER BY sequence;

DROP TABLE direct_own, direct_parts;
DROP FUNCTION direct_note, direct_swallow, direct_forge, direct_log, direct_count;
CALL guard_on();
