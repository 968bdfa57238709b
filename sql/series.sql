-- spine.read_series, forecast, forecast_limit, judge_series, measure_drift and test_benford.
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set A 00000000-0000-4000-8000-00005e71e001
\set B 00000000-0000-4000-8000-00005e71e002
\set C 00000000-0000-4000-8000-00005e71e003

-- A past of eight weeks, from Monday the first of January 2024: restored events, since nobody emits into the past.
CREATE TABLE past (organization_id uuid, at timestamptz, event_type text, payload jsonb, actor_type spine.actor_type DEFAULT 'human');
-- 20 invoices on a working day, 4 on others, 40 on one; from the eighth week on at night and by a pipeline.
INSERT INTO past SELECT :'A', day + i * interval '20 minutes' + CASE WHEN day < '2024-02-19' THEN interval '8 hours' ELSE interval '1 hour' END, 'pay.invoice.posted',
    jsonb_build_object('amount', round(10 ^ (1 + ((i * 37 + extract(doy FROM day)::int * 101) % 1000) / 500.0), 2), 'line', jsonb_build_object('tax', 1.5)),
    CASE WHEN day < '2024-02-19' THEN 'human' ELSE 'pipeline' END::spine.actor_type
  FROM generate_series('2024-01-01'::timestamptz, '2024-02-25', interval '1 day') day,
       generate_series(1, CASE WHEN day = '2024-02-07' THEN 40 WHEN extract(isodow FROM day) < 6 THEN 20 ELSE 4 END) i;
-- Salaries: all alike, one without a number, one too large for a sum.
INSERT INTO past SELECT :'A', '2024-01-02 12:00+00'::timestamptz + i * interval '1 hour', 'hcm.salary.set', jsonb_build_object('amount', 4000 + i) FROM generate_series(1, 600) i;
INSERT INTO past VALUES (:'A', '2024-01-02 12:00', 'hcm.salary.set', '{"amount": "4000"}'), (:'A', '2024-01-02 12:01', 'hcm.salary.set', '{"amount": 1e200}');
INSERT INTO past VALUES (:'B', '2024-01-02 12:00', 'pay.invoice.posted', '{"amount": 0}');
-- Failed logins: one to three an hour, and thirty in one.
INSERT INTO past SELECT :'C', hour + i * interval '1 minute', 'sys.login.failed', '{}'
  FROM generate_series('2024-01-01'::timestamptz, '2024-01-20 23:00', interval '1 hour') hour,
       generate_series(1, CASE WHEN hour = '2024-01-18 03:00' THEN 30 ELSE 1 + extract(epoch FROM hour)::bigint / 3600 * 7 % 3 END) i;
DO $$
DECLARE
  e   past;
  row spine.events;
  n   bigint := 0;
  of  uuid;
  previous bytea;
BEGIN
  FOR e IN SELECT * FROM past ORDER BY organization_id, at LOOP
    IF of IS DISTINCT FROM e.organization_id THEN
      of := e.organization_id;
      n := 0;
      previous := decode(repeat('00', 32), 'hex');
    END IF;
    n := n + 1;
    -- An id of version 7, as the spine would have made it then.
    row := ((lpad(to_hex((extract(epoch FROM e.at) * 1000)::bigint), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid, e.event_type, split_part(e.event_type, '.', 1), split_part(e.event_type, '.', 2), of, split_part(e.event_type, '.', 3), of,
            e.actor_type, of, 'test', e.at, 'low', e.payload, n, '7', 'x', previous, previous, decode(repeat('00', 16), 'hex'),
            NULL, NULL, NULL, NULL, NULL, NULL, NULL)::spine.events;
    row.event_hash := spine.event_digest(row);
    previous := row.event_hash;
    INSERT INTO spine.events SELECT row.*;
  END LOOP;
END $$;
SELECT intact, events FROM spine.verify_chain(:'A');

-- Counts, sums, by day and hour.
SELECT * FROM spine.read_series(:'A', 'pay', to_moment => '2024-01-09 13:00');
SELECT moment, value, events FROM spine.read_series(:'A', 'pay.invoice.posted', 'hour', from_moment => '2024-01-03 06:00', to_moment => '2024-01-03 11:59:59');
SELECT moment, round(value::numeric, 2) AS value, events, skipped FROM spine.read_series(:'A', 'pay', 'day', '{amount}', '2024-01-03', '2024-01-05');
SELECT * FROM spine.read_series(:'A', 'pay', 'day', '{line,tax}', '2024-01-03', '2024-01-05');
SELECT * FROM spine.read_series(:'A', NULL, 'day', '{line}', '2024-01-02', '2024-01-04');
SELECT * FROM spine.read_series(:'A', 'hcm', 'day', '{amount}', '2024-01-02', '2024-01-03');
SELECT * FROM spine.read_series(:'A', 'hcm.none.there', to_moment => '2024-01-09');
SELECT * FROM spine.read_series(:'A', 'hcm.none.there', from_moment => '2024-01-08', to_moment => '2024-01-09');
-- What is read equals what is counted, wherever a stretch begins.
SELECT h, count(*) AS differs FROM generate_series(0, 1400, 61) h,
  LATERAL (SELECT '2024-01-01'::timestamptz + h * interval '1 hour' AS since) s,
  LATERAL (SELECT sum(events) AS n FROM spine.read_series(:'A', NULL, 'hour', NULL, since, '2024-02-29')) r
 WHERE coalesce(n, 0) <> (SELECT count(*) FROM past WHERE organization_id = :'A' AND at >= since AND at < '2024-02-29') GROUP BY h;

-- Forecasts.
SELECT moment, round(value) AS value, round(lower) AS lower, round(upper) AS upper FROM spine.forecast(:'A', 'pay', to_moment => '2024-02-12', horizon => 7);
SELECT moment, round(value) AS value FROM spine.forecast(:'A', 'pay', 'hour', to_moment => '2024-02-19') WHERE value > 1 ORDER BY moment LIMIT 8;
SELECT count(*) AS default_days FROM spine.forecast(:'A', 'pay', to_moment => '2024-02-12');
-- No count is below zero; the outlier of the seventh of February is not next week's.
SELECT min(lower) AS least, max(value) < 30 AS outlier_forgotten FROM spine.forecast(:'A', 'pay', to_moment => '2024-02-12', horizon => 200);
SELECT * FROM spine.forecast_limit(:'A', 'pay', to_moment => '2024-02-12', limit_value => 15);
SELECT * FROM spine.forecast_limit(:'A', 'pay', to_moment => '2024-02-12', limit_value => 1000);
SELECT by_forecast FROM spine.forecast_limit(:'A', 'pay', to_moment => '2024-02-12', limit_value => 6, falling => true);

-- The steps that were not as foreseen.
SELECT moment, value, round(forecast) AS forecast, round(lower) AS lower, round(upper) AS upper FROM spine.judge_series(:'A', 'pay', to_moment => '2024-02-19') WHERE outside;
SELECT count(*) FILTER (WHERE forecast IS NULL) AS learning, count(*) AS days FROM spine.judge_series(:'A', 'pay', to_moment => '2024-02-19');
-- The invoices at night, which no day's number shows.
SELECT moment, value, round(forecast::numeric) AS forecast FROM spine.judge_series(:'A', 'pay', 'hour', to_moment => '2024-02-20') WHERE outside AND moment >= '2024-02-12';
-- What the anomaly detector finds, once.
SELECT moment, value, round(score::numeric, 2) AS score, question FROM spine.judge_series(:'C', 'sys', 'hour', to_moment => '2024-01-21') WHERE score >= 0.35;
-- A series that ends.
SELECT min(moment) AS ended FROM spine.judge_series(:'A', 'hcm', to_moment => '2024-02-19') WHERE shifted;

-- Drift, bin by bin.
SELECT bin, before, now, round(share_before::numeric, 3) AS share_before, round(share_now::numeric, 3) AS share_now, round(divergence::numeric, 4) AS divergence, round(stability::numeric, 4) AS stability
  FROM spine.measure_drift(:'A', 'actor_type', '2024-02-19', '2024-02-26') ORDER BY bin;
SELECT dimension, round(sum(divergence)::numeric, 3) AS divergence, round(sum(stability)::numeric, 3) AS stability, count(*) AS bins
  FROM unnest('{event_type,domain,actor_type,severity,hour,weekday}'::text[]) dimension, spine.measure_drift(:'A', dimension, '2024-02-19', '2024-02-26') GROUP BY dimension ORDER BY dimension;
SELECT bin, before, now FROM spine.measure_drift(:'A', 'weekday', '2024-01-08', '2024-01-15', '2024-01-01') ORDER BY bin;
SELECT count(*), sum(divergence) FROM spine.measure_drift(:'A', 'hour', '2025-01-08', '2025-01-15');

-- First digits.
SELECT verdict, round(distance::numeric, 4) AS distance, round(chi_square::numeric, 2) AS chi_square, numbers, skipped, digits FROM spine.test_benford(:'A', 'pay.invoice.posted', '{amount}', '2024-01-01', '2024-03-01');
SELECT verdict, numbers, skipped, digits FROM spine.test_benford(:'A', 'hcm', '{amount}', '2024-01-01', '2024-03-01');
SELECT * FROM spine.test_benford(:'B', 'pay', '{amount}', '2024-01-01', '2024-03-01');

-- Who may read.
CREATE ROLE reader_of_b;
CREATE ROLE reader_of_nothing;
SELECT spine.grant_reader('reader_of_b', ARRAY[:'B']::uuid[]) \g /dev/null
SET ROLE reader_of_b;
SELECT * FROM spine.read_series(:'B', to_moment => '2024-01-04');
SELECT count(*) AS of_another FROM spine.read_series(:'A', to_moment => '2024-02-12');
SELECT count(*) AS of_another FROM spine.measure_drift(:'A', 'hour', '2024-02-19', '2024-02-26');
SELECT verdict FROM spine.test_benford(:'A', 'hcm', '{amount}', '2024-01-01', '2024-03-01');
SELECT * FROM spine.forecast(:'A', to_moment => '2024-02-12');
RESET ROLE;
SET ROLE reader_of_nothing;
SELECT * FROM spine.read_series(:'B');
RESET ROLE;

-- What names no series.
\set VERBOSITY sqlstate
SELECT * FROM spine.read_series(NULL);
SELECT * FROM spine.read_series(:'A', 'pay', 'week');
SELECT * FROM spine.forecast(:'A', 'pay', to_moment => '2024-01-14 13:00');
SELECT * FROM spine.forecast(:'A', 'pay', to_moment => '2024-02-12', horizon => 10001);
\set VERBOSITY default
SELECT * FROM spine.read_series(NULL);
SELECT * FROM spine.read_series(:'A', 'hcm.employee');
SELECT * FROM spine.read_series(:'A', 'Pay');
SELECT * FROM spine.read_series(:'A', 'pay', 'week');
SELECT * FROM spine.read_series(:'A', 'pay', NULL);
SELECT * FROM spine.read_series(:'A', 'pay', 'day', '{}');
SELECT * FROM spine.read_series(:'A', 'pay', 'day', '{amount,NULL}');
SELECT * FROM spine.read_series(:'A', 'pay', 'day', '{{amount},{b}}');
SELECT * FROM spine.read_series(:'A', to_moment => 'infinity');
SELECT * FROM spine.read_series(:'A', from_moment => '2024-01-02 10:00', to_moment => '2024-01-02 20:00');
SELECT * FROM spine.read_series(:'A', step => 'hour', from_moment => '2020-01-02 10:00', to_moment => '2024-01-02 20:00');
SELECT * FROM spine.forecast(:'A', 'pay', to_moment => '2024-01-14 13:00');
SELECT count(*) FROM spine.forecast(:'A', 'pay', to_moment => '2024-01-15');
SELECT * FROM spine.forecast(:'A', 'pay', to_moment => '2024-02-12', horizon => 0);
SELECT * FROM spine.forecast(:'A', 'pay', to_moment => '2024-02-12', width => 'NaN');
SELECT * FROM spine.forecast_limit(:'A', 'pay', to_moment => '2024-02-12');
SELECT * FROM spine.forecast_limit(:'A', 'pay', to_moment => '2024-02-12', limit_value => 'infinity');
SELECT * FROM spine.judge_series(:'A', 'pay', to_moment => '2024-02-12', width => 0);
SELECT * FROM spine.measure_drift(:'A', 'colour');
SELECT * FROM spine.measure_drift(:'A', 'hour', '2024-02-12', '2024-02-11');
SELECT * FROM spine.measure_drift(:'A', 'hour', '2024-02-12', '2024-02-13', '2024-02-12');
SELECT * FROM spine.measure_drift(NULL);
SELECT * FROM spine.test_benford(:'A', 'pay', NULL);
DROP TABLE past;
SELECT spine.revoke_all('reader_of_b') \g /dev/null
DROP ROLE reader_of_b, reader_of_nothing;
