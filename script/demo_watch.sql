-- A payroll fraud in five events, found and explained: a part of the demo's story, in a database that has the extension and an
-- environment. Included by script/demo.sql, or by itself: psql -f script/demo_watch.sql.
\set ECHO none
\set ACME 'aaaaaaaa-0000-4000-8000-000000000001'
\set EVE '00000000-0000-4000-8000-0000000000ee'
\set GHOST '00000000-0000-4000-8000-00000000096f'
\set AUDITOR '00000000-0000-4000-8000-0000000000ad'

\echo
\echo '== Somebody watches: rules of the library, each with the events that it must and must not find'
\set ECHO queries
SELECT name FROM spine.add_library_rules('the auditors of ACME', '{payroll_four_eyes,bank_details_before_payout,create_pay_delete}') name;
SELECT test, expected, found, passed FROM spine.test_rule('create_pay_delete');
SELECT events > 0 AS judged_what_there_was FROM spine.run_watch();
\set ECHO none

\echo
\echo '== Eve hires a ghost, gives it a bank account, makes a pay run, approves it, and is paid'
\set ECHO queries
BEGIN;
SET LOCAL people_os_spine.organization_id = :'ACME';
SET LOCAL people_os_spine.actor_id = :'EVE';
SELECT count(spine.emit_event(event_type, entity_id => entity::uuid, payload => payload::jsonb)) AS events FROM (VALUES
  (1, 'hcm.employee.created', :'GHOST', '{"department": "facilities"}'),
  (2, 'hcm.bank_account.changed', :'GHOST', '{"account_digest": "77ab"}'),
  (3, 'payroll.run.created', '00000000-0000-4000-8000-0000000000f5', '{"month": "2026-02"}'),
  (4, 'payroll.run.approved', '00000000-0000-4000-8000-0000000000f5', '{"month": "2026-02"}'),
  (5, 'payroll.payment.made', '00000000-0000-4000-8000-0000000000f6', '{"employee_id": "00000000-0000-4000-8000-00000000096f", "account_digest": "77ab", "amount": 4800}')
  ) fraud (n, event_type, entity, payload);
COMMIT;
SELECT * FROM spine.run_watch();
SELECT rule, severity, sentence FROM spine.findings WHERE verdict IS NULL ORDER BY sequence;
\set ECHO none

\echo
\echo '== What it rests on, as it is stored: is_unchanged checks the hashes that the finding names'
\set ECHO queries
SELECT f.rule, e.sequence, e.event_type, right(e.actor_id::text, 4) AS actor, e.payload, e.is_unchanged
  FROM spine.findings f, spine.explain_finding(f.id) e ORDER BY f.sequence, e.sequence;
\set ECHO none

\echo
\echo '== A person decides, and that is an event of the same chain'
\set ECHO queries
BEGIN;
SET LOCAL people_os_spine.actor_id = :'AUDITOR';
SELECT count(spine.close_finding(id, 'confirmed', 'nobody knows this employee')) AS confirmed FROM spine.findings;
COMMIT;
SELECT sequence, event_type, payload ->> 'reason' AS reason FROM spine.events
 WHERE organization_id = :'ACME' AND entity_type = 'finding' ORDER BY sequence;
\set ECHO none

\echo
\echo '== What that makes: a score of the organization, with its parts; persons have none unless a superuser says so'
\set ECHO queries
SELECT round(risk) AS risk, findings FROM spine.measure_risk(:'ACME');
SELECT rule, severity, score, round(share) AS share FROM spine.explain_risk(:'ACME');
\set ECHO none
