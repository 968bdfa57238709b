-- Scores from findings: how they add up, what does not count, whose they are, and that nobody scores persons unseen.
SET timezone = 'UTC';
\set o '00000000-0000-4000-8000-000000f15c01'
\set other '00000000-0000-4000-8000-000000f15c02'
\set invoice '00000000-0000-4000-8000-000000f15ce1'
\set person '00000000-0000-4000-8000-000000f15ce2'
\set actor '00000000-0000-4000-8000-000000f15ca1'
SET people_os_spine.actor_id = :'actor';
CREATE ROLE risk_reader;
SELECT spine.grant_reader('risk_reader', ARRAY[:'other']::uuid[]);
-- A rule for each severity, which finds an event that says so.
SELECT spine.set_rule('risk_' || level, format('{"title": "A %1$s one", "level": "%1$s", "detection": {"s": {"action": "%1$s", "domain": "risk"}, "condition": "s"}}', level)::jsonb,
  format('[{"name": "one", "finds": 1, "events": [{"event_type": "risk.thing.%1$s"}]}, {"name": "none", "finds": 0, "events": []}]', level)::jsonb, 'a test') FROM unnest('{low,medium,high,critical}'::text[]) level;
SELECT count(*) FROM spine.run_watch() \g /dev/null
SELECT spine.emit_event('risk.invoice.' || action, entity_id => :'invoice', organization_id => :'o') FROM unnest('{critical,high,low}'::text[]) action \g /dev/null
SELECT spine.emit_event('risk.visit.medium', entity_id => :'person', organization_id => :'o', personal => '{"name": "Ada"}') \g /dev/null
SELECT spine.emit_event('risk.employee.high', entity_id => spine.entity_uuid('hcm', 'employee', '7'), organization_id => :'o') \g /dev/null
SELECT spine.emit_event('risk.invoice.low', entity_id => :'invoice', organization_id => :'other') \g /dev/null
SELECT findings FROM spine.run_watch();

-- Five findings: 99, 73, 73, 47 and 21, weighed by i^-1.5, of all weights 2.5924.
SELECT round(risk::numeric, 3) AS risk, findings, key = :'o' AS is_ours FROM spine.measure_risk(:'o');
SELECT round(((99 + 73 * 2 ^ -1.5 + 73 * 3 ^ -1.5 + 47 * 4 ^ -1.5 + 21 * 5 ^ -1.5) / (SELECT sum(i ^ -1.5) FROM generate_series(1, 10000) i))::numeric, 3) AS expected;
SELECT rule, severity, score, round(share::numeric, 3) AS share, faded > score - 0.01 AS is_new, sentence FROM spine.explain_risk(:'o') ORDER BY share DESC, rule, sentence;
SELECT round((SELECT sum(share) FROM spine.explain_risk(:'o'))::numeric, 3) = round((SELECT risk FROM spine.measure_risk(:'o'))::numeric, 3) AS adds_up;
-- Half of it after a half-life, and none before it happened.
SELECT round(risk::numeric, 1) AS half FROM spine.measure_risk(:'o', half_life => '10 days', moment => now() + '10 days');
SELECT count(*) FROM spine.measure_risk(:'o', moment => now() - interval '1 day');
-- By action, and by entity: those that are persons have no score.
SELECT key, round(risk::numeric, 2) AS risk, findings FROM spine.measure_risk(:'o', 'action') ORDER BY risk DESC, key;
SELECT key, round(risk::numeric, 2) AS risk, findings FROM spine.measure_risk(:'o', 'entity');
SELECT rule, sentence FROM spine.explain_risk(:'o', 'entity', :'invoice') ORDER BY share DESC;
SELECT count(*) FROM spine.explain_risk(:'o', 'entity', :'person');
SELECT refused(format('SELECT * FROM spine.measure_risk(%L, ''actor'')', :'o'));
SELECT refused(format('SELECT * FROM spine.explain_risk(%L, ''actor'', %L)', :'o', :'actor'));
-- A dismissed finding does not count, a confirmed one does.
SELECT spine.close_finding(id, CASE rule WHEN 'risk_critical' THEN 'dismissed' ELSE 'confirmed' END, 'a test') FROM spine.findings WHERE organization_id = :'o' \g /dev/null
SELECT round(risk::numeric, 3) AS risk, findings FROM spine.measure_risk(:'o');
-- Who may not read an organization gets no score of it.
SET ROLE risk_reader;
SELECT of_organization = :'other' AS other, findings FROM spine.measure_risk();
SELECT count(*) FROM spine.measure_risk(:'o');
SELECT count(*) FROM spine.explain_risk(:'o');
SELECT refused('SELECT spine.set_person_scores(true, ''curious'')');
RESET ROLE;
GRANT EXECUTE ON FUNCTION spine.set_person_scores TO risk_reader;
SET ROLE risk_reader;
SELECT refused('SELECT spine.set_person_scores(true, ''curious'')');
RESET ROLE;
-- A superuser's decision, which is an event.
SELECT refused('SELECT spine.set_person_scores(true, '''')');
SELECT refused('SELECT spine.set_person_scores(NULL, ''x'')');
SELECT spine.set_person_scores(true, 'the works council agreed') \g /dev/null
SELECT event_type, severity, payload - 'by' AS payload FROM spine.events WHERE event_type = 'platform.person_scores.set';
SELECT key = :'actor' AS actor, findings FROM spine.measure_risk(:'o', 'actor');
SELECT key, findings FROM spine.measure_risk(:'o', 'entity') ORDER BY findings DESC, key;
SELECT rule FROM spine.explain_risk(:'o', 'entity', :'person');
SELECT refused('SELECT spine.emit_event(''platform.person_scores.set'', entity_id => ''00000000-0000-4000-8000-0000000000e1'', organization_id => ''00000000-0000-0000-0000-000000000000'')');
SELECT spine.set_person_scores(false, 'the trial ended') \g /dev/null
SELECT refused(format('SELECT * FROM spine.measure_risk(%L, ''actor'')', :'o'));
-- What is no question.
SELECT refused(format('SELECT * FROM spine.measure_risk(%L, %L, %L, %L)', :'o', subject, half_life, moment)) FROM (VALUES
  ('person', '1 day', NULL), (NULL, '1 day', NULL), ('action', '0', NULL), ('action', '-1 day', NULL), ('action', NULL, NULL), ('action', '1 day', 'infinity')) v (subject, half_life, moment);
SELECT refused('SELECT * FROM spine.explain_risk(NULL)');
SELECT refused(format('SELECT * FROM spine.explain_risk(%L, ''action'')', :'o'));
SELECT refused(format('SELECT * FROM spine.explain_risk(%L, ''organization'', ''x'')', :'o'));
SELECT spine.enable_rule('risk_' || level, false, 'the test ended') FROM unnest('{low,medium,high,critical}'::text[]) level;
SELECT spine.revoke_all('risk_reader');
DROP ROLE risk_reader;
-- Other tests list the subscriptions that there are.
SELECT spine.drop_subscription('platform.watch');
