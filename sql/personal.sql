-- The personal part is read by fewer: spine.grant_reader and grant_auditor give it apart, for some organizations or all.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SET people_os_spine.environment = 'test';
\set A '00000000-0000-4000-8000-000000be50a1'
\set B '00000000-0000-4000-8000-000000be50b1'
\set entity '00000000-0000-4000-8000-000000be50e1'
CREATE ROLE spine_plain;
CREATE ROLE spine_person;
CREATE ROLE spine_both IN ROLE spine_plain, spine_person;
CREATE ROLE spine_switch NOINHERIT IN ROLE spine_plain, spine_person;
CREATE FUNCTION refusal(query text, OUT state text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE query;
  state := 'none';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END $$;
CREATE VIEW given AS SELECT role, capability, right(organization_id::text, 2) AS organization, personal FROM spine.role_bindings
  WHERE role::text LIKE 'spine\_p%' ORDER BY 1, 2, 3;
GRANT SELECT ON given TO PUBLIC;

-- The right, and its events.
SELECT spine.grant_reader('spine_plain', ARRAY[:'B']::uuid[]);
SELECT spine.grant_reader('spine_person', ARRAY[:'A', :'B']::uuid[], personal => true);
SELECT * FROM given;
SELECT spine.grant_reader('spine_person', ARRAY[:'A', :'B']::uuid[], personal => true) AS no_event;
SELECT spine.grant_reader('spine_person', ARRAY[:'A', :'B']::uuid[]) AS taken;
SELECT spine.grant_reader('spine_person', ARRAY[:'A']::uuid[], personal => true) AS given;
SELECT * FROM given;
SELECT spine.grant_auditor('spine_plain', personal => true) AS as_auditor;
SELECT * FROM given;
SELECT spine.grant_auditor('spine_plain') AS as_auditor_without;
SELECT action, payload ->> 'role' AS role, payload ->> 'capability' AS capability, payload -> 'personal' AS personal, jsonb_array_length(nullif(payload -> 'organizations', 'null')) AS organizations
  FROM spine.events WHERE entity_type = 'rights' AND payload ->> 'role' IN ('spine_plain', 'spine_person') ORDER BY sequence;
SELECT spine.revoke_all('spine_plain');
SELECT spine.grant_reader('spine_plain', ARRAY[:'B']::uuid[]);
SELECT * FROM refusal($$SELECT spine.grant_reader('spine_plain', personal => NULL)$$);
SELECT * FROM refusal($$SELECT spine.grant_auditor('spine_plain', personal => NULL)$$);
SELECT * FROM refusal($$INSERT INTO spine.role_bindings (role, capability, personal) VALUES ('spine_plain', 'emit', true)$$);

SELECT count(spine.emit_event('hcm.employee.' || what, entity_id => :'entity', organization_id => organization::uuid, personal => personal, payload => '{"grade": 7}'))
  FROM (VALUES (:'A', 'created', '{"name": "Ada"}'::jsonb), (:'A', 'updated', NULL), (:'B', 'created', '{"name": "Bob"}'), (:'B', 'updated', NULL)) e (organization, what, personal);

-- The table: NULL, and the hash in its place, so that the event can be checked all the same. The withheld hash is the right one.
CREATE TABLE right_hashes AS SELECT id, sha256(personal_salt || convert_to(spine.canonical_json(personal), 'UTF8')) AS hash FROM spine.events WHERE organization_id IN (:'A', :'B') AND personal IS NOT NULL;
GRANT SELECT ON right_hashes TO PUBLIC;
SET ROLE spine_plain;
SELECT sequence, personal, personal_salt, personal_hash = hash AS its_hash, spine.event_digest(e) = event_hash AS intact, payload FROM spine.events e LEFT JOIN right_hashes USING (id) ORDER BY sequence;
SELECT personal, personal_salt FROM spine.events;
SELECT count(*) AS all_columns, count(personal) AS shown, count(e) AS rows FROM (SELECT * FROM spine.events) e;
SELECT right(organization_id::text, 2), intact, faults FROM spine.verify_chain();
SELECT count(*) FROM spine.find_chain_faults();
-- Whatever the query: a subquery, a CTE, joins (that find nothing, too), grouping, conditions, functions, cursors, prepared ones, views.
SELECT (SELECT e.personal), (SELECT max(i.personal::text) FROM spine.events i WHERE i.organization_id = e.organization_id) FROM spine.events e;
WITH x AS MATERIALIZED (SELECT * FROM spine.events) SELECT personal, count(*) FROM x GROUP BY personal;
SELECT r.hash IS NULL AS alone, e.personal, e IS NULL AS none, j.personal AS joined FROM right_hashes r FULL JOIN spine.events e USING (id) FULL JOIN (SELECT * FROM spine.events) j USING (id) ORDER BY 1, 3;
SELECT count(j) AS rows, count(*) FILTER (WHERE j::text LIKE '%Bob%') AS named FROM (right_hashes r JOIN spine.events e USING (id)) j;
SELECT personal, count(*) FROM spine.events GROUP BY personal ORDER BY personal;
SELECT sequence, personal FROM spine.events GROUP BY organization_id, sequence, "timestamp" ORDER BY 1;
SELECT count(*) FROM spine.events WHERE personal ->> 'name' = 'Bob' OR personal_salt IS NOT NULL;
SELECT DISTINCT personal, last_value(personal) OVER (ORDER BY personal) FROM spine.events;
SELECT e.personal FROM spine.events e, LATERAL (SELECT e.personal ->> 'name' AS name) n WHERE n.name IS NOT NULL;
SELECT to_jsonb(e) ->> 'personal' AS whole_row, row_to_json(e) ->> 'personal_salt' AS salt, (e).personal FROM spine.events e;
PREPARE ask AS SELECT personal FROM spine.events WHERE sequence = $1;
EXECUTE ask (1);
BEGIN;
DECLARE c CURSOR FOR SELECT personal FROM spine.events;
FETCH ALL FROM c;
COMMIT;
COPY (SELECT personal, personal_salt FROM spine.events ORDER BY sequence) TO STDOUT;
COPY spine.events (personal, sequence) TO STDOUT;
CREATE TEMP TABLE taken AS SELECT * FROM spine.events;
SELECT personal, personal_salt FROM taken;
CREATE TEMP VIEW seen AS SELECT * FROM spine.events;
SELECT personal FROM seen;
CREATE FUNCTION pg_temp.by_plpgsql() RETURNS text LANGUAGE plpgsql AS $$ DECLARE e spine.events; BEGIN SELECT * INTO e FROM spine.events WHERE sequence = 1; RETURN e.personal; END $$;
CREATE FUNCTION pg_temp.by_sql() RETURNS text LANGUAGE sql AS 'SELECT personal::text FROM spine.events WHERE sequence = 1';
SELECT pg_temp.by_plpgsql(), pg_temp.by_sql();
-- A function that peeks, however cheap it says it is, and an operator of its own.
CREATE FUNCTION pg_temp.peek(jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'it saw %', $1; RETURN true; END $$;
SELECT count(*) FROM spine.events WHERE pg_temp.peek(personal);
-- An error's text, a cast that fails.
SELECT * FROM refusal('SELECT (personal ->> ''name'')::integer FROM spine.events');
-- The body of a set-returning function goes into the query when that is planned already.
CREATE FUNCTION pg_temp.by_set() RETURNS SETOF jsonb LANGUAGE sql STABLE AS 'SELECT personal FROM spine.events';
SELECT * FROM refusal('SELECT * FROM pg_temp.by_set()');
-- Plans and statistics.
SELECT * FROM refusal('EXPLAIN SELECT personal FROM spine.events');
SELECT count(*) FROM pg_stats WHERE schemaname = 'spine' AND tablename = 'events';
-- What the functions give.
SELECT sequence, personal, personal_salt, personal_hash IS NOT NULL AS has_hash, spine.event_digest(e) = event_hash AS intact FROM spine.read_events(:'B') e;
SELECT right(organization_id::text, 2) AS organization, sequence, personal, personal_hash IS NOT NULL AS has_hash FROM spine.entity_history('employee', :'entity');
CREATE FUNCTION pg_temp.tell(spine.events) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%: % %', $1.sequence, $1.personal, $1.personal_hash IS NOT NULL; END $$;
SELECT spine.replay('pg_temp.tell(spine.events)', :'B');
SELECT count(*) FILTER (WHERE spine.canonical_event(e) LIKE '%Bob%' OR spine.to_cloudevent(e)::text LIKE '%Bob%') AS named FROM spine.events e;
SELECT spine.create_subscription('of_plain');
SELECT (event).sequence, (event).personal, (event).personal_salt, (event).personal_hash IS NOT NULL AS has_hash FROM spine.next_batch('of_plain');
SELECT spine.drop_subscription('of_plain');

-- Of which organization it was given: of that alone. A role has what the roles that it is a member of have.
SET ROLE spine_person;
SELECT sequence, personal, octet_length(personal_salt) AS salt, personal_hash FROM spine.events ORDER BY sequence;
SET ROLE spine_both;
SELECT right(organization_id::text, 2) AS organization, sequence, personal, personal_hash IS NOT NULL AS has_hash, spine.event_digest(e) = event_hash AS intact FROM spine.events e ORDER BY 1, 2;
SELECT right(organization_id::text, 2) AS organization, sequence, personal, personal_hash IS NOT NULL AS has_hash FROM spine.entity_history('employee', :'entity');
SELECT spine.create_subscription('of_both');
SELECT right((event).organization_id::text, 2) AS organization, (event).personal FROM spine.next_batch('of_both') ORDER BY 1, (event).sequence;
SELECT spine.drop_subscription('of_both');
RESET ROLE;
-- One who is two roles, one at a time: no query has what neither may see.
SET SESSION AUTHORIZATION spine_switch;
SET ROLE spine_person;
BEGIN;
DECLARE c CURSOR FOR SELECT right(organization_id::text, 2), personal FROM spine.events;
FETCH 1 FROM c;
SET LOCAL ROLE spine_plain;
FETCH ALL FROM c;
COMMIT;
SET ROLE spine_person;
SELECT right(organization_id::text, 2), personal FROM (SELECT set_config('role', 'spine_plain', false) OFFSET 0) s, spine.events;
SET ROLE spine_person;
PREPARE again AS SELECT right(organization_id::text, 2), personal FROM spine.events;
EXECUTE again;
SET ROLE spine_plain;
EXECUTE again;
RESET SESSION AUTHORIZATION;
-- Where the plan has it as it is stored, as the first one of a session may.
SELECT spine.grant_reader('spine_plain', ARRAY[:'B']::uuid[], personal => true);
SET SESSION AUTHORIZATION spine_switch;
SET ROLE spine_person;
CREATE FUNCTION pg_temp.by_set_too() RETURNS TABLE (o text, p jsonb) LANGUAGE sql STABLE AS 'SELECT right(organization_id::text, 2), personal FROM spine.events ORDER BY sequence';
SELECT * FROM pg_temp.by_set_too();
RESET SESSION AUTHORIZATION;
SELECT spine.grant_reader('spine_plain', ARRAY[:'B']::uuid[]);
SET SESSION AUTHORIZATION spine_switch;
SET ROLE spine_person;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM pg_temp.by_set_too();
FETCH 1 FROM c;
SET LOCAL ROLE spine_plain;
FETCH ALL FROM c;
ROLLBACK;
SET ROLE spine_person;
SELECT t.* FROM (SELECT set_config('role', 'spine_plain', false) OFFSET 0) s, LATERAL (SELECT * FROM pg_temp.by_set_too()) t;
RESET SESSION AUTHORIZATION;
-- A view shows whoever asks what he may see, or what its owner sees, where that is the table's.
CREATE VIEW of_owner AS SELECT personal FROM spine.events WHERE entity_id = '00000000-0000-4000-8000-000000be50e1';
GRANT SELECT ON of_owner TO spine_plain;
CREATE VIEW of_invoker WITH (security_invoker = true) AS SELECT personal FROM spine.events;
GRANT SELECT ON of_invoker TO spine_plain;
SET ROLE spine_plain;
SELECT count(personal) FROM of_owner;
SELECT count(personal) FROM of_invoker;
RESET ROLE;
-- A reader of all, and people_os_spine.organization_id.
SELECT spine.grant_reader('spine_plain'), spine.grant_reader('spine_person', personal => true);
SET ROLE spine_plain;
SELECT count(*) > 4 AS all_of_them, count(personal) AS personal FROM spine.events;
EXPLAIN (VERBOSE, COSTS OFF) SELECT personal FROM spine.events;
SELECT count(*) FROM pg_stats WHERE schemaname = 'spine' AND tablename = 'events';
SET ROLE spine_person;
SELECT count(personal) FROM spine.events WHERE entity_id = :'entity';
SET people_os_spine.organization_id = :'A';
SELECT personal FROM spine.events ORDER BY sequence;
RESET people_os_spine.organization_id;
RESET ROLE;
-- INSERT … RETURNING: one's own event, too.
SELECT spine.grant_emitter('spine_plain', ARRAY[:'B']::uuid[]);
GRANT INSERT ON spine.events TO spine_plain;
SET ROLE spine_plain;
INSERT INTO spine.events (event_type, entity_id, organization_id, personal) VALUES ('hcm.employee.updated', :'entity', :'B', '{"name": "Eve"}') RETURNING sequence, personal, personal_salt, personal_hash IS NOT NULL AS has_hash;
RESET ROLE;
-- A right to some columns, or to the table without spine.grant_reader, gives none of it.
CREATE ROLE spine_columns;
GRANT USAGE ON SCHEMA spine TO spine_columns;
SET people_os_spine.unguard = 'a test';
GRANT SELECT (organization_id, sequence) ON spine.events TO spine_columns;
RESET people_os_spine.unguard;
GRANT EXECUTE ON FUNCTION spine.may_read, spine.shown_event TO spine_columns;
SET ROLE spine_columns;
SELECT * FROM refusal('SELECT personal FROM spine.events');
SELECT * FROM refusal('SELECT e FROM spine.events e');
SELECT count(*) FROM spine.events;
RESET ROLE;
GRANT SELECT ON spine.events TO spine_columns;
SET ROLE spine_columns;
SELECT count(*) FROM spine.events WHERE personal IS NOT NULL OR personal IS NULL;
RESET ROLE;

-- Captured columns that speak of persons: in the personal part, not in the payload.
CREATE TABLE person (id uuid PRIMARY KEY, org uuid, grade integer, name text, email text, initials text GENERATED ALWAYS AS (left(name, 1)) STORED);
SELECT spine.capture_changes('person', 'hcm', 'person', 'id', 'org', personal => '{name,email}');
INSERT INTO person VALUES ('00000000-0000-4000-8000-000000be5001', :'B', 7, 'Bob', 'bob@example.org');
UPDATE person SET email = repeat('bob ', 3000);
UPDATE person SET grade = 8;
SELECT sequence, jsonb_pretty(payload) AS payload, jsonb_pretty(CASE WHEN length(personal::text) < 1000 THEN personal ELSE jsonb_set(personal, '{after,email}', '"…"') END) AS personal
  FROM spine.events WHERE entity_type = 'person' AND action <> 'deleted' ORDER BY sequence \g (format=unaligned)
SELECT spine.entity_as_of('person', '00000000-0000-4000-8000-000000be5001', now() - '1 hour'::interval) AS before_it,
  left(spine.entity_as_of('person', '00000000-0000-4000-8000-000000be5001', 'infinity') ->> 'email', 8) AS email, spine.entity_as_of('person', '00000000-0000-4000-8000-000000be5001', 'infinity') - 'email' AS whole;
SET ROLE spine_plain;
SELECT spine.entity_as_of('person', '00000000-0000-4000-8000-000000be5001', 'infinity') AS withheld;
SELECT sequence, personal, spine.event_digest(e) = event_hash AS intact FROM spine.entity_history('person', '00000000-0000-4000-8000-000000be5001') e;
SELECT count(*) FROM spine.audit_log a WHERE organization_id = :'B' AND a::text ILIKE '%bob%';
RESET ROLE;
-- A value that no event can hold is told there, too: its SHA-256 would say what it is.
ALTER TABLE person ADD COLUMN note json;
SELECT spine.capture_changes('person', 'hcm', 'person', 'id', 'org', personal => '{name,email,note}');
UPDATE person SET email = 'b@example.org', note = '"\u0000"';
SELECT payload -> 'omitted' AS omitted, personal -> 'omitted' -> 'after' -> 'note' ->> 'reason' AS reason FROM spine.events WHERE entity_type = 'person' ORDER BY sequence DESC LIMIT 1;
SELECT * FROM refusal($$SELECT spine.entity_as_of('person', '00000000-0000-4000-8000-000000be5001', 'infinity')$$);
SET ROLE spine_plain;
SELECT spine.entity_as_of('person', '00000000-0000-4000-8000-000000be5001', 'infinity') AS withheld;
RESET ROLE;
UPDATE person SET note = NULL;
-- The list changes, as all that is captured does; the events of before hold what they held.
SELECT spine.capture_changes('person', 'hcm', 'person', 'id', 'org', personal => '{email}', mask => '{note}');
UPDATE person SET grade = 9;
SELECT payload -> 'after' AS after, payload -> 'personal' AS columns, personal -> 'after' AS personal FROM spine.events WHERE entity_type = 'person' ORDER BY sequence DESC LIMIT 1;
SELECT spine.entity_as_of('person', '00000000-0000-4000-8000-000000be5001', 'infinity');
SELECT spine.capture_changes('person', 'hcm', 'person', 'id', 'org', exclude => '{email}', personal => '{email,name}', mask => '{name}');
UPDATE person SET grade = 10;
SELECT payload -> 'after' AS after, payload -> 'personal' AS columns, personal FROM spine.events WHERE entity_type = 'person' ORDER BY sequence DESC LIMIT 1;
SELECT spine.capture_changes('person', 'hcm', 'person', 'id', 'org');
UPDATE person SET grade = 11;
SELECT payload ? 'personal' AS names_any, personal FROM spine.events WHERE entity_type = 'person' ORDER BY sequence DESC LIMIT 1;
SELECT * FROM refusal($$SELECT spine.capture_changes('person', 'hcm', 'person', 'id', 'org', personal => '{nme}')$$);
SELECT * FROM refusal($$SELECT spine.capture_changes('person', 'hcm', 'person', 'id', 'org', personal => '{id}')$$);
SELECT spine.capture_changes('person', 'hcm', 'person', 'id', 'org', personal => '{name}');
SELECT * FROM refusal('ALTER TABLE person RENAME name TO called');
-- A partition that was captured itself brings what is personal there.
CREATE TABLE part (id uuid, org uuid, name text, email text) PARTITION BY LIST (org);
CREATE TABLE part_b (id uuid, org uuid, name text, email text);
SELECT spine.capture_changes('part', 'hcm', 'part', 'id', 'org', personal => '{name}'), spine.capture_changes('part_b', 'hcm', 'part', 'id', 'org', personal => '{email}', mask => '{name}');
ALTER TABLE part ATTACH PARTITION part_b DEFAULT;
INSERT INTO part VALUES ('00000000-0000-4000-8000-000000be5002', :'B', 'Bob', 'bob@example.org');
SELECT payload -> 'after' AS after, payload -> 'personal' AS columns, personal FROM spine.events WHERE entity_type = 'part' AND organization_id = :'B';
SELECT spine.stop_capture('part'), spine.stop_capture('person');
-- Where the personal part was erased: nobody is told more than that.
BEGIN;
SET LOCAL client_min_messages = error;
INSERT INTO spine.events SELECT erased.* FROM spine.events e,
  jsonb_populate_record(e, jsonb_build_object('organization_id', :'A', 'sequence', 100, 'entity_id', '00000000-0000-4000-8000-000000be5003', 'personal', NULL, 'personal_salt', NULL,
    'personal_hash', sha256('x'))) erased WHERE e.entity_type = 'person' AND e.sequence = 4;
SELECT spine.entity_as_of('person', '00000000-0000-4000-8000-000000be5003', 'infinity') AS erased;
SET LOCAL ROLE spine_plain;
SELECT spine.entity_as_of('person', '00000000-0000-4000-8000-000000be5003', 'infinity') AS erased;
ROLLBACK;
SELECT count(*) AS intact FROM spine.verify_chain(:'B') WHERE intact;

DROP TABLE person, part, right_hashes;
DROP VIEW of_owner, of_invoker, given;
DROP FUNCTION refusal;
REVOKE SELECT (organization_id, sequence) ON spine.events FROM spine_columns;
SELECT spine.revoke_all(r::regrole) FROM unnest('{spine_plain,spine_person,spine_columns}'::text[]) r;
DROP OWNED BY spine_plain, spine_person, spine_both, spine_switch, spine_columns;
DROP ROLE spine_plain, spine_person, spine_both, spine_switch, spine_columns;
