-- Rules on series: a count or a sum against its own past, a limit that comes near, shares and first digits; and the rule on chains
-- that nobody verified. Events of eight weeks are restored, for nobody emits into the past.
SET timezone = 'UTC';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
\set o '00000000-0000-4000-8000-00005e71c001'
\set other '00000000-0000-4000-8000-00005e71c002'
-- Sets a rule of one correlation over the events ser.*.*, whose tests are two: it finds something in the one, and nothing in the other.
CREATE FUNCTION set_series_rule(name text, correlation jsonb, found jsonb) RETURNS integer LANGUAGE sql AS $$
  SELECT spine.set_rule(name, jsonb_build_array('{"title": "any", "name": "any", "detection": {"s": {"domain": "ser"}, "condition": "s"}}'::jsonb,
      jsonb_build_object('title', 'Of a series', 'correlation', '{"rules": ["any"]}' || correlation)),
    jsonb_build_array(jsonb_build_object('name', 'found', 'finds', 1, 'events', found, 'wait', '7 days'), '{"name": "nothing", "finds": 0, "events": []}'::jsonb), 'a test') $$;
SELECT count(*) FROM spine.run_watch() \g /dev/null
-- What is no such rule.
SELECT refused(format('SELECT set_series_rule(''r'', %L, ''[]'')', correlation)) FROM unnest(ARRAY[
  '{"type": "baseline"}', '{"type": "baseline", "timespan": "2h"}', '{"type": "baseline", "timespan": "1d", "deviations": 0}', '{"type": "baseline", "timespan": "1d", "side": "left"}',
  '{"type": "baseline", "timespan": "1d", "condition": {"gt": 1}}', '{"type": "baseline", "timespan": "1d", "limit": 1}', '{"type": "baseline", "timespan": "1d", "rules": ["any", "any"]}',
  '{"type": "baseline", "timespan": "1d", "field": "personal.salary"}', '{"type": "forecast", "timespan": "1d"}', '{"type": "forecast", "timespan": "1d", "limit": "many"}',
  '{"type": "forecast", "timespan": "1d", "limit": 1, "falling": 1}', '{"type": "forecast", "timespan": "1d", "limit": 1, "horizon": "1h"}', '{"type": "drift", "timespan": "7d"}',
  '{"type": "drift", "timespan": "7d", "field": "payload.name"}', '{"type": "drift", "timespan": "1h", "field": "domain"}', '{"type": "benford", "timespan": "30d"}',
  '{"type": "reconcile", "timespan": "1d", "table": "x"}', '{"type": "event_count", "timespan": "1d", "condition": {"gt": 1}, "limit": 1}']::jsonb[]) correlation;
SELECT refused($$SELECT spine.set_rule('r', '{"title": "t", "correlation": {"type": "reconcile", "timespan": "1d"}}', '[]', 'x')$$);
SELECT refused($$SELECT spine.set_rule('r', '{"title": "t", "correlation": {"type": "unverified", "timespan": "1d", "table": "x"}}', '[]', 'x')$$);
SELECT refused($$SELECT set_series_rule('r', '{"type": "baseline", "timespan": "1d"}', '[{"event_type": "ser.a.b", "times": 0}]')$$);
SELECT refused($$SELECT set_series_rule('r', '{"type": "baseline", "timespan": "1d"}', '[{"event_type": "ser.a.b", "times": 10001}]')$$);

SELECT set_series_rule('ser_count', '{"type": "baseline", "timespan": "1d", "side": "both"}', '[{"event_type": "ser.a.b", "after": "1 day", "times": 20}, {"event_type": "ser.a.b", "times": 30}]'),
       set_series_rule('ser_sum', '{"type": "baseline", "timespan": "1d", "field": "payload.amount", "group-by": ["entity_type"]}',
                       '[{"event_type": "ser.a.b", "payload": {"amount": 10}, "after": "1 day", "times": 20}, {"event_type": "ser.a.b", "payload": {"amount": 1000}}]'),
       set_series_rule('ser_hour', '{"type": "baseline", "timespan": "1h"}', '[{"event_type": "ser.a.b", "after": "1 hour", "times": 350}, {"event_type": "ser.a.b", "times": 30}]'),
       -- Fifty on Mondays, ten on other days: the next Monday is foreseen.
       set_series_rule('ser_limit', '{"type": "forecast", "timespan": "1d", "limit": 19}', (SELECT jsonb_agg(jsonb_build_object('event_type', 'ser.a.b', 'at', d + i * interval '1 minute') ORDER BY d, i)
                          FROM generate_series(timestamptz '2026-01-05 10:00+00', '2026-01-20 10:00+00', interval '1 day') d, generate_series(1, CASE extract(isodow FROM d) WHEN 1 THEN 50 ELSE 10 END) i)),
       set_series_rule('ser_type', '{"type": "drift", "timespan": "7d", "field": "event_type"}', '[{"event_type": "ser.a.b", "after": "1 hour", "times": 336}, {"event_type": "ser.a.c", "after": "1 hour", "times": 170}]'),
       set_series_rule('ser_digits', '{"type": "benford", "timespan": "7d", "field": "payload.amount"}', '[{"event_type": "ser.a.b", "payload": {"amount": 0.5}, "times": 600}]');
SELECT test, expected, found, sentence FROM unnest('{ser_count,ser_sum,ser_hour,ser_limit,ser_type,ser_digits}'::text[]) WITH ORDINALITY r (rule, n), spine.test_rule(rule) WHERE expected > 0 ORDER BY n;

-- Eight weeks from Monday, the first of January 2024: 20 on a working day, 4 on others; 60 on the seventh of February; the last week all of another kind.
CREATE TABLE past (at timestamptz, event_type text, payload jsonb);
INSERT INTO past SELECT day + i * interval '20 minutes', CASE WHEN day < '2024-02-19' THEN 'ser.invoice.posted' ELSE 'ser.refund.made' END, jsonb_build_object('amount', 100 + i)
  FROM generate_series('2024-01-01'::timestamptz, '2024-02-25', interval '1 day') day,
       generate_series(1, CASE WHEN day = '2024-02-07' THEN 60 WHEN extract(isodow FROM day) < 6 THEN 20 ELSE 4 END) i;
DO $$
DECLARE
  e   past;
  row spine.events;
  n   bigint := 0;
  previous bytea := decode(repeat('00', 32), 'hex');
  of constant uuid := '00000000-0000-4000-8000-00005e71c001';
BEGIN
  FOR e IN SELECT * FROM past ORDER BY at LOOP
    n := n + 1;
    row := ((lpad(to_hex((extract(epoch FROM e.at) * 1000)::bigint), 12, '0') || '7000' || '9' || lpad(to_hex(n), 15, '0'))::uuid, e.event_type, split_part(e.event_type, '.', 1), split_part(e.event_type, '.', 2), of, split_part(e.event_type, '.', 3), of,
            'human', of, 'test', e.at, 'low', e.payload, n, '7', 'x', previous, previous, decode(repeat('00', 16), 'hex'), NULL, NULL, NULL, NULL, NULL, NULL, NULL)::spine.events;
    row.event_hash := spine.event_digest(row);
    previous := row.event_hash;
    INSERT INTO spine.events SELECT row.*;
  END LOOP;
END $$;
SELECT findings > 0 AS any FROM spine.run_watch();
SELECT rule, happened_at, sentence, numbers - 'timespan' AS numbers, jsonb_array_length(events) AS events, repeats FROM spine.findings WHERE organization_id = :'o' AND rule LIKE 'ser%' ORDER BY happened_at, rule;
SELECT findings, repeats FROM spine.run_watch();
-- A backtest says the same.
SELECT r.rule, count(f.id) AS found, count(b.found_at) AS backtested FROM unnest('{ser_count,ser_sum,ser_hour,ser_limit,ser_type,ser_digits}'::text[]) r (rule)
  LEFT JOIN LATERAL (SELECT * FROM spine.backtest_rule(r.rule, organization_id => :'o')) b ON true
  LEFT JOIN spine.findings f ON f.rule = r.rule AND f.organization_id = :'o' AND f.happened_at = b.found_at AND f.sentence = b.sentence GROUP BY r.rule ORDER BY r.rule;
SELECT bool_and(is_unchanged) AS unchanged, count(*) > 0 AS any FROM spine.findings f, spine.explain_finding(f.id) WHERE f.organization_id = :'o';
-- What was silent for eight weeks is forgotten, and nothing is awaited of it.
SELECT count(*) FROM spine.watch_states WHERE organization_id = :'o' AND rule LIKE 'ser%' AND due_at IS NOT NULL;
-- In an organization that lives, the step at hand is awaited, in a state of few bytes; in a silent one it ends by the clock.
SELECT spine.emit_event('ser.invoice.posted', entity_id => :'other', organization_id => :'other', payload => '{"amount": 12}') FROM generate_series(1, 50) \g /dev/null
SELECT findings FROM spine.run_watch();
SELECT rule, due_at > now() AS awaited, length(state) < 1000 AS is_small FROM spine.watch_states WHERE organization_id = :'other' AND rule LIKE 'ser%' ORDER BY rule;

-- Chains that nobody verified: the first event of this one is long ago.
SELECT spine.set_rule('ser_unverified', '{"title": "A chain that nobody verified", "correlation": {"type": "unverified", "timespan": "30d"}}', '[]', 'a test');
CREATE FUNCTION look_now() RETURNS TABLE (findings bigint, repeats bigint) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE spine.watch_states SET due_at = now() WHERE rule = 'ser_unverified';
  RETURN QUERY SELECT w.findings, w.repeats FROM spine.run_watch() w;
END $$;
SELECT count(*) FROM spine.run_watch() \g /dev/null
SELECT regexp_replace(sentence, 'event [0-9]+', 'event n') AS sentence FROM spine.findings WHERE rule = 'ser_unverified' AND organization_id = :'o';
SELECT repeats > 0 AS again FROM look_now();
SELECT count(*) AS findings, sum(repeats) AS repeats FROM spine.findings WHERE rule = 'ser_unverified' AND organization_id = :'o';
SELECT intact FROM spine.record_verification(:'o');
SELECT count(*) FROM look_now() \g /dev/null
SELECT count(*) AS findings, sum(repeats) AS repeats FROM spine.findings WHERE rule = 'ser_unverified' AND organization_id = :'o';
UPDATE spine.verifications SET verified_at = '2024-05-01 12:00' WHERE organization_id = :'o';
SELECT count(*) FROM look_now() \g /dev/null
UPDATE spine.verifications SET verified_at = now(), intact = false, faults = 3 WHERE organization_id = :'o';
SELECT count(*) FROM look_now() \g /dev/null
SELECT regexp_replace(regexp_replace(sentence, 'at [-0-9]+ [:0-9]+ UTC, found', 'at n UTC, found'), 'event [0-9]+', 'event n') AS sentence, repeats FROM spine.findings WHERE rule = 'ser_unverified' AND organization_id = :'o' ORDER BY sequence;
SELECT spine.enable_rule(rule, false, 'the test ended') FROM unnest('{ser_count,ser_sum,ser_hour,ser_limit,ser_type,ser_digits,ser_unverified}'::text[]) rule \g /dev/null
DELETE FROM spine.verifications WHERE organization_id = :'o';
DROP FUNCTION set_series_rule, look_now;
DROP TABLE past;
