-- Who may emit for whom, and read whom: the helpers, and what they give; the rest is in test/tap/tenants.pl.
\set A '00000000-0000-4000-8000-0000000ea001'
\set B '00000000-0000-4000-8000-0000000ea002'
\set C '00000000-0000-4000-8000-0000000ea003'
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
CREATE ROLE spine_app;
CREATE ROLE "spine Reader";
CREATE ROLE spine_auditor;
CREATE ROLE spine_member IN ROLE "spine Reader", spine_app;
SELECT count(spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', i::text), organization_id => o))
  FROM generate_series(1, 3) i, unnest(ARRAY[:'A', :'B', :'C']::uuid[]) o;
CREATE VIEW ours AS SELECT role, capability, right(organization_id::text, 4) AS organization FROM spine.role_bindings
 WHERE role::text LIKE '%spine%' ORDER BY role::text, capability, organization_id;

-- A call says what the role has from now on.
SELECT spine.grant_emitter('spine_app', ARRAY[:'A', :'B', :'A']::uuid[]);
TABLE ours;
SELECT spine.grant_emitter('spine_app', ARRAY[:'C']::uuid[]);
SELECT spine.grant_reader('"spine Reader"', ARRAY[:'A', :'B']::uuid[]);
SELECT spine.grant_auditor('spine_auditor');
TABLE ours;
SELECT spine.grant_emitter('spine_app');
TABLE ours;
SELECT spine.grant_emitter('spine_app', ARRAY[:'A', :'B']::uuid[]);

-- Each change of a right is an event of the platform's chain, and what stays as it was is none.
CREATE VIEW rights AS
  SELECT action, payload->>'role' AS role, payload->>'capability' AS capability, payload->>'by' = current_user AS by_me,
         jsonb_path_query_array(payload, '$.organizations[*]') AS organizations, payload->'organizations' = 'null' AS all
    FROM spine.events WHERE entity_type = 'rights' AND payload->>'role' IN ('spine_app', 'spine Reader', 'spine_auditor') ORDER BY sequence;
TABLE rights;
SELECT spine.grant_emitter('spine_app', ARRAY[:'B', :'A']::uuid[]);
SELECT count(*) FROM rights;
BEGIN;
SELECT spine.grant_emitter('spine_app', ARRAY[:'B', :'C']::uuid[]);
UPDATE spine.role_bindings SET organization_id = NULL WHERE role = 'spine_app'::regrole AND organization_id = :'C';
DELETE FROM spine.role_bindings WHERE role = 'spine_app'::regrole;
SELECT spine.chain_pending();
SELECT * FROM rights OFFSET 9;
ROLLBACK;
BEGIN;
TRUNCATE spine.role_bindings;
SELECT spine.chain_pending() >= 3 AS each_is_an_event;
ROLLBACK;
-- Many organizations are more than one event.
BEGIN;
SELECT spine.grant_reader('spine_app', array_agg(md5(i::text)::uuid)) FROM generate_series(1, 2500) i;
SELECT spine.chain_pending();
ROLLBACK;
-- What is restored has its event already: a row that says when and under which name it was given.
BEGIN;
INSERT INTO spine.role_bindings (role, capability, role_name, granted_at) VALUES ('spine_member', 'emit', 'spine_member', '2026-01-01');
SELECT spine.chain_pending();
SELECT role_name, granted_at = '2026-01-01' AS as_it_was FROM spine.role_bindings WHERE role = 'spine_member'::regrole;
ROLLBACK;
-- An event says in which environment it happened: without one no right changes.
BEGIN;
SET LOCAL people_os_spine.environment = '';
SELECT spine.grant_emitter('spine_app');
\echo :SQLSTATE
ROLLBACK;

-- A role that was renamed, or another that has its number or name, has nothing until it is given again.
BEGIN;
SET LOCAL ROLE spine_app;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'A') IS NOT NULL AS emitted;
RESET ROLE;
ALTER ROLE spine_app RENAME TO spine_app_renamed;
SAVEPOINT renamed;
SET LOCAL ROLE spine_app_renamed;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'A');
\echo :SQLSTATE
ROLLBACK TO renamed;
CREATE ROLE spine_app;
GRANT spine_app_renamed TO spine_app;
SET LOCAL ROLE spine_app;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'A');
ROLLBACK TO renamed;
SELECT spine.grant_emitter('spine_app_renamed', ARRAY[:'A']::uuid[]);
SELECT role, role_name, right(organization_id::text, 4) AS organization FROM spine.role_bindings WHERE role = 'spine_app_renamed'::regrole;
SET LOCAL ROLE spine_app_renamed;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'A') IS NOT NULL AS emitted;
ROLLBACK;

-- Rights without a binding are none: neither EXECUTE nor INSERT by hand, nor what pg_write_all_data gives.
BEGIN;
DELETE FROM spine.role_bindings WHERE role = 'spine_app'::regrole;
GRANT INSERT ON spine.events TO spine_app;
SET LOCAL ROLE spine_app;
SAVEPOINT unbound;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'A');
\echo :SQLSTATE
ROLLBACK TO unbound;
INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('a.b.c', spine.entity_uuid('a', 'b', 'c'), :'A');
\echo :SQLSTATE
ROLLBACK;

-- The spine's tables are written by its functions, and by hand by their owner alone, whatever was granted.
CREATE ROLE spine_writer;
GRANT pg_write_all_data, pg_read_all_data TO spine_writer;
CREATE FUNCTION written_by(writer regrole) RETURNS TABLE (table_name regclass, command text, answer text) LANGUAGE plpgsql AS $$
BEGIN
  FOR table_name IN SELECT oid FROM pg_class WHERE relnamespace = 'spine'::regnamespace AND relkind = 'r' ORDER BY relname COLLATE "C" LOOP
    FOREACH command IN ARRAY ARRAY['INSERT INTO %s SELECT FROM generate_series(1, 0)', 'INSERT INTO %s DEFAULT VALUES', 'DELETE FROM %s', 'DELETE FROM %s WHERE false', 'TRUNCATE %s'] LOOP
      BEGIN
        EXECUTE format('SET LOCAL ROLE %s', writer);
        EXECUTE format(command, table_name);
        answer := 'done';
      EXCEPTION WHEN OTHERS THEN
        answer := SQLSTATE || ' ' || SQLERRM;
      END;
      RESET ROLE;
      RETURN NEXT;
    END LOOP;
  END LOOP;
END
$$;
SELECT table_name, string_agg(DISTINCT answer, ', ') AS answers FROM written_by('spine_writer')
 WHERE command !~ '^TRUNCATE' AND table_name <> 'spine.events_default'::regclass GROUP BY 1 ORDER BY table_name::text COLLATE "C";
-- A partition by its own name is as the table is: what is inserted is chained, in the organizations that the role was given.
SELECT command, answer FROM written_by('spine_writer') WHERE table_name = 'spine.events_default'::regclass;
GRANT TRUNCATE ON spine.verifications TO spine_writer;
SET ROLE spine_writer;
TRUNCATE spine.verifications;
UPDATE spine.role_bindings SET organization_id = NULL;
\echo :SQLSTATE
MERGE INTO spine.verifications v USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT VALUES (:'A', now(), 'me', true, 1, '', 0);
INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('a.b.c', gen_random_uuid(), :'A');
RESET ROLE;
REVOKE TRUNCATE ON spine.verifications FROM spine_writer;
DROP FUNCTION written_by;
DROP ROLE spine_writer;

-- What may be emitted, one event, several, and by INSERT.
GRANT INSERT ON spine.events TO spine_app;
SET ROLE spine_app;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'A') IS NOT NULL AS emitted;
\set SHOW_CONTEXT never
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'C');
\echo :SQLSTATE
SELECT spine.emit_events(jsonb_build_array(
  jsonb_build_object('event_type', 'a.b.c', 'entity_id', spine.entity_uuid('a', 'b', 'c'), 'organization_id', :'B'),
  jsonb_build_object('event_type', 'a.b.c', 'entity_id', spine.entity_uuid('a', 'b', 'c'), 'organization_id', :'C')));
INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('a.b.c', spine.entity_uuid('a', 'b', 'c'), :'C');
INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('a.b.c', spine.entity_uuid('a', 'b', 'c'), :'B');
SET people_os_spine.organization_id = :'C';
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'));
RESET people_os_spine.organization_id;
SELECT count(*) FROM spine.events;
SELECT spine.grant_emitter('spine_app');
RESET ROLE;

-- Rights at chain_at = commit are those of the moment of emitting; what a trigger makes of the event is checked then.
BEGIN;
SET LOCAL people_os_spine.chain_at = commit;
SET LOCAL ROLE spine_app;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'B') IS NOT NULL AS emitted;
RESET ROLE;
SELECT spine.revoke_all('spine_app');
SELECT spine.chain_pending();
ROLLBACK;
CREATE FUNCTION move_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.event_type = 'a.b.moved' THEN new.organization_id := '00000000-0000-4000-8000-0000000ea003'; END IF;
  RETURN new;
END
$$;
CALL guard_off();
CREATE TRIGGER move_event BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION move_event();
SET ROLE spine_app;
SELECT spine.emit_event('a.b.moved', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'B');
RESET ROLE;
BEGIN;
SET LOCAL people_os_spine.chain_at = commit;
SET LOCAL ROLE spine_app;
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'B') IS NOT NULL AS emitted;
RESET ROLE;
SELECT spine.grant_emitter('spine_app', ARRAY[:'A']::uuid[]);
SELECT spine.chain_pending();
SET LOCAL ROLE spine_app;
SELECT spine.emit_event('a.b.moved', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'A') IS NOT NULL AS emitted;
COMMIT;
DROP TRIGGER move_event ON spine.events;
CALL guard_on();
DROP FUNCTION move_event;

-- What a reader sees, everywhere the same; the setting narrows it, but not what an auditor sees.
SET ROLE "spine Reader";
SELECT right(organization_id::text, 4) AS organization, count(*) FROM spine.events GROUP BY 1 ORDER BY 1;
SELECT right(organization_id::text, 4) AS organization, intact, events FROM spine.verify_chain();
SELECT right(organization_id::text, 4) AS organization, intact, events, faults FROM spine.verify_chain(:'B');
SELECT right(organization_id::text, 4) AS organization, intact, events, faults FROM spine.verify_chain(:'C');
SELECT right(organization_id::text, 4) AS organization, intact, events, faults FROM spine.verify_chain('00000000-0000-4000-8000-0000000ea999');
SELECT count(*) FROM spine.read_events(:'A');
SELECT count(*) FROM spine.read_events(:'C');
SELECT spine.may_read(:'A') AS a, spine.may_read(:'C') AS c, spine.may_read(NULL) AS nobody;
SET people_os_spine.organization_id = :'B';
SELECT right(organization_id::text, 4) AS organization, intact, events FROM spine.verify_chain();
SELECT spine.may_read(:'A') AS a, spine.may_read(:'B') AS b, spine.may_read(:'C') AS c;
SET people_os_spine.organization_id = :'C';
SELECT count(*) FROM spine.verify_chain();
SELECT count(*) FROM spine.events;
SET ROLE spine_auditor;
SELECT right(organization_id::text, 4) AS organization, intact, events FROM spine.verify_chain() WHERE organization_id IN (:'A', :'B', :'C');
SELECT spine.may_read(:'A') AS a, spine.may_read(:'C') AS c;
SELECT count(*) > 20 AS guards, count(*) FILTER (WHERE NOT ok) AS broken FROM spine.verify_guards();
RESET people_os_spine.organization_id;
SET ROLE "spine Reader";
SELECT * FROM spine.verify_guards();
-- By membership.
SET ROLE spine_member;
SELECT right(organization_id::text, 4) AS organization, intact, events FROM spine.verify_chain();
SELECT spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), organization_id => :'C');

-- Plans tell what rows there are: not to those who see a part of them.
SET ROLE "spine Reader";
EXPLAIN SELECT * FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-0000000ea003';
EXPLAIN (ANALYZE) SELECT * FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-0000000ea003';
SET ROLE spine_auditor;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT spine.may_read(organization_id) FROM spine.events WHERE sequence = 1 AND organization_id = '00000000-0000-4000-8000-0000000ea003';
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET ROLE;

-- A restrictive policy is the server's to apply: verification would look past it.
BEGIN;
CALL guard_off();
CREATE POLICY narrower ON spine.events AS RESTRICTIVE FOR SELECT TO "spine Reader" USING (false);
SET LOCAL ROLE "spine Reader";
SELECT count(*) FROM spine.events;
SELECT * FROM spine.verify_chain();
\echo :SQLSTATE
ROLLBACK;

-- Errors.
SELECT spine.grant_emitter(NULL);
\echo :SQLSTATE
SELECT spine.grant_emitter('spine_app', '{}');
\echo :SQLSTATE
SELECT spine.grant_reader('spine_app', ARRAY[NULL]::uuid[]);
\echo :SQLSTATE
SELECT spine.grant_auditor('4000000000');
\echo :SQLSTATE
SELECT spine.grant_reader('public');
\echo :SQLSTATE
SELECT spine.revoke_all(NULL);
\echo :SQLSTATE
BEGIN;
CALL guard_off();
ALTER TABLE spine.role_bindings OWNER TO spine_app;
SELECT spine.revoke_all('spine_app');
\echo :SQLSTATE
ROLLBACK;
SET ROLE spine_app;
SELECT * FROM spine.read_events(:'A');
\echo :SQLSTATE
RESET ROLE;
\set VERBOSITY terse
INSERT INTO spine.role_bindings VALUES ('spine_app', 'chain');
\set VERBOSITY default
\echo :SQLSTATE
GRANT EXECUTE ON FUNCTION spine.event_digest TO spine_app WITH GRANT OPTION;
GRANT spine_app TO CURRENT_USER;
SET ROLE spine_app;
GRANT EXECUTE ON FUNCTION spine.event_digest TO "spine Reader";
RESET ROLE;
SELECT spine.revoke_all('"spine Reader"');
\echo :SQLSTATE

-- Nothing is left; and nothing depends on a role any more.
SELECT spine.revoke_all('spine_app');
SELECT spine.revoke_all('"spine Reader"');
TABLE ours;
SET ROLE spine_app;
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), organization_id => :'A');
RESET ROLE;
SELECT oid AS number FROM pg_roles WHERE rolname = 'spine_auditor' \gset
DROP OWNED BY spine_auditor;
DROP ROLE spine_auditor, "spine Reader", spine_app, spine_member;
SELECT role::text = :'number' AS dropped, capability FROM spine.role_bindings;
SELECT spine.revoke_all(:number);
SELECT count(*) FROM spine.role_bindings;
DROP VIEW ours, rights;
