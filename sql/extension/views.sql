-- Views

CREATE VIEW spine.audit_log WITH (security_invoker = true) AS
  SELECT "timestamp" AS moment, organization_id, actor_type, actor_id, action, domain, entity_type, entity_id, severity,
         event_type, payload, environment, recorded_by, sequence, id AS event_id,
         array_remove(ARRAY[CASE WHEN payload_hash IS NOT NULL THEN 'payload' END, CASE WHEN personal_hash IS NOT NULL THEN 'personal' END], NULL) AS erased
    FROM spine.events;
COMMENT ON VIEW spine.audit_log IS
  'The events as an audit log: the actor, the action, the entity, the moment and the severity. Read it by organization_id '
  'and sequence, by entity_id and sequence, by event_id or by moment: these have indexes';
COMMENT ON COLUMN spine.audit_log.moment IS 'When the event was chained';
COMMENT ON COLUMN spine.audit_log.organization_id IS 'The tenant';
COMMENT ON COLUMN spine.audit_log.actor_type IS 'What kind of actor acted';
COMMENT ON COLUMN spine.audit_log.actor_id IS 'Who acted; the nil UUID is the platform itself';
COMMENT ON COLUMN spine.audit_log.action IS 'What was done: third part of the event''s name';
COMMENT ON COLUMN spine.audit_log.domain IS 'First part of the event''s name';
COMMENT ON COLUMN spine.audit_log.entity_type IS 'What kind of entity it was done to: second part of the event''s name';
COMMENT ON COLUMN spine.audit_log.entity_id IS 'To which entity';
COMMENT ON COLUMN spine.audit_log.severity IS 'How much the event matters';
COMMENT ON COLUMN spine.audit_log.event_type IS '<domain>.<entity>.<action>';
COMMENT ON COLUMN spine.audit_log.payload IS 'What else the emitter said; NULL once it was erased';
COMMENT ON COLUMN spine.audit_log.erased IS 'Which parts of the event were erased: payload, personal or none';
COMMENT ON COLUMN spine.audit_log.environment IS 'Of the database in which it happened';
COMMENT ON COLUMN spine.audit_log.recorded_by IS 'The user who was logged in';
COMMENT ON COLUMN spine.audit_log.sequence IS 'Place in the organization''s chain';
COMMENT ON COLUMN spine.audit_log.event_id IS 'Of the event; rises with the moment of emitting';

CREATE VIEW spine.activity_feed WITH (security_invoker = true) AS
  SELECT organization_id, sequence, id AS event_id, "timestamp" AS moment, severity,
         CASE actor_id WHEN '00000000-0000-0000-0000-000000000000' THEN 'The platform' ELSE initcap(actor_type::text) || ' ' || actor_id END
           || ' ' || replace(action, '_', ' ') || ' ' || replace(entity_type, '_', ' ') || ' ' || entity_id || ' in ' || domain AS summary,
         event_type, actor_id, entity_type, entity_id
    FROM spine.events;
COMMENT ON VIEW spine.activity_feed IS
  'What happened, a sentence an event. Page through one organization by sequence, newest first, and through all by event_id';
COMMENT ON COLUMN spine.activity_feed.organization_id IS 'The tenant';
COMMENT ON COLUMN spine.activity_feed.sequence IS 'Place in the organization''s chain';
COMMENT ON COLUMN spine.activity_feed.event_id IS 'Of the event; rises with the moment of emitting';
COMMENT ON COLUMN spine.activity_feed.moment IS 'When the event was chained';
COMMENT ON COLUMN spine.activity_feed.severity IS 'How much the event matters';
COMMENT ON COLUMN spine.activity_feed.summary IS 'The event as a sentence';
COMMENT ON COLUMN spine.activity_feed.event_type IS '<domain>.<entity>.<action>';
COMMENT ON COLUMN spine.activity_feed.actor_id IS 'Who acted; the nil UUID is the platform itself';
COMMENT ON COLUMN spine.activity_feed.entity_type IS 'What kind of entity it was done to: second part of the event''s name';
COMMENT ON COLUMN spine.activity_feed.entity_id IS 'To which entity';

CREATE TABLE spine.counted_chains (
  organization_id uuid   NOT NULL,
  sequence        bigint NOT NULL,
  CONSTRAINT counted_chains_pkey PRIMARY KEY (organization_id)
);
COMMENT ON TABLE spine.counted_chains IS 'How far spine.refresh_dashboards has counted each chain';
COMMENT ON COLUMN spine.counted_chains.organization_id IS 'Whose chain';
COMMENT ON COLUMN spine.counted_chains.sequence IS 'The last event that is counted in spine.daily_counts and spine.daily_actor_counts';
COMMENT ON CONSTRAINT counted_chains_pkey ON spine.counted_chains IS 'One place a chain';
COMMENT ON INDEX spine.counted_chains_pkey IS 'Finds the place of a chain';

CREATE TABLE spine.dashboard_progress (
  one              boolean NOT NULL DEFAULT true,
  -- A clock's moment as the least id of that moment: it is compared with ids alone.
  counted_before   uuid    NOT NULL,
  next_id          uuid,
  counted_then     uuid,
  next_before      uuid,
  next_transaction xid8,
  next_chain       uuid    NOT NULL,
  CONSTRAINT dashboard_progress_pkey PRIMARY KEY (one),
  CONSTRAINT dashboard_progress_one_check CHECK (one)
);
COMMENT ON TABLE spine.dashboard_progress IS 'How far spine.refresh_dashboards has come in the order of ids, in one row';
COMMENT ON COLUMN spine.dashboard_progress.one IS 'There is one row';
COMMENT ON COLUMN spine.dashboard_progress.counted_before IS
  'All events with an id before this one are counted, but for those that came into the table later than their ids say';
COMMENT ON COLUMN spine.dashboard_progress.next_id IS 'Where the next step goes on; NULL: all that was asked for is done';
COMMENT ON COLUMN spine.dashboard_progress.counted_then IS 'What counted_before becomes once those steps are done';
COMMENT ON COLUMN spine.dashboard_progress.next_before IS 'What it may become once the transactions before next_transaction have ended';
COMMENT ON COLUMN spine.dashboard_progress.next_transaction IS 'The first transaction all of whose events have ids from next_before on';
COMMENT ON COLUMN spine.dashboard_progress.next_chain IS 'Behind which organization the chains are looked through for events that came late';
COMMENT ON CONSTRAINT dashboard_progress_pkey ON spine.dashboard_progress IS 'There is one row';
COMMENT ON CONSTRAINT dashboard_progress_one_check ON spine.dashboard_progress IS 'There is one row';
COMMENT ON INDEX spine.dashboard_progress_pkey IS 'Has that row locked by one at a time';

CREATE TABLE spine.daily_totals (
  day        date             NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  severity   spine.severity   NOT NULL,
  actor_type spine.actor_type NOT NULL,
  events     bigint           NOT NULL,
  CONSTRAINT daily_totals_pkey PRIMARY KEY (day, event_type, severity, actor_type)
);
COMMENT ON TABLE spine.daily_totals IS
  'Counted events of all organizations together, written by spine.refresh_dashboards; the views spine.totals_by_… add the rest';
COMMENT ON COLUMN spine.daily_totals.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.daily_totals.event_type IS 'Of which type they are';
COMMENT ON COLUMN spine.daily_totals.severity IS 'How much they matter';
COMMENT ON COLUMN spine.daily_totals.actor_type IS 'What kind of actor acted';
COMMENT ON COLUMN spine.daily_totals.events IS 'How many there are';
COMMENT ON CONSTRAINT daily_totals_pkey ON spine.daily_totals IS 'Nothing is counted twice';
COMMENT ON INDEX spine.daily_totals_pkey IS 'Finds the totals of a span of days';

CREATE TABLE spine.daily_counts (
  organization_id uuid           NOT NULL,
  day             date           NOT NULL,
  -- "C": no other version of a locale puts the index out of order.
  event_type      text COLLATE "C" NOT NULL,
  severity        spine.severity NOT NULL,
  events          bigint         NOT NULL,
  CONSTRAINT daily_counts_pkey PRIMARY KEY (organization_id, day, event_type, severity)
);
CREATE INDEX daily_counts_day_idx ON spine.daily_counts USING brin (day);
COMMENT ON TABLE spine.daily_counts IS
  'Counted events by day, type and severity, written by spine.refresh_dashboards; the views spine.events_by_… add the rest';
COMMENT ON COLUMN spine.daily_counts.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.daily_counts.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.daily_counts.event_type IS 'Of which type they are';
COMMENT ON COLUMN spine.daily_counts.severity IS 'How much they matter';
COMMENT ON COLUMN spine.daily_counts.events IS 'How many there are';
COMMENT ON CONSTRAINT daily_counts_pkey ON spine.daily_counts IS 'Nothing is counted twice';
COMMENT ON INDEX spine.daily_counts_pkey IS 'Finds the counts of an organization';
COMMENT ON INDEX spine.daily_counts_day_idx IS 'Finds the counts of a span of days';

CREATE TABLE spine.daily_actor_counts (
  organization_id uuid             NOT NULL,
  day             date             NOT NULL,
  actor_type      spine.actor_type NOT NULL,
  actor_id        uuid             NOT NULL,
  events          bigint           NOT NULL,
  CONSTRAINT daily_actor_counts_pkey PRIMARY KEY (organization_id, day, actor_type, actor_id)
);
CREATE INDEX daily_actor_counts_day_idx ON spine.daily_actor_counts USING brin (day);
COMMENT ON TABLE spine.daily_actor_counts IS
  'Counted events by day and actor, written by spine.refresh_dashboards; the view spine.events_by_actor adds the rest';
COMMENT ON COLUMN spine.daily_actor_counts.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.daily_actor_counts.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.daily_actor_counts.actor_type IS 'What kind of actor acted';
COMMENT ON COLUMN spine.daily_actor_counts.actor_id IS 'Who acted';
COMMENT ON COLUMN spine.daily_actor_counts.events IS 'How many there are';
COMMENT ON CONSTRAINT daily_actor_counts_pkey ON spine.daily_actor_counts IS 'Nothing is counted twice';
COMMENT ON INDEX spine.daily_actor_counts_pkey IS 'Finds the counts of an organization';
COMMENT ON INDEX spine.daily_actor_counts_day_idx IS 'Finds the counts of a span of days';

ALTER TABLE spine.counted_chains ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.counted_chains FOR SELECT USING (spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.counted_chains IS 'As of spine.events';
SELECT pg_catalog.pg_extension_config_dump('spine.counted_chains', '');

SELECT pg_catalog.pg_extension_config_dump('spine.dashboard_progress', '');

ALTER TABLE spine.daily_totals ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.daily_totals FOR SELECT USING (spine.may_read_all());
COMMENT ON POLICY read_given ON spine.daily_totals IS 'For who may read the events of every organization';
SELECT pg_catalog.pg_extension_config_dump('spine.daily_totals', '');

ALTER TABLE spine.daily_counts ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.daily_counts FOR SELECT USING (spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.daily_counts IS 'As of spine.events';
SELECT pg_catalog.pg_extension_config_dump('spine.daily_counts', '');

ALTER TABLE spine.daily_actor_counts ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.daily_actor_counts FOR SELECT USING (spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.daily_actor_counts IS 'As of spine.events';
SELECT pg_catalog.pg_extension_config_dump('spine.daily_actor_counts', '');

CREATE FUNCTION spine.uncounted_from() RETURNS uuid
  LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_uncounted_from';
COMMENT ON FUNCTION spine.uncounted_from() IS
  'The least id that an event can have which spine.refresh_dashboards has not counted. The planner asks it too, and so knows how '
  'few they are';

CREATE VIEW spine.uncounted_events WITH (security_invoker = true) AS
  SELECT e.organization_id, e.sequence, (e."timestamp" AT TIME ZONE 'UTC')::date AS day, e.event_type, e.domain, e.severity,
         e.actor_type, e.actor_id
    FROM spine.events e
    LEFT JOIN spine.counted_chains c ON c.organization_id = e.organization_id
   WHERE e.id >= spine.uncounted_from() AND e.sequence > coalesce(c.sequence, 0);
COMMENT ON VIEW spine.uncounted_events IS 'The events that spine.refresh_dashboards has not counted yet';
COMMENT ON COLUMN spine.uncounted_events.organization_id IS 'The tenant';
COMMENT ON COLUMN spine.uncounted_events.sequence IS 'Place in the organization''s chain';
COMMENT ON COLUMN spine.uncounted_events.day IS 'On which it was chained, in UTC';
COMMENT ON COLUMN spine.uncounted_events.event_type IS '<domain>.<entity>.<action>';
COMMENT ON COLUMN spine.uncounted_events.domain IS 'First part of the event''s name';
COMMENT ON COLUMN spine.uncounted_events.severity IS 'How much the event matters';
COMMENT ON COLUMN spine.uncounted_events.actor_type IS 'What kind of actor acted';
COMMENT ON COLUMN spine.uncounted_events.actor_id IS 'Who acted';

CREATE FUNCTION spine.refresh_dashboards(max_events bigint DEFAULT NULL, since timestamptz DEFAULT NULL) RETURNS TABLE (
  events bigint,
  more   boolean
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_refresh_dashboards';
COMMENT ON FUNCTION spine.refresh_dashboards(bigint, timestamptz) IS
  'Counts the events that came since the last call, at most about max_events of them (NULL: all), into spine.daily_counts, '
  'spine.daily_actor_counts and spine.daily_totals, which makes the views spine.events_by_… and spine.totals_by_… fast. Returns how '
  'many they were (NULL to a role that sees a part of spine.events) and whether there are more. since: looks again at all events '
  'whose ids are of that moment or later, for those that came into the table later than their ids say. Needs EXECUTE and no right to '
  'the tables. Others who call it wait until the transaction ends, and nobody else. Raises SP019 where max_events is below 1, 0A000 in '
  'another isolation level than READ COMMITTED, 25006 on a standby or in a read-only transaction';

-- What is summed up below. A row of it is no total: an event that is not counted yet has a row of its own.
CREATE VIEW spine.event_counts WITH (security_invoker = true) AS
  SELECT organization_id, day, event_type, split_part(event_type, '.', 1) AS domain, severity, events FROM spine.daily_counts
  UNION ALL
  SELECT organization_id, day, event_type COLLATE "C", domain COLLATE "C", severity, 1 FROM spine.uncounted_events;
COMMENT ON VIEW spine.event_counts IS 'Numbers of events, counted or not, that the views spine.events_by_… sum up';
COMMENT ON COLUMN spine.event_counts.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.event_counts.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.event_counts.event_type IS 'Their name';
COMMENT ON COLUMN spine.event_counts.domain IS 'First part of their name';
COMMENT ON COLUMN spine.event_counts.severity IS 'How much they matter';
COMMENT ON COLUMN spine.event_counts.events IS 'How many the row stands for';

CREATE VIEW spine.events_by_day WITH (security_invoker = true) AS
  SELECT organization_id, day, sum(events)::bigint AS events FROM spine.event_counts GROUP BY organization_id, day;
COMMENT ON VIEW spine.events_by_day IS
  'How many events there are by organization and day: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.events_by_day.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.events_by_day.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.events_by_day.events IS 'How many there are';

CREATE VIEW spine.events_by_domain WITH (security_invoker = true) AS
  SELECT organization_id, day, domain, sum(events)::bigint AS events FROM spine.event_counts GROUP BY organization_id, day, domain;
COMMENT ON VIEW spine.events_by_domain IS
  'How many events there are by organization, day and domain: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.events_by_domain.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.events_by_domain.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.events_by_domain.domain IS 'First part of their name';
COMMENT ON COLUMN spine.events_by_domain.events IS 'How many there are';

CREATE VIEW spine.events_by_type WITH (security_invoker = true) AS
  SELECT organization_id, day, event_type, sum(events)::bigint AS events FROM spine.event_counts GROUP BY organization_id, day, event_type;
COMMENT ON VIEW spine.events_by_type IS
  'How many events there are by organization, day and type: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.events_by_type.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.events_by_type.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.events_by_type.event_type IS 'Their name';
COMMENT ON COLUMN spine.events_by_type.events IS 'How many there are';

CREATE VIEW spine.events_by_severity WITH (security_invoker = true) AS
  SELECT organization_id, day, severity, sum(events)::bigint AS events FROM spine.event_counts GROUP BY organization_id, day, severity;
COMMENT ON VIEW spine.events_by_severity IS
  'How many events there are by organization, day and severity: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.events_by_severity.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.events_by_severity.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.events_by_severity.severity IS 'How much they matter';
COMMENT ON COLUMN spine.events_by_severity.events IS 'How many there are';

CREATE VIEW spine.events_by_actor WITH (security_invoker = true) AS
  SELECT organization_id, day, actor_type, actor_id, sum(events)::bigint AS events
    FROM (SELECT organization_id, day, actor_type, actor_id, events FROM spine.daily_actor_counts
          UNION ALL
          SELECT organization_id, day, actor_type, actor_id, 1 FROM spine.uncounted_events) counts
   GROUP BY organization_id, day, actor_type, actor_id;
COMMENT ON VIEW spine.events_by_actor IS
  'How many events there are by organization, day and actor: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.events_by_actor.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.events_by_actor.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.events_by_actor.actor_type IS 'What kind of actor acted';
COMMENT ON COLUMN spine.events_by_actor.actor_id IS 'Who acted';
COMMENT ON COLUMN spine.events_by_actor.events IS 'How many there are';

CREATE VIEW spine.total_counts WITH (security_invoker = true) AS
  SELECT day, event_type, split_part(event_type, '.', 1) AS domain, severity, actor_type, events FROM spine.daily_totals
  UNION ALL
  SELECT day, event_type COLLATE "C", domain COLLATE "C", severity, actor_type, 1 FROM spine.uncounted_events WHERE spine.may_read_all();
COMMENT ON VIEW spine.total_counts IS
  'Numbers of events of all organizations, counted or not, that the views spine.totals_by_… sum up; for who may read them all';
COMMENT ON COLUMN spine.total_counts.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.total_counts.event_type IS 'Their name';
COMMENT ON COLUMN spine.total_counts.domain IS 'First part of their name';
COMMENT ON COLUMN spine.total_counts.severity IS 'How much they matter';
COMMENT ON COLUMN spine.total_counts.actor_type IS 'What kind of actor acted';
COMMENT ON COLUMN spine.total_counts.events IS 'How many the row stands for';

CREATE VIEW spine.totals_by_day WITH (security_invoker = true) AS
  SELECT day, sum(events)::bigint AS events FROM spine.total_counts GROUP BY day;
COMMENT ON VIEW spine.totals_by_day IS
  'How many events all organizations have by day: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.totals_by_day.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.totals_by_day.events IS 'How many there are';

CREATE VIEW spine.totals_by_domain WITH (security_invoker = true) AS
  SELECT day, domain, sum(events)::bigint AS events FROM spine.total_counts GROUP BY day, domain;
COMMENT ON VIEW spine.totals_by_domain IS
  'How many events all organizations have by day and domain: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.totals_by_domain.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.totals_by_domain.domain IS 'First part of their name';
COMMENT ON COLUMN spine.totals_by_domain.events IS 'How many there are';

CREATE VIEW spine.totals_by_type WITH (security_invoker = true) AS
  SELECT day, event_type, sum(events)::bigint AS events FROM spine.total_counts GROUP BY day, event_type;
COMMENT ON VIEW spine.totals_by_type IS
  'How many events all organizations have by day and type: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.totals_by_type.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.totals_by_type.event_type IS 'Their name';
COMMENT ON COLUMN spine.totals_by_type.events IS 'How many there are';

CREATE VIEW spine.totals_by_severity WITH (security_invoker = true) AS
  SELECT day, severity, sum(events)::bigint AS events FROM spine.total_counts GROUP BY day, severity;
COMMENT ON VIEW spine.totals_by_severity IS
  'How many events all organizations have by day and severity: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.totals_by_severity.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.totals_by_severity.severity IS 'How much they matter';
COMMENT ON COLUMN spine.totals_by_severity.events IS 'How many there are';

CREATE VIEW spine.totals_by_actor_type WITH (security_invoker = true) AS
  SELECT day, actor_type, sum(events)::bigint AS events FROM spine.total_counts GROUP BY day, actor_type;
COMMENT ON VIEW spine.totals_by_actor_type IS
  'How many events all organizations have by day and kind of actor: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.totals_by_actor_type.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.totals_by_actor_type.actor_type IS 'What kind of actor acted';
COMMENT ON COLUMN spine.totals_by_actor_type.events IS 'How many there are';

CREATE FUNCTION spine.read_chain_status(after_organization uuid DEFAULT NULL, max_chains bigint DEFAULT 1000) RETURNS TABLE (
  organization_id   uuid,
  events            bigint,
  head_hash         bytea,
  head_timestamp    timestamptz,
  age               interval,
  verified_at       timestamptz,
  verified_by       text,
  intact            boolean,
  verified_sequence bigint,
  faults            bigint
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_read_chain_status';
COMMENT ON FUNCTION spine.read_chain_status(uuid, bigint) IS
  'A page of spine.chain_status: at most max_chains rows, in the order of their organizations, behind after_organization. It takes as '
  'many index lookups as it has rows. Needs and raises what spine.read_chain_heads does, and SP019 where max_chains is NULL';

CREATE VIEW spine.chain_status WITH (security_invoker = true) AS
  SELECT coalesce(h.organization_id, v.organization_id) AS organization_id, coalesce(h.sequence, 0) AS events, h.event_hash AS head_hash,
         h."timestamp" AS head_timestamp, clock_timestamp() - h."timestamp" AS age,
         v.verified_at, v.verified_by, v.intact, v.last_sequence AS verified_sequence, v.faults
    FROM spine.read_chain_heads() h
    FULL JOIN spine.verifications v ON v.organization_id = h.organization_id;
COMMENT ON VIEW spine.chain_status IS
  'Each chain: its head, and its last verification by spine.record_verification. Fewer events than were verified once are a loss';
COMMENT ON COLUMN spine.chain_status.organization_id IS 'Whose chain';
COMMENT ON COLUMN spine.chain_status.events IS 'The last sequence, retired or not; 0: a chain that was verified once has no event now';
COMMENT ON COLUMN spine.chain_status.head_hash IS 'The hash of the last event';
COMMENT ON COLUMN spine.chain_status.head_timestamp IS 'When that was chained';
COMMENT ON COLUMN spine.chain_status.age IS 'How long ago that was';
COMMENT ON COLUMN spine.chain_status.verified_at IS 'When the last verification had ended; NULL: none was recorded';
COMMENT ON COLUMN spine.chain_status.verified_by IS 'Who was logged in then';
COMMENT ON COLUMN spine.chain_status.intact IS 'Whether there was no fault';
COMMENT ON COLUMN spine.chain_status.verified_sequence IS 'The last event that was verified';
COMMENT ON COLUMN spine.chain_status.faults IS 'How many faults there were';
