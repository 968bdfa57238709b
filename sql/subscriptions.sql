-- Subscriptions: what comes, for whom, once and again, and every refusal.
\set A '00000000-0000-4000-8000-0000000eb001'
\set B '00000000-0000-4000-8000-0000000eb002'
\set C '00000000-0000-4000-8000-0000000eb003'
\set D '00000000-0000-4000-8000-0000000eb004'
\set ours '''{00000000-0000-4000-8000-0000000eb001,00000000-0000-4000-8000-0000000eb002,00000000-0000-4000-8000-0000000eb003}'''
\set X '00000000-0000-4000-8000-0000000000a1'
\set Y '00000000-0000-4000-8000-0000000000a2'
-- What a call gives, without what differs from run to run: numbers of batches, and where a session begins.
CREATE FUNCTION take(name text, max_events int DEFAULT 1000) RETURNS TABLE (numbers bigint, delivery int, organization text, events text) LANGUAGE sql
AS $$ WITH b AS MATERIALIZED (SELECT * FROM spine.next_batch(name, max_events))
  SELECT (SELECT count(DISTINCT batch) FROM b), min(delivery), right((event).organization_id::text, 3), string_agg((event).sequence || ' ' || (event).event_type, ', ')
    FROM b GROUP BY (event).organization_id ORDER BY 3 $$;
CREATE FUNCTION newest(name text) RETURNS bigint LANGUAGE sql AS 'SELECT max(batch) FROM spine.subscription_batches WHERE subscription = $1';
CREATE FUNCTION try(command text) RETURNS TABLE (code text, message text, hint text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  code := 'none';
  RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
  message := replace(regexp_replace(regexp_replace(message, 'batch \d+', 'batch N', 'g'), '" at .*', '" at T'), session_user, 'SUPERUSER');
  hint := replace(hint, session_user, 'SUPERUSER');
  RETURN NEXT;
END
$$;
CREATE FUNCTION emit(organization uuid, type text, actor uuid DEFAULT '00000000-0000-4000-8000-0000000000a1', severity text DEFAULT 'low') RETURNS void LANGUAGE sql
AS $$ SELECT spine.emit_event($2, entity_id => $1, actor_id => $3, organization_id => $1, severity => $4::spine.severity) $$;

-- Each filter, and two together. In A: 1 hcm.employee.created, 2 fin.invoice.paid, 3 hcm.contract.signed, 4 fin.invoice.sent; in B the first two.
SELECT emit(:'A', 'hcm.employee.created'), emit(:'A', 'fin.invoice.paid', :'Y', 'critical'), emit(:'A', 'hcm.contract.signed', :'X', 'high'), emit(:'A', 'fin.invoice.sent', :'Y', 'medium'),
       emit(:'B', 'hcm.employee.created', :'Y'), emit(:'B', 'fin.invoice.paid');
SELECT spine.create_subscription('all of ours', :ours), spine.create_subscription('one', ARRAY[:'B', :'B']::uuid[]), spine.create_subscription('domains', :ours, domains => '{fin,crm}'),
       spine.create_subscription('types', :ours, event_types => '{fin.invoice.paid,a.b.c}'), spine.create_subscription('entities', :ours, entity_types => '{contract,employee}'),
       spine.create_subscription('actors', :ours, actors => ARRAY[:'Y']::uuid[]), spine.create_subscription('severe', :ours, minimum_severity => 'high'),
       spine.create_subscription('both', :ours, domains => '{fin}', minimum_severity => 'medium'), spine.create_subscription('none', :ours, domains => '{crm}'),
       spine.create_subscription('from now', :ours, from_now => true), spine.create_subscription('everything from now', from_now => true);
SELECT name, is_filtered, redeliver_after, events_behind, organizations_behind, oldest_unread IS NOT NULL AS old, batches_outstanding, oldest_taken_at, redeliveries FROM spine.subscription_lag;
SELECT s.name, t.* FROM (VALUES ('all of ours'), ('one'), ('domains'), ('types'), ('entities'), ('actors'), ('severe'), ('both'), ('none'), ('from now'), ('everything from now')) s (name), take(name) t;
SELECT name, t.* FROM spine.subscriptions, take(name) t;
-- What does not match was passed over.
SELECT subscription, right(organization_id::text, 3) AS organization, sequence FROM spine.subscription_positions WHERE subscription IN ('none', 'severe') ORDER BY 1, 2;
SELECT name, events_behind, organizations_behind, oldest_unread, batches_outstanding, oldest_taken_at IS NOT NULL AS taken FROM spine.subscription_lag WHERE events_behind <> 0 OR batches_outstanding > 0;

-- A batch is acknowledged once.
SELECT spine.acknowledge('all of ours', newest('all of ours'));
SELECT count(*), array_agg(DISTINCT organizations), sum(events) FROM spine.subscription_batches WHERE subscription = 'both';
SELECT newest('both') AS number \gset
SELECT spine.acknowledge('both', :number);
SELECT * FROM try(format('SELECT spine.acknowledge(''both'', %s)', :number));
SELECT * FROM try('SELECT spine.acknowledge(''both'', 1000000)');
SELECT * FROM try('SELECT spine.acknowledge(''both'', NULL)');
-- Another's number.
SELECT * FROM try(format('SELECT spine.acknowledge(''both'', %s)', newest('types')));

-- In portions, each organization's in order and all of them in the end.
SELECT spine.create_subscription('portions', :ours);
CREATE TEMP TABLE got AS SELECT 0 AS call, (b.event).organization_id, (b.event).sequence, b.batch FROM spine.next_batch('portions', 1) b;
DO $$ BEGIN FOR i IN 1 .. 7 LOOP INSERT INTO got SELECT i, (b.event).organization_id, (b.event).sequence, b.batch FROM spine.next_batch('portions', 1) b; END LOOP; END $$;
SELECT count(*), count(DISTINCT batch), max(call) AS last_call FROM got;
SELECT count(*) AS disordered FROM (SELECT sequence - row_number() OVER (PARTITION BY organization_id ORDER BY call) AS d FROM got) g WHERE d <> 0;
-- Each has its turn: the first two calls were for two organizations.
SELECT count(DISTINCT organization_id) FROM got WHERE call < 2;

-- New events, and an organization that was not there.
SELECT emit(:'A', 'hcm.employee.changed'), emit(:'C', 'hcm.employee.created'), emit(:'D', 'hcm.employee.created');
SELECT s.name, t.* FROM (VALUES ('all of ours'), ('from now'), ('everything from now'), ('none')) s (name), take(name) t;
SELECT s.name, t.* FROM (VALUES ('all of ours'), ('from now'), ('everything from now'), ('none')) s (name), take(name) t;
-- Of one's own transaction too; and what is rolled back was neither given nor emitted.
BEGIN;
SELECT emit(:'C', 'hcm.employee.lost');
SELECT * FROM take('from now');
ROLLBACK;
SELECT emit(:'C', 'hcm.employee.kept');
BEGIN;
SAVEPOINT a;
SELECT * FROM take('from now');
ROLLBACK TO a;
SELECT * FROM take('from now');
SELECT * FROM take('from now');
COMMIT;

-- Not acknowledged in time: the whole batch comes again, before what is new, under another number.
SELECT spine.create_subscription('impatient', ARRAY[:'A']::uuid[], domains => '{hcm}', redeliver_after => '1 microsecond');
SELECT * FROM take('impatient', 2);
SELECT newest('impatient') AS number \gset
SELECT * FROM take('impatient', 1);
SELECT delivery, previous_batch = :number AS was, batch > :number AS is_new, events FROM spine.subscription_batches WHERE subscription = 'impatient';
SELECT * FROM try(format('SELECT spine.acknowledge(''impatient'', %s)', :number));
SELECT * FROM take('impatient');
SELECT redeliveries, batches_outstanding FROM spine.subscription_lag WHERE name = 'impatient';
SELECT * FROM try(format('SELECT spine.acknowledge(''impatient'', %s)', :number));
SELECT spine.acknowledge('impatient', newest('impatient'));
SELECT * FROM take('impatient');

-- Every level of isolation.
SELECT spine.create_subscription('levels', :ours);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM spine.next_batch('levels', 2);
SELECT count(*) FROM spine.next_batch('levels', 2);
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM spine.next_batch('levels', 3);
SELECT spine.acknowledge('levels', newest('levels'));
COMMIT;

-- Roles: of a subscription's events a consumer gets those that it may read, if it is a member of the owner.
CREATE ROLE spine_owner;
CREATE ROLE spine_consumer IN ROLE spine_owner;
CREATE ROLE spine_stranger;
SELECT spine.grant_auditor('spine_owner'), spine.grant_reader('spine_stranger');
SET ROLE spine_owner;
SELECT spine.create_subscription('of a role', :ours);
RESET ROLE;
SELECT spine.revoke_all('spine_owner'), spine.grant_reader('spine_consumer', ARRAY[:'B', :'C']::uuid[]);
SET ROLE spine_consumer;
SELECT name, owner, events_behind, organizations_behind FROM spine.subscription_lag;
SELECT * FROM take('of a role');
SELECT * FROM take('of a role');
SELECT events_behind FROM spine.subscription_lag;
SET people_os_spine.organization_id = :'A';
SELECT * FROM take('of a role');
RESET people_os_spine.organization_id;
SELECT * FROM try('SELECT * FROM spine.next_batch(''one'')');
SELECT * FROM spine.subscriptions;
SELECT nextval('spine.subscription_batch');
SET ROLE spine_stranger;
SELECT count(*) FROM spine.subscription_lag;
SELECT command, t.* FROM unnest(ARRAY['next_batch(''of a role'')', 'acknowledge(''of a role'', 1)', 'drop_subscription(''of a role'')']) command, try('SELECT spine.' || command) t;
SELECT spine.create_subscription('a stranger''s', ARRAY[:'A']::uuid[]);
SELECT * FROM take('a stranger''s');
RESET ROLE;
-- The others' events are still to come, and so is the batch, to whoever may read all of it.
UPDATE spine.subscriptions SET redeliver_after = '1 microsecond' WHERE name = 'of a role';
SELECT spine.grant_reader('spine_consumer', ARRAY[:'B']::uuid[]);
SET ROLE spine_consumer;
SELECT * FROM take('of a role');
RESET ROLE;
SELECT spine.acknowledge('of a role', newest('of a role')) FROM take('of a role') LIMIT 1;
SELECT * FROM take('of a role');
-- Without any right; with a right to the functions and none to the events.
SELECT spine.revoke_all('spine_consumer');
SET ROLE spine_consumer;
SELECT * FROM try('SELECT * FROM spine.next_batch(''of a role'')');
RESET ROLE;
GRANT USAGE ON SCHEMA spine TO spine_consumer;
GRANT EXECUTE ON FUNCTION spine.next_batch, spine.create_subscription, spine.read_subscriptions TO spine_consumer;
SET ROLE spine_consumer;
SELECT t.* FROM unnest(ARRAY['next_batch(''of a role'')', 'create_subscription(''x'')', 'read_subscriptions()']) command, try('SELECT spine.' || command) t;
RESET ROLE;
-- The owner is gone: superusers consume.
SELECT spine.revoke_all('spine_consumer');
DROP ROLE spine_owner;
SELECT count(*) FROM spine.next_batch('of a role');
SELECT spine.grant_reader('spine_stranger');
SET ROLE spine_stranger;
SELECT * FROM try('SELECT * FROM spine.next_batch(''of a role'')');
RESET ROLE;

-- Names and filters that can be none.
SELECT t.* FROM unnest(ARRAY['''one''', 'NULL', '''''', 'repeat(''x'', 256)', '''x'', ''{}''', '''x'', ''{null}''', '''x'', domains => ''{}''', '''x'', domains => ''{hcm,null}''',
  '''x'', domains => ''{hcm.employee}''', '''x'', entity_types => ''{Employee}''', '''x'', event_types => ''{hcm.employee}''', '''x'', event_types => ''{}''', '''x'', actors => ''{}''',
  '''x'', actors => ''{null}''', '''x'', redeliver_after => ''0''', '''x'', redeliver_after => ''-1 day''', '''x'', redeliver_after => NULL']) arguments,
  try(format('SELECT spine.create_subscription(%s)', arguments)) t;
SELECT t.* FROM unnest(ARRAY['0', '-1', 'NULL']) n, try(format('SELECT spine.next_batch(''one'', %s)', n)) t;
SELECT t.* FROM unnest(ARRAY['next_batch(''nope'')', 'next_batch(NULL)', 'acknowledge(''nope'', 1)', 'acknowledge(NULL, 1)', 'drop_subscription(''nope'')', 'drop_subscription(NULL)']) command,
  try('SELECT spine.' || command) t;
BEGIN READ ONLY;
SELECT t.code, t.message FROM unnest(ARRAY['next_batch(''one'')', 'acknowledge(''one'', 1)', 'drop_subscription(''one'')', 'create_subscription(''x'')']) command, try('SELECT spine.' || command) t;
SELECT count(*) > 0 AS lag FROM spine.subscription_lag;
COMMIT;
-- A wait that never ends.
SELECT spine.create_subscription('patient', :ours, redeliver_after => '300000 years');
SELECT count(*) > 0 AS given FROM spine.next_batch('patient');
SELECT count(*) FROM spine.next_batch('patient');

-- Nothing is left of what is dropped.
SELECT count(spine.drop_subscription(name)) FROM (SELECT name FROM spine.subscriptions) s;
SELECT (SELECT count(*) FROM spine.subscriptions), (SELECT count(*) FROM spine.subscription_positions), (SELECT count(*) FROM spine.subscription_batches);
SELECT spine.revoke_all('spine_stranger'), spine.revoke_all('spine_consumer');
DROP ROLE spine_stranger, spine_consumer;
DROP FUNCTION take, newest, try, emit;
