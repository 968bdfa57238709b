-- What sqlsmith finds: chains, a role that may read and emit and has every right that a table can give, and a schema
-- of its own through which it sees the rest.
CREATE EXTENSION people_os_spine;
ALTER DATABASE smith SET people_os_spine.environment = 'test';
\c
CREATE ROLE smith LOGIN;
SELECT spine.grant_emitter('smith'), spine.grant_reader('smith', ARRAY['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002']::uuid[]) \g /dev/null
SET people_os_spine.unguard = 'sqlsmith has every right that a table can give';
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA spine TO smith;
RESET people_os_spine.unguard;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA spine TO smith;

CREATE SCHEMA smith;
GRANT USAGE ON SCHEMA smith TO smith;

-- Its constants are few, so what functions are to be called with stands in a table.
CREATE TABLE smith.documents (name text, actor uuid, organization_id uuid, n bigint, document jsonb);
INSERT INTO smith.documents
SELECT (ARRAY['hcm.employee.created', 'Not a name', 'crm.deal.won', ''])[1 + i % 4], gen_random_uuid(),
       ('00000000-0000-4000-8000-00000000000' || i % 8)::uuid, (ARRAY[0, 1, -1, 5, 1000, 9223372036854775807, -9223372036854775808])[1 + i % 7],
       (ARRAY['{}', '[]', '1e300', '1e400', '{"a": [1, 2.50, {"b": null}]}', '"text \" \u0001 \ud83d\ude00"', '[{"event_type": "hcm.employee.created"}]',
              '[{"event_type": "hcm.employee.created", "entity_id": "00000000-0000-4000-8000-0000000000e1", "payload": {"n": 1}}]', '[1]', 'null'])[1 + i % 10]::jsonb
  FROM generate_series(0, 279) i;

SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SELECT count(spine.emit_event(event_type => 'hcm.employee.created', entity_id => actor, organization_id => organization_id, payload => jsonb_build_object('document', document)))
  FROM smith.documents WHERE document <> '1e400' \g /dev/null
CREATE TABLE events_before AS SELECT * FROM spine.events;

-- It calls no functions that return sets, but reads views.
CREATE VIEW smith.verification AS SELECT * FROM spine.verify_chain();
CREATE VIEW smith.chain_faults AS SELECT * FROM spine.find_chain_faults();
CREATE VIEW smith.guards AS SELECT * FROM spine.verify_guards();
CREATE FUNCTION smith.emit_events(jsonb) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM spine.emit_events($1)';
CREATE FUNCTION smith.read_events(uuid, bigint, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM spine.read_events($1, $2, $3)';
CREATE FUNCTION smith.verify_chain(uuid, bigint, bigint, boolean) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM spine.verify_chain($1, $2, $3, $4)';
CREATE FUNCTION smith.find_chain_faults(uuid, bigint, bigint, boolean) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM spine.find_chain_faults($1, $2, $3, $4)';

-- It picks functions from the first pg_proc of the search path. Volatile ones of the server sleep, end sessions or write
-- files; of the others a fraction will do, so that the spine's are called often.
CREATE VIEW smith.pg_proc AS SELECT * FROM pg_catalog.pg_proc
 WHERE pronamespace IN ('spine'::regnamespace, 'smith'::regnamespace) OR (provolatile <> 'v' AND oid::bigint % 8 = 0);
GRANT SELECT ON ALL TABLES IN SCHEMA smith TO smith;
ALTER ROLE smith SET search_path = smith, pg_catalog, public;
ALTER ROLE smith SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
ALTER ROLE smith SET people_os_spine.organization_id = '00000000-0000-4000-8000-000000000001';
ALTER ROLE smith SET statement_timeout = '1s';
