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

CREATE TABLE spine.daily_counts (
  organization_id uuid           NOT NULL,
  day             date           NOT NULL,
  -- "C": no other version of a locale puts the index out of order.
  event_type      text COLLATE "C" NOT NULL,
  severity        spine.severity NOT NULL,
  events          bigint         NOT NULL,
  CONSTRAINT daily_counts_pkey PRIMARY KEY (organization_id, day, event_type, severity)
);
CREATE INDEX daily_counts_day_idx ON spine.daily_counts (day);
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
CREATE INDEX daily_actor_counts_day_idx ON spine.daily_actor_counts (day);
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

ALTER TABLE spine.daily_counts ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.daily_counts FOR SELECT USING (spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.daily_counts IS 'As of spine.events';
SELECT pg_catalog.pg_extension_config_dump('spine.daily_counts', '');

ALTER TABLE spine.daily_actor_counts ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.daily_actor_counts FOR SELECT USING (spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.daily_actor_counts IS 'As of spine.events';
SELECT pg_catalog.pg_extension_config_dump('spine.daily_actor_counts', '');

-- An event is looked for between what is counted and the head, so that the planner expects few, and by OFFSET 0 chain by
-- chain: it shall not read the whole table.
CREATE VIEW spine.uncounted_events WITH (security_invoker = true) AS
  SELECT h.organization_id, e.sequence, (e."timestamp" AT TIME ZONE 'UTC')::date AS day, e.event_type, e.domain, e.severity,
         e.actor_type, e.actor_id
    FROM spine.read_chain_heads() h
    LEFT JOIN spine.counted_chains c ON c.organization_id = h.organization_id
   CROSS JOIN LATERAL (SELECT i.sequence, i."timestamp", i.event_type, i.domain, i.severity, i.actor_type, i.actor_id FROM spine.events i
                        WHERE i.organization_id = h.organization_id AND i.sequence > coalesce(c.sequence, 0) AND i.sequence <= h.sequence
                       OFFSET 0) e
   WHERE h.sequence > coalesce(c.sequence, 0);
COMMENT ON VIEW spine.uncounted_events IS 'The events that spine.refresh_dashboards has not counted yet';
COMMENT ON COLUMN spine.uncounted_events.organization_id IS 'The tenant';
COMMENT ON COLUMN spine.uncounted_events.sequence IS 'Place in the organization''s chain';
COMMENT ON COLUMN spine.uncounted_events.day IS 'On which it was chained, in UTC';
COMMENT ON COLUMN spine.uncounted_events.event_type IS '<domain>.<entity>.<action>';
COMMENT ON COLUMN spine.uncounted_events.domain IS 'First part of the event''s name';
COMMENT ON COLUMN spine.uncounted_events.severity IS 'How much the event matters';
COMMENT ON COLUMN spine.uncounted_events.actor_type IS 'What kind of actor acted';
COMMENT ON COLUMN spine.uncounted_events.actor_id IS 'Who acted';

CREATE FUNCTION spine.refresh_dashboards() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_refresh_dashboards';
COMMENT ON FUNCTION spine.refresh_dashboards() IS
  'Counts the events that came since the last call into spine.daily_counts and spine.daily_actor_counts, which makes the '
  'views spine.events_by_… fast, and returns how many they were; NULL to a role that sees a part of spine.events. Needs '
  'EXECUTE and no right to the tables. Others who call it wait until the transaction ends. Raises 0A000 in another '
  'isolation level than READ COMMITTED, 25006 on a standby or in a read-only transaction';

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

CREATE VIEW spine.chain_status WITH (security_invoker = true) AS
  SELECT coalesce(h.organization_id, v.organization_id) AS organization_id, coalesce(h.sequence, 0) AS events, h.event_hash AS head_hash,
         h."timestamp" AS head_timestamp, clock_timestamp() - h."timestamp" AS age,
         v.verified_at, v.verified_by, v.intact, v.last_sequence AS verified_sequence, v.faults
    FROM spine.read_chain_heads() h
    FULL JOIN spine.verifications v ON v.organization_id = h.organization_id;
COMMENT ON VIEW spine.chain_status IS
  'Each chain: its head, and its last verification by spine.record_verification. Fewer events than were verified once are a loss';
COMMENT ON COLUMN spine.chain_status.organization_id IS 'Whose chain';
COMMENT ON COLUMN spine.chain_status.events IS 'The last sequence; 0: a chain that was verified once has no event now';
COMMENT ON COLUMN spine.chain_status.head_hash IS 'The hash of the last event';
COMMENT ON COLUMN spine.chain_status.head_timestamp IS 'When that was chained';
COMMENT ON COLUMN spine.chain_status.age IS 'How long ago that was';
COMMENT ON COLUMN spine.chain_status.verified_at IS 'When the last verification had ended; NULL: none was recorded';
COMMENT ON COLUMN spine.chain_status.verified_by IS 'Who was logged in then';
COMMENT ON COLUMN spine.chain_status.intact IS 'Whether there was no fault';
COMMENT ON COLUMN spine.chain_status.verified_sequence IS 'The last event that was verified';
COMMENT ON COLUMN spine.chain_status.faults IS 'How many faults there were';
