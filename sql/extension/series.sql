-- Series: forecasts, and whether numbers and distributions are what they used to be

CREATE FUNCTION spine.read_series(
  organization_id uuid,
  name            text        DEFAULT NULL,
  step            text        DEFAULT 'day',
  member          text[]      DEFAULT NULL,
  from_moment     timestamptz DEFAULT NULL,
  to_moment       timestamptz DEFAULT NULL
) RETURNS TABLE (
  moment  timestamptz,
  value   double precision,
  events  bigint,
  skipped bigint
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_read_series';
COMMENT ON FUNCTION spine.read_series(uuid, text, text, text[], timestamptz, timestamptz) IS
  'The events of an organization by day or hour (step) of UTC: their number, or the sum of a number in their payloads to '
  'which the keys of member lead. name: an event type or a domain; NULL: all. Whole steps only; by default up to now, from 26 weeks '
  'back by day and 8 by hour, or from the first event. skipped: events without such a number, which add nothing. Sees and '
  'waits as spine.read_events does. Raises SP005 for a null organization, SP150 for what names no series, SP045 for a damaged event, 42501';

CREATE FUNCTION spine.forecast(
  organization_id uuid,
  name            text             DEFAULT NULL,
  step            text             DEFAULT 'day',
  member          text[]           DEFAULT NULL,
  from_moment     timestamptz      DEFAULT NULL,
  to_moment       timestamptz      DEFAULT NULL,
  horizon         integer          DEFAULT NULL,
  width           double precision DEFAULT 1.96
) RETURNS TABLE (
  moment timestamptz,
  value  double precision,
  lower  double precision,
  upper  double precision
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_forecast';
COMMENT ON FUNCTION spine.forecast(uuid, text, text, text[], timestamptz, timestamptz, integer, double precision) IS
  'What the next steps of a series (as spine.read_series takes it) will bring, with a band of so many deviations (width) to either side: '
  'exponential smoothing with a season of a week. horizon: how many steps; by default 14 days, 48 hours. Raises what spine.read_series '
  'does, SP151 where the series is shorter than 14 days, SP152 for a horizon or width that is none';

CREATE FUNCTION spine.forecast_limit(
  organization_id uuid,
  name            text             DEFAULT NULL,
  step            text             DEFAULT 'day',
  member          text[]           DEFAULT NULL,
  from_moment     timestamptz      DEFAULT NULL,
  to_moment       timestamptz      DEFAULT NULL,
  limit_value     double precision DEFAULT NULL,
  falling         boolean          DEFAULT false,
  horizon         integer          DEFAULT NULL,
  width           double precision DEFAULT 1.96
) RETURNS TABLE (
  by_forecast timestamptz,
  by_band     timestamptz
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_forecast_limit';
COMMENT ON FUNCTION spine.forecast_limit(uuid, text, text, text[], timestamptz, timestamptz, double precision, boolean, integer, double precision) IS
  'In which step a series reaches limit_value from below (falling: from above): by its forecast, and by the band''s edge, which comes '
  'first. One row; NULL: not within the horizon. Takes and raises what spine.forecast does, and SP152 for a limit that is no number';

CREATE FUNCTION spine.judge_series(
  organization_id uuid,
  name            text             DEFAULT NULL,
  step            text             DEFAULT 'day',
  member          text[]           DEFAULT NULL,
  from_moment     timestamptz      DEFAULT NULL,
  to_moment       timestamptz      DEFAULT NULL,
  width           double precision DEFAULT 3
) RETURNS TABLE (
  moment   timestamptz,
  value    double precision,
  forecast double precision,
  lower    double precision,
  upper    double precision,
  outside  boolean,
  shifted  boolean,
  score    double precision,
  surprise double precision,
  question text
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_judge_series';
COMMENT ON FUNCTION spine.judge_series(uuid, text, text, text[], timestamptz, timestamptz, double precision) IS
  'Each step of a series (as spine.read_series takes it) against what was expected of it before it came: whether it is outside of the '
  'forecast''s band, whether the errors have shifted (EWMA or CUSUM), and the score of the anomaly detector, 0 to 1, with the surprise '
  'that it comes from and the question that was answered: value, level, restlessness, time_of_day. NULL as long as too little is known. '
  'Raises what spine.read_series does, SP152 for a width that is none';

CREATE FUNCTION spine.measure_drift(
  organization_id uuid,
  dimension       text        DEFAULT 'event_type',
  from_moment     timestamptz DEFAULT NULL,
  to_moment       timestamptz DEFAULT NULL,
  since           timestamptz DEFAULT NULL
) RETURNS TABLE (
  bin          text,
  before       bigint,
  now          bigint,
  share_before double precision,
  share_now    double precision,
  divergence   double precision,
  stability    double precision
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_measure_drift';
COMMENT ON FUNCTION spine.measure_drift(uuid, text, timestamptz, timestamptz, timestamptz) IS
  'How the events of an organization from from_moment to to_moment (by default the last 7 days) differ from those since since (28 days '
  'before them) in one dimension: event_type, domain, actor_type, severity, hour or weekday of UTC. One row a bin. The sum of divergence is '
  'Jensen and Shannon''s in bits (0 the same, 1 nothing in common), that of stability the population stability index; 0 where one side '
  'has no event. Sees and waits as spine.read_events does. Raises SP005 for a null organization, SP150 for another dimension or an empty '
  'stretch, SP045 for a damaged event, 42501';

CREATE FUNCTION spine.test_benford(
  organization_id uuid,
  name            text,
  member          text[],
  from_moment     timestamptz DEFAULT NULL,
  to_moment       timestamptz DEFAULT NULL
) RETURNS TABLE (
  verdict    text,
  distance   double precision,
  chi_square double precision,
  numbers    bigint,
  skipped    bigint,
  digits     bigint[]
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_test_benford';
COMMENT ON FUNCTION spine.test_benford(uuid, text, text[], timestamptz, timestamptz) IS
  'Whether the first digits of a number in the payloads (of the last 365 days by default) follow Benford''s law, as sums of invoices and '
  'expenses do and salaries do not: close, acceptable, marginal, nonconforming by the mean distance of the shares (0.006, 0.012, 0.015), '
  'too_few below 500 numbers. digits: how many begin with 1 to 9; skipped: events without a number, or with 0. Takes and raises what '
  'spine.read_series does';
