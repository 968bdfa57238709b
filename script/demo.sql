\set QUIET on
\pset footer off
\set ON_ERROR_STOP off

CREATE DATABASE payroll;
\c payroll
\echo
\echo '== Once, as a superuser: the extension, and what this database is'
\set ECHO queries
CREATE EXTENSION people_os_spine;
ALTER DATABASE payroll SET people_os_spine.environment = 'prod';
\c
\set ECHO none

-- The cast, by names instead of uuids.
\set ACME 'aaaaaaaa-0000-4000-8000-000000000001'
\set GLOBEX 'bbbbbbbb-0000-4000-8000-000000000002'
\set ADA '00000000-0000-4000-8000-0000000000a1'
\set RUN 'cccccccc-0000-4000-8000-0000000000c1'
CREATE TABLE payout (employee text, organization_id uuid, amount numeric);

\echo
\echo '== A payroll run of ACME: the payouts and their events commit together'
\set ECHO queries
BEGIN;
SET LOCAL people_os_spine.organization_id = :'ACME';
SET LOCAL people_os_spine.actor_id = :'ADA';
INSERT INTO payout VALUES ('Grace', :'ACME', 9200.50), ('Alan', :'ACME', 8700);
SELECT spine.emit_event(event_type => 'payroll.run.approved', entity_id => :'RUN', severity => 'high',
  payload => '{"month": "2026-01", "total": 17900.50}') AS event_id;
SELECT spine.emit_event('payroll.payout.issued', entity_id => spine.entity_uuid('payroll', 'payout', 'Grace'),
  payload => '{"employee": "Grace", "amount": 9200.50}') AS event_id;
SELECT spine.emit_event('payroll.payout.issued', entity_id => spine.entity_uuid('payroll', 'payout', 'Alan'),
  payload => '{"employee": "Alan", "amount": 8700}') AS event_id;
COMMIT;
\set ECHO none

\echo
\echo '== One of Globex fails half-way: payout and event roll back together, and leave no gap'
\set ECHO queries
BEGIN;
INSERT INTO payout VALUES ('Homer', :'GLOBEX', 1000000);
SELECT spine.emit_event('payroll.payout.issued', entity_id => spine.entity_uuid('payroll', 'payout', 'Homer'),
  actor_id => :'ADA', organization_id => :'GLOBEX', payload => '{"employee": "Homer", "amount": 1000000}') AS event_id;
ROLLBACK;
SELECT count(*) AS events FROM spine.emit_events('[
  {"event_type": "payroll.run.rejected", "entity_id": "cccccccc-0000-4000-8000-0000000000c2", "severity": "critical",
   "actor_id": "00000000-0000-4000-8000-0000000000a1", "organization_id": "bbbbbbbb-0000-4000-8000-000000000002"},
  {"event_type": "payroll.run.reopened", "entity_id": "cccccccc-0000-4000-8000-0000000000c2", "actor_type": "system",
   "actor_id": "00000000-0000-0000-0000-000000000000", "organization_id": "bbbbbbbb-0000-4000-8000-000000000002"}]');
\set ECHO none

\echo
\echo '== The chains: each event holds the hash of the one before'
\set ECHO queries
SELECT left(organization_id::text, 4) AS org, sequence AS seq, event_type, severity, recorded_by AS by,
       left(encode(previous_hash, 'hex'), 8) AS previous, left(encode(event_hash, 'hex'), 8) AS hash, payload
  FROM spine.events ORDER BY organization_id, sequence;
\set ECHO none

\echo
\echo '== No free-form names, ever'
\set ECHO queries
SELECT spine.emit_event('Employee got a raise', entity_id => :'ADA');
\set ECHO none

\echo
\echo '== A table whose changes emit by themselves; the context is the transaction''s'
\set ECHO queries
SELECT spine.capture_changes('payout', 'payroll', 'payout', entity_id_column => 'employee', organization_column => 'organization_id');
BEGIN;
SELECT spine.set_context(:'ACME', :'ADA');
UPDATE payout SET amount = 8800 WHERE employee = 'Alan';
COMMIT;
SELECT sequence AS seq, event_type, payload -> 'before' ->> 'amount' AS before, payload -> 'after' ->> 'amount' AS after
  FROM spine.entity_history('payout', spine.entity_uuid('payroll', 'payout', 'Alan'));
\set ECHO none

\echo
\echo '== The bank follows the payouts of all organizations, at least once, wherever it stopped'
\set ECHO queries
SELECT spine.create_subscription('bank', domains => '{payroll}', entity_types => '{payout}');
SELECT batch, left((event).organization_id::text, 4) AS org, (event).sequence AS seq, (event).event_type FROM spine.next_batch('bank');
SELECT spine.acknowledge('bank', batch => 1) AS events;
\set ECHO none

\echo
\echo '== No change, for nobody'
\set ECHO queries
UPDATE spine.events SET payload = payload || '{"amount": 1}';
\set ECHO none

\echo
\echo '== The proof'
\set ECHO queries
SELECT left(organization_id::text, 4) AS org, intact, events, last_sequence, left(encode(head_hash, 'hex'), 8) AS head, faults, first_fault
  FROM spine.verify_chain();
\set ECHO none

\echo
\echo '== A service of ACME emits for ACME, reads ACME, and no other'
\set ECHO queries
CREATE ROLE acme_service;
SELECT spine.grant_emitter('acme_service', ARRAY[:'ACME']::uuid[]), spine.grant_reader('acme_service', ARRAY[:'ACME']::uuid[]);
SET ROLE acme_service;
SELECT left(organization_id::text, 4) AS org, count(*) FROM spine.events GROUP BY 1;
SELECT spine.emit_event('payroll.run.approved', entity_id => :'RUN', actor_id => :'ADA', organization_id => :'GLOBEX');
RESET ROLE;
\set ECHO none

\echo
\echo '== Not even a superuser switches the guards off'
\set ECHO queries
ALTER TABLE spine.events DISABLE TRIGGER ALL;
\set ECHO none

\ir demo_watch.sql

-- With notary=yes: its programs are there, and the working directory takes its key, state and evidence.
\if :{?notary}
\echo
\echo '== On a machine of its own, a notary signs how far every chain is'
\set ECHO queries
CREATE ROLE notary LOGIN;
SELECT spine.grant_notary('notary');
\set ECHO none
\! set -x; spine-notary keygen --name spine.example/payroll --key key >public
\! set -x; spine-notary init --database "dbname=payroll user=notary" --origin spine.example/payroll --state state --key key

\echo
\echo '== Evidence of ACME: a file that is checked on any machine, without the server'
\! { sed 's/^key:/log/' public; echo 'quorum none'; } >policy
\! set -x; spine-notary export --database dbname=payroll --organization aaaaaaaa-0000-4000-8000-000000000001 --reason 'audit 2026' --output acme.ndjson
\! (set -x; spine-verify --policy policy acme.ndjson) | tail -n 1
\endif

\echo
\echo '== One who alters the catalogs in a session without the library can, and raises a payout of the past'
\set ECHO queries
\c
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid IN ('spine.events'::regclass, 'spine.events_default'::regclass);
\c
UPDATE spine.events SET payload = jsonb_set(payload, '{amount}', '19200.50') WHERE payload ->> 'employee' = 'Grace';
\set ECHO none

\echo
\echo '== But not unseen: the guards say what is gone'
\set ECHO queries
SELECT guard, found, left(remedy, 69) || ' …' AS remedy FROM spine.verify_guards() WHERE NOT ok;
\set ECHO none

\echo
\echo '== And the chain knows which event it was'
\set ECHO queries
SELECT left(organization_id::text, 4) AS org, intact, events, faults, first_fault_sequence, first_fault FROM spine.verify_chain();
SELECT left(f.organization_id::text, 4) AS org, f.sequence AS seq, f.fault, left(encode(f.expected, 'hex'), 8) AS expected,
       left(encode(f.found, 'hex'), 8) AS found, e.event_type, e.payload
  FROM spine.find_chain_faults() f JOIN spine.events e ON e.id = f.event_id;
\set ECHO none

\if :{?notary}
\echo
\echo '== So he computes hashes that fit, and writes the chain anew: it says that it is intact'
-- In a table of his own first: sessions that have loaded the library refuse to change events.
CREATE TABLE forged (organization_id uuid, sequence bigint, previous_hash bytea, event_hash bytea);
DO $$
DECLARE
  e spine.events;
  link bytea := decode(repeat('00', 32), 'hex');
BEGIN
  FOR e IN SELECT * FROM spine.events WHERE organization_id = 'aaaaaaaa-0000-4000-8000-000000000001' ORDER BY sequence LOOP
    e.previous_hash := link;
    link := spine.event_digest(e);
    INSERT INTO forged VALUES (e.organization_id, e.sequence, e.previous_hash, link);
  END LOOP;
END
$$;
\c
\set ECHO queries
UPDATE spine.events e SET previous_hash = f.previous_hash, event_hash = f.event_hash
  FROM forged f WHERE (e.organization_id, e.sequence) = (f.organization_id, f.sequence);
SELECT left(organization_id::text, 4) AS org, intact, events, faults, first_fault FROM spine.verify_chain();
\set ECHO none

\echo
\echo '== But that is not what was signed: the notary refuses, and says whose chain it is'
\! (set -x; spine-notary once --database "dbname=payroll user=notary" --origin spine.example/payroll --state state --key key); echo "exit code $?"

\echo
\echo '== And the evidence says what the payout was'
\! (set -x; spine-verify --policy policy acme.ndjson) | tail -n 1; grep -o '"amount":[^,]*,"employee":"Grace"' acme.ndjson
\endif
