-- people_os_spine.chain_at = commit, sentence by sentence.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
\set A '00000000-0000-4000-8000-0000000e5001'
\set B '00000000-0000-4000-8000-0000000e5002'
SET people_os_spine.organization_id = :'A';
\set E 'spine.entity_uuid(''a'', ''b'', ''1'')'
CREATE VIEW chain_at_actions AS
  SELECT right(organization_id::text, 1) AS org, sequence, action, event_hash = spine.event_digest(e) AS hashed
    FROM spine.events e WHERE organization_id::text LIKE '%e500_' ORDER BY 1, 2;

-- Autocommit: chained by the time that the statement returns.
SET people_os_spine.chain_at = commit;
SELECT spine.emit_event('a.b.autocommit', entity_id => :E) IS NOT NULL AS emitted;
SELECT * FROM chain_at_actions;

-- Not there before the commit, and in the order in which they were emitted; ids and bytes as in the other mode.
BEGIN;
SELECT spine.emit_event('a.b.first', entity_id => :E, payload => '{"b": 1, "a": "é"}') AS first \gset
SELECT spine.emit_event('a.b.second', entity_id => :E, organization_id => :'B') AS second \gset
SELECT count(*) FROM spine.emit_events('[{"event_type": "a.b.third", "entity_id": "00000000-0000-4000-8000-0000000000e1"}, {"event_type": "a.b.fourth", "entity_id": "00000000-0000-4000-8000-0000000000e1"}]');
SELECT count(*) FROM spine.events WHERE id IN (:'first', :'second');
SELECT count(*) AS chain_locks FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
COMMIT;
SELECT action, transaction_id < pg_current_xact_id() AS earlier, recorded_by = session_user AS recorded, payload FROM spine.events WHERE id IN (:'first', :'second') ORDER BY action;
SELECT * FROM chain_at_actions;

-- Validated at once: the error is the call's, with the same message.
BEGIN;
SELECT spine.emit_event('no name', entity_id => :E);
ROLLBACK;
SELECT spine.emit_event('a.b.c', entity_id => :E, payload => '[]');

-- chain_pending chains now and says how many.
BEGIN;
SELECT spine.emit_event('a.b.pending', entity_id => :E) IS NOT NULL AS emitted;
SELECT spine.emit_event('a.b.pending', entity_id => :E, organization_id => :'B') IS NOT NULL AS emitted;
SELECT spine.chain_pending();
SELECT spine.chain_pending();
SELECT count(*) FROM spine.events WHERE action = 'pending';
ROLLBACK;

-- Rolling back to a savepoint forgets what was emitted after it; releasing one does not.
BEGIN;
SELECT spine.emit_event('a.b.kept', entity_id => :E) IS NOT NULL AS emitted;
SAVEPOINT one;
SELECT spine.emit_event('a.b.forgotten', entity_id => :E) IS NOT NULL AS emitted;
SAVEPOINT two;
SELECT spine.emit_event('a.b.forgotten', entity_id => :E) IS NOT NULL AS emitted;
RELEASE two;
ROLLBACK TO one;
SAVEPOINT three;
SELECT spine.emit_event('a.b.kept', entity_id => :E) IS NOT NULL AS emitted;
RELEASE three;
COMMIT;
SELECT action, count(*) FROM chain_at_actions WHERE action IN ('kept', 'forgotten') GROUP BY 1;

-- What was emitted before a savepoint and chained within it survives its rollback, and waits again.
BEGIN;
SELECT spine.emit_event('a.b.survivor', entity_id => :E) IS NOT NULL AS emitted;
SAVEPOINT one;
SELECT spine.chain_pending();
ROLLBACK TO one;
INSERT INTO spine.events (event_type, entity_id) VALUES ('a.b.survivor', :E);
ROLLBACK TO one;
SAVEPOINT two;
SELECT spine.chain_pending();
RELEASE two;
ROLLBACK TO one;
SELECT count(*) FROM spine.events WHERE action = 'survivor';
SAVEPOINT three;
SELECT spine.chain_pending();
RELEASE three;
SELECT spine.chain_pending();
COMMIT;
SELECT count(*) FROM spine.events WHERE action = 'survivor';

-- A direct INSERT is chained at once, after what was emitted before for its organization.
BEGIN;
SELECT spine.emit_event('a.b.before', entity_id => :E) IS NOT NULL AS emitted;
SELECT spine.emit_event('a.b.elsewhere', entity_id => :E, organization_id => :'B') IS NOT NULL AS emitted;
INSERT INTO spine.events (event_type, entity_id) VALUES ('a.b.inserted', :E);
SELECT action FROM chain_at_actions WHERE action IN ('before', 'elsewhere', 'inserted');
-- So is what is emitted after the setting went back.
SET LOCAL people_os_spine.chain_at = insert;
SELECT spine.emit_event('a.b.last', entity_id => :E, organization_id => :'B') IS NOT NULL AS emitted;
SELECT org, action FROM chain_at_actions WHERE action IN ('elsewhere', 'last');
COMMIT;

-- Triggers of the user's, constraints, and an error while chaining, which fails the commit.
CREATE ROLE chain_at_app;
SELECT spine.grant_emitter('chain_at_app');
CALL guard_off();
CREATE FUNCTION chain_at_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'stored % by %', NEW.action, current_user; RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION chain_at_note();
BEGIN;
SET LOCAL ROLE chain_at_app;
SELECT spine.emit_event('a.b.as_app', entity_id => :E) IS NOT NULL AS emitted;
RESET ROLE;
SELECT spine.emit_event('a.b.as_self', entity_id => :E) IS NOT NULL AS emitted;
-- Rights are those of the moment of emitting.
REVOKE EXECUTE ON FUNCTION spine.emit_event FROM chain_at_app;
COMMIT;
DROP TRIGGER note ON spine.events;
CREATE FUNCTION chain_at_complete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.payload := jsonb_build_object('id_is_null', NEW.id IS NULL); RETURN NEW; END $$;
CREATE TRIGGER complete BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION chain_at_complete();
SELECT spine.emit_event('a.b.completed', entity_id => :E) AS id \gset
SELECT payload, event_hash = spine.event_digest(e) AS hashed FROM spine.events e WHERE id = :'id';
DROP TRIGGER complete ON spine.events;
ALTER TABLE spine.events ADD CONSTRAINT no_x CHECK (action <> 'x') NOT VALID;
\set VERBOSITY terse
BEGIN;
SELECT spine.emit_event('a.b.x', entity_id => :E) IS NOT NULL AS emitted;
COMMIT;
\set VERBOSITY default
ALTER TABLE spine.events DROP CONSTRAINT no_x;
SELECT count(*) FROM spine.events WHERE action = 'x';

-- A deferred trigger may emit, and a stored row may queue one, and so on until neither has work left.
CREATE TABLE chain_at_business (id int);
CREATE FUNCTION chain_at_emit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM spine.emit_event('a.b.deferred', entity_id => spine.entity_uuid('a', 'b', NEW.id::text)); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER emit AFTER INSERT ON chain_at_business DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chain_at_emit();
CREATE FUNCTION chain_at_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO chain_at_business SELECT 2 WHERE NOT EXISTS (SELECT FROM chain_at_business WHERE id = 2); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER follow AFTER INSERT ON spine.events DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chain_at_follow();
BEGIN;
INSERT INTO chain_at_business VALUES (1);
COMMIT;
SELECT action, count(*) FROM chain_at_actions WHERE action = 'deferred' GROUP BY 1;
SELECT * FROM chain_at_business ORDER BY 1;
DROP TRIGGER follow ON spine.events;
CALL guard_on();

-- A cursor WITH HOLD that emits while the commit materializes it, COMMIT AND CHAIN, procedures that commit.
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT spine.emit_event('a.b.held', entity_id => spine.entity_uuid('a', 'b', '1')) IS NOT NULL AS emitted FROM generate_series(1, 3);
COMMIT;
FETCH ALL FROM held;
CLOSE held;
SELECT action, count(*) FROM chain_at_actions WHERE action = 'held' GROUP BY 1;
BEGIN;
SELECT spine.emit_event('a.b.chained', entity_id => :E) IS NOT NULL AS emitted;
COMMIT AND CHAIN;
SELECT action, count(*) FROM chain_at_actions WHERE action = 'chained' GROUP BY 1;
SELECT spine.emit_event('a.b.chained', entity_id => :E) IS NOT NULL AS emitted;
ROLLBACK AND CHAIN;
SELECT spine.emit_event('a.b.chained', entity_id => :E) IS NOT NULL AS emitted;
COMMIT;
SELECT action, count(*) FROM chain_at_actions WHERE action = 'chained' GROUP BY 1;
CREATE PROCEDURE chain_at_steps() LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..3 LOOP
    PERFORM spine.emit_event('a.b.step', entity_id => spine.entity_uuid('a', 'b', i::text));
    IF i = 2 THEN ROLLBACK; ELSE COMMIT; END IF;
    RAISE NOTICE 'after %: %', i, (SELECT count(*) FROM spine.events WHERE action = 'step');
  END LOOP;
END $$;
CALL chain_at_steps();
DO $$ BEGIN
  PERFORM spine.emit_event('a.b.block', entity_id => spine.entity_uuid('a', 'b', '1'));
  BEGIN
    PERFORM spine.emit_event('a.b.block', entity_id => spine.entity_uuid('a', 'b', '1'));
    PERFORM 1 / 0;
  EXCEPTION WHEN division_by_zero THEN NULL;
  END;
END $$;
SELECT action, count(*) FROM chain_at_actions WHERE action = 'block' GROUP BY 1;

-- Memory is bounded: 16 MB that wait are chained at once.
BEGIN;
SELECT count(spine.emit_event('a.b.large', entity_id => :E, payload => jsonb_build_object('x', repeat('x', 100000)))) FROM generate_series(1, 200);
SELECT count(*) BETWEEN 100 AND 199 AS chained_already FROM spine.events WHERE action = 'large';
ROLLBACK;

-- More organizations than one transaction may lock: the table is, before it is touched otherwise.
BEGIN;
SELECT count(spine.emit_event('a.b.many', entity_id => :E, organization_id => ('00000000-0000-4000-8000-0000e5' || lpad(i::text, 6, '0'))::uuid)) FROM generate_series(1, 2000) i;
COMMIT;
SELECT count(*), bool_and(sequence = 1) FROM spine.events WHERE action = 'many';

-- Nothing emitted, nothing done: a read-only transaction is untouched.
BEGIN READ ONLY;
SELECT spine.chain_pending();
COMMIT;

SELECT intact, events = (SELECT max(sequence) FROM spine.events e WHERE e.organization_id = v.organization_id) AS whole FROM spine.verify_chain() v WHERE organization_id IN (:'A', :'B');

-- The first reading function.
SELECT sequence, action FROM spine.read_events(:'A', 1, 4);
SELECT count(*) = max(sequence) FROM spine.read_events(:'A');
SELECT count(*) FROM spine.read_events(:'A', 1000000, 5);
SELECT count(*) FROM spine.read_events(:'A', 0, 0);
SELECT count(*) FROM spine.read_events(:'A', 0, -1);
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT sequence, action FROM spine.read_events(:'A', 2, 2);
SELECT count(*) AS predicate_locks FROM pg_locks WHERE mode = 'SIReadLock' AND relation::regclass::text LIKE 'spine.events%';
COMMIT;

DROP VIEW chain_at_actions;
DROP TABLE chain_at_business;
DROP PROCEDURE chain_at_steps;
DROP FUNCTION chain_at_note, chain_at_complete, chain_at_emit, chain_at_follow;
SELECT spine.revoke_all('chain_at_app');
DROP OWNED BY chain_at_app;
DROP ROLE chain_at_app;
