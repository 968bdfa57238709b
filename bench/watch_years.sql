-- A year of three tenants, chained with the timestamps of that year, and frauds in it that the library of rules is to find.
-- psql -v seed=0.42 -f bench/watch_years.sql, as a superuser in a database with the extension. What was planted is in table planted.
SET client_min_messages = warning;
SELECT setseed(:seed) \g /dev/null

CREATE TABLE happens (org integer, at timestamptz, event_type text, entity uuid, actor text, payload jsonb DEFAULT '{}',
                      severity spine.severity DEFAULT 'low', occurred_at timestamptz, planted text);
CREATE TABLE days AS
  SELECT o AS org, d::date AS day, extract(isodow FROM d) < 6 AS works FROM generate_series(1, 3) o, generate_series('2025-01-01', '2025-12-30', interval '1 day') d;
CREATE TABLE employees AS SELECT o AS org, n, md5(o || 'employee' || n)::uuid AS id FROM generate_series(1, 3) o, generate_series(1, 200) n;

CREATE FUNCTION hour_of(day date, from_hour float, to_hour float) RETURNS timestamptz LANGUAGE sql VOLATILE AS
  $$ SELECT day::timestamp AT TIME ZONE 'UTC' + interval '1 hour' * (from_hour + (to_hour - from_hour) * random()) $$;
-- One of the clerks of a kind; not the one that is named.
CREATE FUNCTION clerk(kind text, many integer, without text DEFAULT '') RETURNS text LANGUAGE sql VOLATILE AS
  $$ SELECT c FROM (SELECT kind || n AS c FROM generate_series(1, many) n) x WHERE c <> without ORDER BY random() LIMIT 1 $$;

-- Work.
INSERT INTO happens (org, at, event_type, entity, actor, payload)
  SELECT org, hour_of(day, 8, 17), 'hcm.employee.updated', md5(org || 'employee' || ceil(random() * 200))::uuid, clerk('hr', 5), '{"field": "phone"}'
    FROM days, generate_series(1, 15) WHERE works;
INSERT INTO happens (org, at, event_type, entity, actor, payload)
  SELECT org, hour_of(day, 9, 17), 'sales.order.placed', gen_random_uuid(), 'shop', '{"items": 3}' FROM days, generate_series(1, 60);
WITH made AS (
  SELECT org, hour_of(day, 8, 12) AS at, gen_random_uuid() AS id, clerk('clerk', 6) AS maker, round((10 ^ (1.955 + 2 * random()))::numeric, 2) + 0.37 AS amount
    FROM days, generate_series(1, 12) WHERE works),
approved AS (SELECT made.*, clerk('head', 4) AS checker FROM made),
put AS (INSERT INTO happens (org, at, event_type, entity, actor, payload)
  SELECT org, at, 'finance.invoice.created', id, maker, jsonb_build_object('amount', least(amount, 8999.37)) FROM approved)
INSERT INTO happens (org, at, event_type, entity, actor)
  SELECT org, at + interval '3 hours' * (0.2 + random()), 'finance.invoice.approved', id, checker FROM approved;
INSERT INTO happens (org, at, event_type, entity, actor, payload)
  SELECT org, hour_of(day, 9, 16), 'finance.expense.submitted', gen_random_uuid(), clerk('traveller', 40), jsonb_build_object('amount', round((10 ^ (1 + 2 * random()))::numeric, 2) + 0.01)
    FROM days, generate_series(1, 8) WHERE works;
INSERT INTO happens (org, at, event_type, entity, actor, payload)
  SELECT org, at + i * interval '20 minutes', (ARRAY['access.permission.requested', 'access.permission.approved', 'access.permission.granted'])[i], id,
         (ARRAY[asks, 'itboss', 'itdesk'])[i], jsonb_build_object('grantee_id', md5(org || asks))
    FROM (SELECT org, hour_of(day, 8, 14) AS at, gen_random_uuid() AS id, clerk('hr', 5) AS asks FROM days WHERE works AND random() < 0.4) p, generate_series(1, 3) i;
INSERT INTO happens (org, at, event_type, entity, actor, payload)
  SELECT org, hour_of(day, 9, 16), 'access.data.exported', gen_random_uuid(), clerk('hr', 5), jsonb_build_object('rows', ceil(random() * 900)) FROM days WHERE works;
-- The payroll: on the 25th, or the Friday before.
WITH runs AS (
  SELECT org, date_trunc('month', day)::date AS month, max(day) AS day, gen_random_uuid() AS id FROM days WHERE works AND extract(day FROM day) <= 25 GROUP BY 1, 2)
INSERT INTO happens (org, at, event_type, entity, actor, payload)
  SELECT org, day + time '09:00' AT TIME ZONE 'UTC', 'payroll.run.created', id, 'payroll1', '{}'::jsonb FROM runs
  UNION ALL SELECT org, day + time '11:00' AT TIME ZONE 'UTC', 'payroll.run.approved', id, 'payroll2', '{}' FROM runs
  UNION ALL SELECT org, day + time '12:00' AT TIME ZONE 'UTC', 'payroll.run.paid', id, 'bank', '{}' FROM runs
  UNION ALL SELECT r.org, day + time '12:30' AT TIME ZONE 'UTC' + n * interval '1 second', 'payroll.payment.made', gen_random_uuid(), 'bank',
                   jsonb_build_object('employee_id', e.id, 'account_digest', md5(r.org || 'account' || n), 'amount', 2000 + n) FROM runs r JOIN employees e ON e.org = r.org;
-- Bank details change long before the next payment.
INSERT INTO happens (org, at, event_type, entity, actor)
  SELECT org, day + time '10:00' AT TIME ZONE 'UTC', 'hcm.bank_account.changed', md5(org || 'employee' || ceil(random() * 200))::uuid, clerk('hr', 5)
    FROM days WHERE extract(day FROM day) BETWEEN 2 AND 13 AND works AND random() < 0.3;

-- Frauds, each once a tenant, on days of its own; entities and actors that nobody else is.
CREATE TABLE plans AS
  SELECT o AS org, k AS kind, (date '2025-03-10' + (7 * ceil(random() * 38))::integer + (n % 3)::integer) AS day, md5('fraud' || o || k)::uuid AS id
    FROM generate_series(1, 3) o,
         unnest('{payroll_four_eyes,payout_four_eyes,invoice_four_eyes,permission_four_eyes,self_granted_rights,bank_details_before_payout,shared_account,payment_after_termination,create_pay_delete,below_approval_limit,round_amounts,outside_hours,new_actor,dormant_actor,mass_change,mass_export,fleeting_permission,critical_unanswered,audit_switched_off,backdated}'::text[])
           WITH ORDINALITY kinds (k, n);
INSERT INTO happens (org, at, event_type, entity, actor, payload, severity, occurred_at, planted)
  SELECT p.org, day + time '10:00' AT TIME ZONE 'UTC' + s.later, s.event_type, coalesce(s.entity, p.id), s.actor, s.payload, s.severity::spine.severity,
         day + time '10:00' AT TIME ZONE 'UTC' + s.occurred, p.kind
    FROM plans p CROSS JOIN LATERAL (
      VALUES ('payroll_four_eyes', interval '0', 'payroll.run.created', NULL::uuid, 'payroll1', '{}'::jsonb, 'low', NULL::interval),
             ('payroll_four_eyes', '1 hour', 'payroll.run.approved', NULL, 'payroll1', '{}', 'low', NULL),
             ('payout_four_eyes', '0', 'finance.payout.created', NULL, 'head1', '{"amount": 777.5}', 'low', NULL),
             ('payout_four_eyes', '2 hours', 'finance.payout.approved', NULL, 'head1', '{}', 'low', NULL),
             ('invoice_four_eyes', '0', 'finance.invoice.created', NULL, 'head2', '{"amount": 512.2}', 'low', NULL),
             ('invoice_four_eyes', '9 days', 'finance.invoice.approved', NULL, 'head2', '{}', 'low', NULL),
             ('permission_four_eyes', '0', 'access.permission.requested', NULL, 'itboss', '{}', 'low', NULL),
             ('permission_four_eyes', '1 hour', 'access.permission.approved', NULL, 'itboss', '{}', 'low', NULL),
             ('self_granted_rights', '0', 'access.permission.granted', NULL, 'itdesk', jsonb_build_object('grantee_id', md5(p.org || 'itdesk')::uuid), 'low', NULL),
             ('bank_details_before_payout', '0', 'hcm.bank_account.changed', NULL, 'hr1', '{}', 'low', NULL),
             ('bank_details_before_payout', '6 days', 'payroll.payment.made', NULL, 'bank', jsonb_build_object('employee_id', p.id, 'account_digest', 'b'), 'low', NULL),
             ('shared_account', '0', 'payroll.payment.made', NULL, 'bank', jsonb_build_object('employee_id', p.id, 'account_digest', 'shared'), 'low', NULL),
             ('shared_account', '20 days', 'payroll.payment.made', NULL, 'bank', '{"employee_id": "another", "account_digest": "shared"}', 'low', NULL),
             ('payment_after_termination', '0', 'hcm.employee.terminated', NULL, 'hr2', '{}', 'low', NULL),
             ('payment_after_termination', '40 days', 'payroll.payment.made', NULL, 'bank', jsonb_build_object('employee_id', p.id, 'account_digest', 't'), 'low', NULL),
             ('create_pay_delete', '0', 'hcm.employee.created', NULL, 'hr3', '{}', 'low', NULL),
             ('create_pay_delete', '10 days', 'payroll.payment.made', NULL, 'bank', jsonb_build_object('employee_id', p.id, 'account_digest', 'g'), 'low', NULL),
             ('create_pay_delete', '11 days', 'hcm.employee.deleted', NULL, 'hr3', '{}', 'low', NULL),
             ('below_approval_limit', '0', 'finance.invoice.created', md5('1' || p.id)::uuid, 'clerk1', '{"amount": 9950.5}', 'low', NULL),
             ('below_approval_limit', '1 day', 'finance.invoice.created', md5('2' || p.id)::uuid, 'clerk1', '{"amount": 9890.1}', 'low', NULL),
             ('below_approval_limit', '2 days', 'finance.invoice.created', md5('3' || p.id)::uuid, 'clerk1', '{"amount": 9999}', 'low', NULL),
             ('outside_hours', '13 hours', 'finance.payout.approved', NULL, 'head3', '{}', 'low', NULL),
             ('new_actor', '0', 'finance.invoice.created', NULL, 'hr4', '{"amount": 10.1}', 'low', NULL),
             ('dormant_actor', '0', 'hcm.employee.updated', NULL, 'sleeper', '{}', 'low', NULL),
             ('mass_export', '0', 'access.data.exported', md5('1' || p.id)::uuid, 'hr5', '{"rows": 6000}', 'low', NULL),
             ('mass_export', '30 minutes', 'access.data.exported', md5('2' || p.id)::uuid, 'hr5', '{"rows": 5000}', 'low', NULL),
             ('fleeting_permission', '0', 'access.permission.granted', NULL, 'itdesk', '{"grantee_id": "x"}', 'low', NULL),
             ('fleeting_permission', '8 minutes', 'access.permission.revoked', NULL, 'itdesk', '{}', 'low', NULL),
             ('critical_unanswered', '0', 'access.alarm.raised', NULL, 'sensor', '{}', 'critical', NULL),
             ('audit_switched_off', '0', 'platform.spine.unguarded', NULL, 'itboss', '{}', 'critical', NULL),
             ('backdated', '0', 'finance.invoice.created', NULL, 'clerk2', '{"amount": 33.3}', 'low', '-20 days')) s (kind, later, event_type, entity, actor, payload, severity, occurred)
   WHERE s.kind = p.kind;
INSERT INTO happens (org, at, event_type, entity, actor, payload, planted)
  SELECT org, day + time '10:00' AT TIME ZONE 'UTC' + n * interval '1 hour', 'finance.expense.submitted', md5(n || id::text)::uuid, 'clerk3', jsonb_build_object('amount', n * 1000), kind
    FROM plans, generate_series(1, 5) n WHERE kind = 'round_amounts'
  UNION ALL SELECT org, day + time '10:00' AT TIME ZONE 'UTC' + n * interval '2 seconds', 'hcm.employee.updated', md5(n || id::text)::uuid, 'hr2', '{}', kind
    FROM plans, generate_series(1, 100) n WHERE kind = 'mass_change';
-- The one who sleeps, and the answers to what is critical otherwise.
INSERT INTO happens (org, at, event_type, entity, actor) SELECT o, '2025-01-02 10:00+00', 'hcm.employee.updated', gen_random_uuid(), 'sleeper' FROM generate_series(1, 3) o;
INSERT INTO happens (org, at, event_type, entity, actor, severity)
  SELECT org, day + time '10:00' AT TIME ZONE 'UTC' + i * interval '2 hours', (ARRAY['access.alarm.raised', 'access.alarm.answered'])[i], md5('alarm' || org || day)::uuid,
         (ARRAY['sensor', 'itboss'])[i], (ARRAY['critical', 'low'])[i]::spine.severity
    FROM (SELECT * FROM days WHERE works AND random() < 0.1 OFFSET 0) d, generate_series(1, 2) i;

-- Chained as a backup is restored: rows that have all that the spine gives.
CREATE FUNCTION chain_year(number integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  e spine.events;
  h happens;
  last bytea := decode(repeat('00', 32), 'hex');
  n bigint := 0;
BEGIN
  FOR h IN SELECT * FROM happens WHERE org = number ORDER BY at, entity LOOP
    n := n + 1;
    e.id := gen_random_uuid();
    e.event_type := h.event_type;
    e.domain := split_part(h.event_type, '.', 1);
    e.entity_type := split_part(h.event_type, '.', 2);
    e.action := split_part(h.event_type, '.', 3);
    e.entity_id := h.entity;
    e.actor_id := md5(number || h.actor)::uuid;
    e.actor_type := CASE WHEN h.actor IN ('shop', 'bank', 'sensor') THEN 'system' ELSE 'human' END;
    e.organization_id := ('00000000-0000-4000-8000-0000000ee00' || number)::uuid;
    e.environment := 'test';
    e."timestamp" := h.at;
    e.severity := h.severity;
    e.payload := h.payload;
    e.sequence := n;
    e.transaction_id := '1'::xid8;
    e.recorded_by := 'bench';
    e.previous_hash := last;
    e.payload_salt := decode(md5(n::text), 'hex');
    e.occurred_at := h.occurred_at;
    e.event_hash := NULL;
    e.event_hash := spine.event_digest(e);
    last := e.event_hash;
    INSERT INTO spine.events SELECT e.*;
  END LOOP;
  RETURN n;
END $$;
SELECT sum(chain_year(o)) AS events FROM generate_series(1, 3) o;

CREATE TABLE planted AS
  SELECT ('00000000-0000-4000-8000-0000000ee00' || org)::uuid AS organization_id, kind, array_agg(DISTINCT e.sequence) AS sequences
    FROM (SELECT h.org, h.planted AS kind, h.at, h.entity FROM happens h WHERE planted IS NOT NULL) h
    JOIN spine.events e ON e.organization_id = ('00000000-0000-4000-8000-0000000ee00' || org)::uuid AND e."timestamp" = h.at AND e.entity_id = h.entity
   GROUP BY 1, 2;
