-- The watch: setting rules, what they find, who may do what, and every refusal.
\set o '00000000-0000-4000-8000-0000000f7c01'
\set other '00000000-0000-4000-8000-0000000f7c02'
\set ada '00000000-0000-4000-8000-0000000f7ce1'
\set bob '00000000-0000-4000-8000-0000000f7ce2'
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
CREATE ROLE watcher;
CREATE ROLE watch_reader;
CREATE ROLE watch_auditor;
SELECT spine.grant_watcher('watcher'), spine.grant_reader('watch_reader', ARRAY[:'other']::uuid[]), spine.grant_auditor('watch_auditor');

-- The library: each rule is set once, and its tests pass.
SET ROLE watcher;
SELECT spine.add_library_rules('the library', '{payroll_four_eyes,mass_export}');
SELECT count(*) FROM spine.add_library_rules('the library');
SELECT count(*) FROM spine.add_library_rules('the library');
SELECT count(DISTINCT name) AS rules, count(*) AS tests, bool_and(passed) AS all_pass, bool_and((found > 0) = (sentence IS NOT NULL)) AS told
  FROM spine.rule_library l, spine.test_rule(l.name);
SELECT name, version, definition_version, severity, domain, control, enabled, owner, reason FROM spine.rules WHERE name = 'payroll_four_eyes';
SELECT l.name FROM spine.rule_library l JOIN spine.rules r USING (name) WHERE l.definition <> r.definition OR l.tests <> r.tests;
SELECT test, expected, found, passed, sentence FROM spine.test_rule('payroll_four_eyes');

-- A rule of one's own, its next versions, and the events that tell of them.
\set definition '{"title": "A salary above the band", "level": "high", "detection": {"high": {"event_type": "hcm.salary.set", "payload.amount|gt": 9000}, "condition": "high"}}'
\set tests '[{"name": "above", "finds": 1, "events": [{"event_type": "hcm.salary.set", "payload": {"amount": 9001}}]}, {"name": "within", "finds": 0, "events": [{"event_type": "hcm.salary.set", "payload": {"amount": 9000}}]}]'
SELECT spine.set_rule('salary_band', :'definition', :'tests', 'asked for by finance', domain => 'hcm', control => '{SOX}');
SELECT spine.set_rule('salary_band', :'definition', :'tests', 'another reason');
SELECT spine.set_rule('salary_band', jsonb_set(:'definition', '{level}', '"informational"'), :'tests', 'less');
SELECT spine.enable_rule('salary_band', false, 'quiet'), spine.enable_rule('salary_band', true, 'again');
SELECT version, definition_version, title, severity, domain, control, enabled, reason FROM spine.rules WHERE name = 'salary_band' ORDER BY version;
RESET ROLE;
SELECT event_type, severity, payload - 'definition' AS payload, payload ? 'definition' AS definition FROM spine.events
 WHERE entity_id = spine.entity_uuid('platform', 'rule', 'salary_band') ORDER BY sequence;
UPDATE spine.rules SET enabled = false;
\echo :LAST_ERROR_SQLSTATE
DELETE FROM spine.rules;
TRUNCATE spine.rules;
DELETE FROM spine.calendars;

-- What is no rule.
SELECT refused(format('SELECT spine.set_rule(%L, %L, %L, %L)', name, definition, tests, reason)) FROM (VALUES
  ('Salary', :'definition', :'tests', 'x'),
  (NULL, :'definition', :'tests', 'x'),
  ('r', NULL, :'tests', 'x'),
  ('r', '{"title": "t", "detection": {"s": {"a|matches": 1}, "condition": "s"}}', :'tests', 'x'),
  ('r', '{"title": "t", "detection": {"s": {"personal.name": "Ada"}, "condition": "s"}}', :'tests', 'x'),
  ('r', '[{"title": "t", "name": "a", "detection": {"s": {"x": 1}, "condition": "s"}}, {"title": "t", "correlation": {"type": "temporal", "rules": ["a", "b"], "timespan": "1h"}}]', :'tests', 'x'),
  ('r', '{"title": "t", "logsource": {"product": "windows"}, "detection": {"s": {"a": 1}, "condition": "s"}}', :'tests', 'x'),
  ('r', '{"title": "t", "filter": {"rules": ["a"], "s": {"a": 1}, "condition": "s"}}', :'tests', 'x'),
  ('r', :'definition', '{}', 'x'),
  ('r', :'definition', '[]', 'x'),
  ('r', :'definition', '[{"name": "n", "finds": 1}]', 'x'),
  ('r', :'definition', '[{"name": "n", "finds": 1, "events": [{"event_type": "a.b"}]}]', 'x'),
  ('r', :'definition', '[{"name": "n", "finds": 1, "events": [], "evnts": []}]', 'x'),
  ('r', :'definition', '[{"name": "n", "finds": 0, "events": []}]', 'x'),
  ('r', :'definition', jsonb_set(:'tests', '{0,finds}', '2')::text, 'x'),
  ('r', :'definition', jsonb_set(:'tests', '{1,events,0,at}', '"yesterday noon"')::text, 'x'),
  ('r', :'definition', :'tests', '')) v (name, definition, tests, reason);
SELECT refused($$SELECT spine.enable_rule('no_such', true, 'x')$$);
SELECT refused($$SELECT spine.enable_rule('salary_band', NULL, 'x')$$);
SELECT refused($$SELECT * FROM spine.test_rule(NULL)$$);
SELECT refused($$SELECT * FROM spine.backtest_rule('no_such')$$);
SELECT refused($$SELECT spine.add_library_rules('x', '{no_such}')$$);
SELECT refused($$SELECT * FROM spine.run_watch(0)$$);
SELECT refused($$SELECT * FROM spine.run_watch(NULL)$$);

-- A run: what is found, once, with what it rests on, and nothing of a payload.
-- What other tests left comes first.
SELECT * FROM spine.run_watch() \g /dev/null
SET people_os_spine.organization_id = :'o';
SELECT spine.emit_event('hcm.salary.set', entity_id => :'ada', payload => '{"amount": 12345, "currency": "EUR"}', personal => '{"name": "Ada"}') \g /dev/null
SELECT spine.emit_event('payroll.run.created', entity_id => :'bob') \g /dev/null
SELECT spine.emit_event('payroll.run.approved', entity_id => :'bob') \g /dev/null
SELECT spine.emit_event('payroll.run.approved', entity_id => :'bob') \g /dev/null
SET ROLE watcher;
SELECT findings, repeats FROM spine.run_watch();
SELECT findings, repeats FROM spine.run_watch();
SET ROLE watch_auditor;
SELECT rule, rule_version, severity, sequence, sentence, numbers, jsonb_array_length(events) AS events, repeats, verdict FROM spine.findings WHERE organization_id = :'o' ORDER BY sequence;
SELECT payload - 'finding' - 'from' - 'to' - 'events' AS payload, personal FROM spine.events WHERE event_type = 'platform.finding.raised' AND organization_id = :'o' ORDER BY sequence;
SELECT e.sequence, e.event_type, e.payload, e.is_unchanged FROM spine.findings f, spine.explain_finding(f.id) e WHERE f.organization_id = :'o' ORDER BY f.sequence, e.sequence;
SELECT of_organization = :'o' AS ours, repeats, sequences, sentence FROM spine.backtest_rule('payroll_four_eyes', organization_id => :'o');
SELECT sequences FROM spine.backtest_rule('payroll_four_eyes', to_timestamp => '2026-01-01');
SELECT sequences FROM spine.backtest_rule('payroll_four_eyes', organization_id => :'other');

-- Closing, and closing anew.
SELECT id AS finding FROM spine.findings WHERE rule = 'payroll_four_eyes' AND organization_id = :'o' \gset
SELECT spine.close_finding(:'finding', 'dismissed', 'two hats, agreed with the board') \g /dev/null
SELECT spine.close_finding(:'finding', 'confirmed', 'the board knew nothing') \g /dev/null
SELECT verdict, closed_by, reason FROM spine.findings WHERE id = :'finding';
SELECT event_type, payload ->> 'reason' AS reason, payload ->> 'by' AS by FROM spine.events WHERE organization_id = :'o' AND entity_id = :'finding' ORDER BY sequence;
SELECT refused(format('SELECT spine.close_finding(%L, ''maybe'', ''x'')', :'finding'));
SELECT refused(format('SELECT spine.close_finding(%L, NULL, ''x'')', :'finding'));
SELECT refused(format('SELECT spine.close_finding(%L, ''closed'', NULL)', :'finding'));
SELECT refused($$SELECT spine.close_finding('00000000-0000-4000-8000-0000000000ff', 'closed', 'x')$$);
SELECT refused($$SELECT spine.close_finding(NULL, 'closed', 'x')$$);
SELECT refused($$SELECT * FROM spine.explain_finding('00000000-0000-4000-8000-0000000000ff')$$);
BEGIN;
SET LOCAL people_os_spine.actor_id = '';
SELECT refused(format('SELECT spine.close_finding(%L, ''closed'', ''x'')', :'finding'));
ROLLBACK;

-- Who may not: a reader of another organization sees nothing of it; a watcher reads no event; nobody forges a finding.
SET ROLE watch_reader;
RESET people_os_spine.organization_id;
SELECT count(*) FROM spine.findings;
SELECT refused(format('SELECT * FROM spine.explain_finding(%L)', :'finding'));
SELECT count(*) FROM spine.backtest_rule('payroll_four_eyes');
SELECT refused($$SELECT * FROM spine.run_watch()$$);
SELECT refused(format('SELECT spine.close_finding(%L, ''closed'', ''x'')', :'finding'));
SET ROLE watcher;
SELECT refused($$SELECT count(*) FROM spine.findings$$);
SELECT refused($$SELECT count(*) FROM spine.backtest_rule('payroll_four_eyes')$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION spine.run_watch, spine.set_rule, spine.close_finding TO watch_reader;
SET ROLE watch_reader;
SELECT refused($$SELECT * FROM spine.run_watch()$$);
SELECT refused($$SELECT spine.set_rule('r', '{}', '[]', 'x')$$);
SELECT refused(format('SELECT spine.close_finding(%L, ''closed'', ''x'')', :'finding'));
RESET ROLE;
SELECT refused(format('SELECT spine.emit_event(%L, entity_id => %L, organization_id => %L)', t, :'ada', :'o'))
  FROM unnest('{platform.finding.raised,platform.finding.confirmed,platform.finding.dismissed,platform.finding.closed,platform.rule.set,platform.calendar.set}'::text[]) t;

-- Calendars.
SET ROLE watcher;
SELECT spine.set_calendar(:'o', 'Europe/Berlin', 'the works council', '{2026-12-25}');
SELECT spine.set_calendar(:'o', 'Europe/Berlin', 'longer hours', opens => 6, closes => 22);
SELECT spine.set_calendar(NULL, 'UTC', 'for all');
SELECT refused(format('SELECT spine.set_calendar(%L, %L, %L, %L, %L, %s, %s)', :'o', zone, reason, holidays, days, opens, closes)) FROM (VALUES
  ('Mars/Olympus', 'x', '{}', '{1}', 7, 19),
  (NULL, 'x', '{}', '{1}', 7, 19),
  ('UTC', 'x', '{NULL}', '{1}', 7, 19),
  ('UTC', 'x', '{}', '{0}', 7, 19),
  ('UTC', 'x', '{}', '{}', 7, 19),
  ('UTC', 'x', '{}', '{1}', 24, 24),
  ('UTC', 'x', '{}', '{1}', 9, 9),
  ('UTC', '', '{}', '{1}', 7, 19)) v (zone, reason, holidays, days, opens, closes);
RESET ROLE;
SELECT version, timezone, opens, closes, holidays, reason FROM spine.calendars WHERE organization_id = :'o' ORDER BY version;
SELECT payload - 'organization_id' AS payload FROM spine.events WHERE event_type = 'platform.calendar.set' AND organization_id = :'o' ORDER BY sequence;

-- A subscription of that name that somebody else made, or one with a filter, is not the watch's. Only superusers can make one.
SELECT spine.drop_subscription('platform.watch');
SELECT spine.create_subscription('platform.watch', domains => '{hcm}');
SELECT refused($$SELECT * FROM spine.run_watch()$$);
SELECT spine.drop_subscription('platform.watch');
SET ROLE watch_reader;
SELECT refused($$SELECT spine.create_subscription('platform.watch')$$);
SELECT refused($$SELECT spine.create_subscription('platform.')$$);
RESET ROLE;
CREATE ROLE watch_superuser SUPERUSER;
SET ROLE watch_superuser;
SELECT spine.create_subscription('platform.watch');
RESET ROLE;
SELECT refused($$SELECT * FROM spine.run_watch()$$);
SELECT spine.drop_subscription('platform.watch');
-- Made anew it gives all events again, and nothing is judged twice.
SELECT findings, repeats FROM spine.run_watch();
SELECT count(*) FROM spine.findings WHERE organization_id = :'o';
-- A transaction that is read-only, or sees the past.
BEGIN READ ONLY;
SELECT refused($$SELECT * FROM spine.run_watch()$$);
ROLLBACK;
-- A damaged state says so, and is no finding.
SELECT spine.emit_event('payroll.run.created', entity_id => :'ada', organization_id => :'o') \g /dev/null
SELECT findings FROM spine.run_watch();
BEGIN;
UPDATE spine.watch_states SET state = '\x01' WHERE organization_id = :'o';
SELECT spine.emit_event('payroll.run.approved', entity_id => :'ada', organization_id => :'o') \g /dev/null
SELECT refused($$SELECT * FROM spine.run_watch()$$);
ROLLBACK;
SELECT intact FROM spine.verify_chain(:'o');
SELECT spine.revoke_all('watcher'), spine.revoke_all('watch_reader'), spine.revoke_all('watch_auditor');
DROP ROLE watcher, watch_reader, watch_auditor, watch_superuser;
