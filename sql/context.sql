-- Who acts, for one transaction.
CREATE VIEW context AS
  SELECT right(current_setting('people_os_spine.organization_id'), 4) AS organization, right(current_setting('people_os_spine.actor_id'), 4) AS actor,
         current_setting('people_os_spine.actor_type') AS actor_type;
\set A '00000000-0000-4000-8000-0000000c0001'
\set B '00000000-0000-4000-8000-0000000c0002'
\set ada '00000000-0000-4000-8000-0000000000a1'
-- What another client of a pooler may have left.
SET people_os_spine.organization_id = :'B';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000b1';
SET people_os_spine.actor_type = 'pipeline';

BEGIN;
SELECT spine.set_context(:'A', :'ada');
SELECT * FROM context;
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid()) IS NOT NULL AS emitted;
SAVEPOINT a;
SELECT spine.set_context(:'A', :'ada', 'system');
SELECT * FROM context;
ROLLBACK TO a;
SELECT * FROM context;
COMMIT;
SELECT * FROM context;
SELECT right(organization_id::text, 4) AS organization, right(actor_id::text, 4) AS actor, actor_type FROM spine.events WHERE organization_id = :'A';
-- What is not given is empty, not what the session says.
BEGIN;
SELECT spine.set_context(:'A', NULL, NULL);
SELECT * FROM context;
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid());
ROLLBACK;
BEGIN;
SELECT spine.set_context(NULL, NULL);
SELECT * FROM context;
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid());
ROLLBACK;
SELECT * FROM context;
-- An actor who acts for nobody is half a context.
\set VERBOSITY sqlstate
BEGIN;
SELECT spine.set_context(NULL, :'ada');
ROLLBACK;
\set VERBOSITY default

-- What takes the context back gives no other client's to events.
CREATE FUNCTION context_emit(actor uuid DEFAULT NULL, organization uuid DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  emitted uuid;
  event spine.events;
BEGIN
  emitted := spine.emit_event('a.b.context', entity_id => gen_random_uuid(), actor_id => actor, organization_id => organization);
  SELECT * INTO event FROM spine.events WHERE id = emitted;
  RETURN right(event.organization_id::text, 4) || ' by ' || right(event.actor_id::text, 4);
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
BEGIN;
SAVEPOINT a;
SELECT spine.set_context(:'A', :'ada');
SELECT context_emit();
ROLLBACK TO a;
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid());
ROLLBACK TO a;
SELECT context_emit();
SELECT context_emit(organization => :'A');
SELECT context_emit(:'ada', :'A');
-- What is said later counts, and so does an earlier context of the transaction.
SET LOCAL people_os_spine.organization_id = :'A';
SELECT context_emit();
SELECT context_emit(actor => :'ada');
SELECT spine.set_context(:'A', :'ada');
SAVEPOINT b;
SELECT spine.set_context(:'B', :'ada');
SELECT context_emit();
ROLLBACK TO b;
SELECT context_emit();
-- Settings that are empty are none.
SET LOCAL people_os_spine.organization_id = '';
SELECT context_emit();
COMMIT;
-- The next transaction has none yet, and the session's counts.
SELECT context_emit();
BEGIN;
DO $$
BEGIN
  PERFORM spine.set_context('00000000-0000-4000-8000-0000000c0001', '00000000-0000-4000-8000-0000000000a1');
  RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN NULL;
END
$$;
SELECT context_emit();
ROLLBACK;
-- A function's own setting ends with it, and what it called set_context for.
CREATE FUNCTION context_own() RETURNS text LANGUAGE plpgsql SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000c0002' AS $$
BEGIN
  PERFORM spine.set_context('00000000-0000-4000-8000-0000000c0001', '00000000-0000-4000-8000-0000000000a1');
  RETURN context_emit();
END
$$;
BEGIN;
SELECT context_own();
SELECT context_emit();
ROLLBACK;
CREATE PROCEDURE context_commits() LANGUAGE plpgsql AS $$
BEGIN
  PERFORM spine.set_context('00000000-0000-4000-8000-0000000c0001', '00000000-0000-4000-8000-0000000000a1');
  RAISE NOTICE '%', context_emit();
  COMMIT;
  RAISE NOTICE '%', context_emit();
  PERFORM spine.set_context('00000000-0000-4000-8000-0000000c0001', '00000000-0000-4000-8000-0000000000a1');
  RAISE NOTICE '%', context_emit();
  ROLLBACK;
  RAISE NOTICE '%', context_emit();
END
$$;
CALL context_commits();
SELECT context_emit();
DROP FUNCTION context_emit, context_own;
DROP PROCEDURE context_commits;

-- Outside of a transaction block it would be of no use; in a function it may be.
\set VERBOSITY sqlstate
SELECT spine.set_context(:'A', :'ada');
\set VERBOSITY default
SELECT 1 AS one FROM spine.set_context(:'A', :'ada');
PREPARE context AS SELECT spine.set_context($1, $2);
EXECUTE context(:'A', :'ada');
SELECT * FROM context;
DO $$
BEGIN
  PERFORM spine.set_context('00000000-0000-4000-8000-0000000c0001', '00000000-0000-4000-8000-0000000000a1', 'system');
  RAISE NOTICE '%', (SELECT c FROM context c);
END
$$;
CREATE FUNCTION context_plpgsql() RETURNS context LANGUAGE plpgsql AS $$
DECLARE
  nothing text;
BEGIN
  nothing := spine.set_context('00000000-0000-4000-8000-0000000c0001', NULL);
  RETURN (SELECT c FROM context c);
END
$$;
SELECT * FROM context_plpgsql();
CREATE FUNCTION context_sql() RETURNS context LANGUAGE sql AS $$
  SELECT spine.set_context('00000000-0000-4000-8000-0000000c0001', NULL);
  SELECT * FROM context;
$$;
SELECT * FROM context_sql();
CREATE PROCEDURE context_procedure() LANGUAGE plpgsql AS $$
BEGIN
  PERFORM spine.set_context('00000000-0000-4000-8000-0000000c0001', NULL);
  COMMIT;
  RAISE NOTICE '%', (SELECT c FROM context c);
END
$$;
CALL context_procedure();
SELECT * FROM context;
-- All of it or, where it fails, nothing.
BEGIN;
SELECT spine.set_context(:'A', :'ada', 'robot');
ROLLBACK;
SELECT * FROM context;

-- Who emits or reads may say for whom.
CREATE ROLE spine_contextual;
SET ROLE spine_contextual;
SELECT spine.set_context(:'A', :'ada');
BEGIN;
SELECT spine.set_context(:'A', :'ada');
ROLLBACK;
RESET ROLE;
SELECT spine.grant_emitter('spine_contextual', ARRAY[:'A']::uuid[]);
SET ROLE spine_contextual;
BEGIN;
SELECT spine.set_context(:'A', :'ada');
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid()) IS NOT NULL AS emitted;
SELECT spine.set_context(:'B', :'ada');
SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid());
ROLLBACK;
RESET ROLE;
SELECT spine.revoke_all('spine_contextual');
SELECT spine.grant_reader('spine_contextual');
SET ROLE spine_contextual;
BEGIN;
SELECT spine.set_context(:'A', NULL);
SELECT count(*), bool_and(organization_id = :'A') AS own FROM spine.events;
COMMIT;
RESET ROLE;
SELECT spine.revoke_all('spine_contextual');
DROP ROLE spine_contextual;
DROP FUNCTION context_plpgsql, context_sql;
DROP PROCEDURE context_procedure;
DROP VIEW context;
