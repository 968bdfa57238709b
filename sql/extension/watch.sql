-- The watch: rules over the events, and what they find

CREATE TABLE spine.rules (
  name               text COLLATE "C" NOT NULL,
  version            integer          NOT NULL,
  definition_version integer          NOT NULL,
  title              text             NOT NULL,
  description        text             NOT NULL,
  severity           spine.severity   NOT NULL,
  domain             text COLLATE "C" NOT NULL,
  control            text[]           NOT NULL,
  definition         jsonb            NOT NULL,
  tests              jsonb            NOT NULL,
  enabled            boolean          NOT NULL,
  owner              text             NOT NULL,
  reason             text             NOT NULL,
  set_at             timestamptz      NOT NULL,
  CONSTRAINT rules_pkey PRIMARY KEY (name, version)
);
COMMENT ON TABLE spine.rules IS
  'The rules of the watch, in each version that there was: written by spine.set_rule and enable_rule. The highest version counts. '
  'No row is ever changed or removed';
COMMENT ON COLUMN spine.rules.name IS 'What the functions know it by: [a-z][a-z0-9_]{0,62}';
COMMENT ON COLUMN spine.rules.version IS 'From 1 on, one more with each change';
COMMENT ON COLUMN spine.rules.definition_version IS
  'The version with which this definition came: what the rule remembers is kept as long as that is the same';
COMMENT ON COLUMN spine.rules.title IS 'From the definition';
COMMENT ON COLUMN spine.rules.description IS 'From the definition: what it sees, and what it cannot';
COMMENT ON COLUMN spine.rules.severity IS 'Of its findings: the level of the definition; medium where it has none';
COMMENT ON COLUMN spine.rules.domain IS 'What it is about, such as payroll';
COMMENT ON COLUMN spine.rules.control IS 'The controls that it serves, such as ''SOX 404''';
COMMENT ON COLUMN spine.rules.definition IS 'A Sigma rule, or an array of such with a correlation: docs/watch.md';
COMMENT ON COLUMN spine.rules.tests IS 'Events that it must and must not find something in: spine.test_rule runs them';
COMMENT ON COLUMN spine.rules.enabled IS 'Whether spine.run_watch goes by it';
COMMENT ON COLUMN spine.rules.owner IS 'The role that set this version';
COMMENT ON COLUMN spine.rules.reason IS 'Why it was set';
COMMENT ON COLUMN spine.rules.set_at IS 'When that was';
COMMENT ON CONSTRAINT rules_pkey ON spine.rules IS 'A version is one definition';
COMMENT ON INDEX spine.rules_pkey IS 'Finds the versions of a rule';

CREATE TABLE spine.calendars (
  organization_id uuid        NOT NULL,
  version         integer     NOT NULL,
  timezone        text        NOT NULL,
  working_days    integer[]   NOT NULL,
  opens           integer     NOT NULL,
  closes          integer     NOT NULL,
  holidays        date[]      NOT NULL,
  owner           text        NOT NULL,
  reason          text        NOT NULL,
  set_at          timestamptz NOT NULL,
  CONSTRAINT calendars_pkey PRIMARY KEY (organization_id, version)
);
COMMENT ON TABLE spine.calendars IS
  'When the organizations work, in each version that there was: written by spine.set_calendar. The highest version counts. No row is '
  'ever changed or removed';
COMMENT ON COLUMN spine.calendars.organization_id IS 'Whose calendar it is; the nil UUID: of every organization without one of its own';
COMMENT ON COLUMN spine.calendars.version IS 'From 1 on, one more with each change';
COMMENT ON COLUMN spine.calendars.timezone IS 'Where it works, such as Europe/Berlin';
COMMENT ON COLUMN spine.calendars.working_days IS 'On which days of the week: 1 is Monday, 7 is Sunday';
COMMENT ON COLUMN spine.calendars.opens IS 'From which hour on, 0 to 23';
COMMENT ON COLUMN spine.calendars.closes IS 'Up to which hour, 1 to 24';
COMMENT ON COLUMN spine.calendars.holidays IS 'On which days not';
COMMENT ON COLUMN spine.calendars.owner IS 'The role that set this version';
COMMENT ON COLUMN spine.calendars.reason IS 'Why it was set';
COMMENT ON COLUMN spine.calendars.set_at IS 'When that was';
COMMENT ON CONSTRAINT calendars_pkey ON spine.calendars IS 'A version is one calendar';
COMMENT ON INDEX spine.calendars_pkey IS 'Finds the calendar of an organization';

CREATE TABLE spine.watch_positions (
  organization_id uuid        NOT NULL,
  sequence        bigint      NOT NULL,
  last_timestamp  timestamptz NOT NULL,
  states          bigint      NOT NULL,
  dropped         bigint      NOT NULL,
  CONSTRAINT watch_positions_pkey PRIMARY KEY (organization_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE spine.watch_positions IS 'How far the watch is in each organization: written by spine.run_watch';
COMMENT ON COLUMN spine.watch_positions.organization_id IS 'The organization';
COMMENT ON COLUMN spine.watch_positions.sequence IS 'All events up to this one were judged';
COMMENT ON COLUMN spine.watch_positions.last_timestamp IS 'When that one was chained';
COMMENT ON COLUMN spine.watch_positions.states IS 'How many rows of spine.watch_states it has: at most 1,000,000';
COMMENT ON COLUMN spine.watch_positions.dropped IS 'How many of them were given up before their time, because there were more';
COMMENT ON CONSTRAINT watch_positions_pkey ON spine.watch_positions IS 'One position in each organization';
COMMENT ON INDEX spine.watch_positions_pkey IS 'Finds the position in an organization';

CREATE TABLE spine.watch_states (
  organization_id    uuid    NOT NULL,
  key                uuid    NOT NULL,
  rule               text COLLATE "C" NOT NULL,
  definition_version integer NOT NULL,
  due_at             timestamptz,
  expires_on         date    NOT NULL,
  state              bytea   NOT NULL,
  CONSTRAINT watch_states_pkey PRIMARY KEY (organization_id, key)
) WITH (fillfactor = 70);
CREATE INDEX watch_states_due_at_idx ON spine.watch_states (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX watch_states_expires_on_idx ON spine.watch_states (organization_id, expires_on);
COMMENT ON TABLE spine.watch_states IS
  'What the rules remember between two runs, a row for each group of events: times, sequences, digests of values, and numbers that are '
  'added up. Written by spine.run_watch, which removes what no window holds any more';
COMMENT ON COLUMN spine.watch_states.organization_id IS 'Whose events they are';
COMMENT ON COLUMN spine.watch_states.key IS 'A digest of the rule, its definition and what the events of the group have in common';
COMMENT ON COLUMN spine.watch_states.rule IS 'The rule';
COMMENT ON COLUMN spine.watch_states.definition_version IS 'In which definition: what another one remembered, nobody asks for any more';
COMMENT ON COLUMN spine.watch_states.due_at IS 'When what the rule awaits is late; NULL: it awaits nothing';
COMMENT ON COLUMN spine.watch_states.expires_on IS 'From which day on nothing of it can matter';
COMMENT ON COLUMN spine.watch_states.state IS 'Times and sequences of the events within the window';
COMMENT ON CONSTRAINT watch_states_pkey ON spine.watch_states IS 'One state of each group';
COMMENT ON INDEX spine.watch_states_pkey IS 'Finds the state of a group';
COMMENT ON INDEX spine.watch_states_due_at_idx IS 'Finds what is late';
COMMENT ON INDEX spine.watch_states_expires_on_idx IS 'Finds what can go';

CREATE TABLE spine.finding_records (
  organization_id uuid        NOT NULL,
  id              uuid        NOT NULL,
  rule            text COLLATE "C" NOT NULL,
  rule_version    integer     NOT NULL,
  raised_event    uuid        NOT NULL,
  repeats         bigint      NOT NULL,
  last_repeat     timestamptz,
  closed_event    uuid,
  CONSTRAINT finding_records_pkey PRIMARY KEY (organization_id, id)
) WITH (fillfactor = 70);
CREATE INDEX finding_records_id_idx ON spine.finding_records (id);
COMMENT ON TABLE spine.finding_records IS
  'Where the findings are: their events say what they are. Written by spine.run_watch and close_finding; spine.findings shows them';
COMMENT ON COLUMN spine.finding_records.organization_id IS 'Whose events it is about';
COMMENT ON COLUMN spine.finding_records.id IS 'Of the finding: the entity of its events';
COMMENT ON COLUMN spine.finding_records.rule IS 'The rule that found it';
COMMENT ON COLUMN spine.finding_records.rule_version IS 'In which version';
COMMENT ON COLUMN spine.finding_records.raised_event IS 'The event platform.finding.raised';
COMMENT ON COLUMN spine.finding_records.repeats IS 'How often the same came again while the finding was told once';
COMMENT ON COLUMN spine.finding_records.last_repeat IS 'When that was last; NULL: never';
COMMENT ON COLUMN spine.finding_records.closed_event IS 'The last event that closed it; NULL: it is open';
COMMENT ON CONSTRAINT finding_records_pkey ON spine.finding_records IS 'A finding is there once';
COMMENT ON INDEX spine.finding_records_pkey IS 'Finds the findings of an organization';
COMMENT ON INDEX spine.finding_records_id_idx IS 'Finds a finding';

DO $$
DECLARE
  one text;
BEGIN
  FOREACH one IN ARRAY '{rules,calendars}'::text[] LOOP
    EXECUTE pg_catalog.format('CREATE TRIGGER keep_record BEFORE UPDATE OR DELETE OR TRUNCATE ON spine.%I'
      ' FOR EACH STATEMENT EXECUTE FUNCTION spine.keep_record()', one);
    -- Logical replication fires only those for rows.
    EXECUTE pg_catalog.format('CREATE TRIGGER keep_record_row BEFORE UPDATE OR DELETE ON spine.%I'
      ' FOR EACH ROW EXECUTE FUNCTION spine.keep_record()', one);
    EXECUTE pg_catalog.format('ALTER TABLE spine.%I ENABLE ALWAYS TRIGGER keep_record, ENABLE ALWAYS TRIGGER keep_record_row', one);
    EXECUTE pg_catalog.format('COMMENT ON TRIGGER keep_record ON spine.%I IS %L', one, 'Has its rows stay as they are');
    EXECUTE pg_catalog.format('COMMENT ON TRIGGER keep_record_row ON spine.%I IS %L', one, 'Does so where only row triggers fire');
  END LOOP;
  FOREACH one IN ARRAY '{rules,calendars,watch_positions,watch_states,finding_records}'::text[] LOOP
    EXECUTE pg_catalog.format('SELECT pg_catalog.pg_extension_config_dump(%L, '''')', 'spine.' || one);
  END LOOP;
END
$$;

ALTER TABLE spine.calendars ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.calendars FOR SELECT
  USING (organization_id = '00000000-0000-0000-0000-000000000000' OR spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.calendars IS 'As of spine.events; what holds for all, every reader sees';
ALTER TABLE spine.finding_records ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.finding_records FOR SELECT USING (spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.finding_records IS 'As of spine.events';

CREATE FUNCTION spine.set_rule(
  name       text,
  definition jsonb,
  tests      jsonb,
  reason     text,
  domain     text    DEFAULT 'general',
  control    text[]  DEFAULT '{}',
  enabled    boolean DEFAULT true
) RETURNS integer
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_set_rule';
COMMENT ON FUNCTION spine.set_rule(text, jsonb, jsonb, text, text, text[], boolean) IS
  'Sets a rule of the watch, or the next version of one, and returns the version''s number. definition: a Sigma rule, or an array of '
  'rules and the correlation that joins them. tests: an array of tests, of which at least one finds something and one finds nothing; '
  'all must pass. Emits platform.rule.set in the platform''s chain. Needs spine.grant_watcher. Raises SP130 for a bad definition and '
  'says where, SP131 for a part of Sigma that is not evaluated, SP132 for bad tests, SP133 for a test that fails, SP134 for a bad '
  'name, 22004 for no reason, 42501, 25006, and what spine.emit_event raises';

CREATE FUNCTION spine.enable_rule(name text, enabled boolean, reason text) RETURNS integer
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_enable_rule';
COMMENT ON FUNCTION spine.enable_rule(text, boolean, text) IS
  'Turns a rule on or off: sets its next version, with the same definition, and returns that version''s number. Emits platform.rule.set '
  'in the platform''s chain. Needs spine.grant_watcher. Raises SP135 for an unknown rule, 22004 for no reason, 42501, 25006, and what '
  'spine.emit_event raises';

CREATE FUNCTION spine.test_rule(rule text) RETURNS TABLE (
  test     text,
  expected bigint,
  found    bigint,
  passed   boolean,
  sentence text
)
  LANGUAGE c STABLE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_test_rule';
COMMENT ON FUNCTION spine.test_rule(text) IS
  'Runs the tests of a rule, in its last version, on the events that they hold and no other: one row for each, with how many findings '
  'it expects and how many there are, and the first one''s sentence. Raises SP135 for an unknown rule';

CREATE FUNCTION spine.backtest_rule(
  rule            text,
  from_timestamp  timestamptz DEFAULT NULL,
  to_timestamp    timestamptz DEFAULT NULL,
  organization_id uuid        DEFAULT NULL
) RETURNS TABLE (
  of_organization uuid,
  found_at        timestamptz,
  repeats         bigint,
  sequences       bigint[],
  sentence        text
)
  LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_backtest_rule';
COMMENT ON FUNCTION spine.backtest_rule(text, timestamptz, timestamptz, uuid) IS
  'What a rule, in its last version, enabled or not, would have found in the events that the role may read, chained from one moment to '
  'another, both included, of one organization or all: one row for each finding. Stores nothing. Raises SP135 for an unknown rule, '
  'SP045 for a damaged event, 42501';

CREATE FUNCTION spine.run_watch(max_events integer DEFAULT 100000) RETURNS TABLE (
  events   bigint,
  findings bigint,
  repeats  bigint
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_run_watch';
COMMENT ON FUNCTION spine.run_watch(integer) IS
  'Judges the events that came since the last call, at most that many, by the rules that are enabled, and looks for what is late by now. '
  'Each finding is an event platform.finding.raised in its organization''s chain; events and findings are dealt with in one '
  'transaction, once. Returns how many events it judged, how many findings it raised, and how often one came again. Needs '
  'spine.grant_watcher. Raises SP136 where the subscription platform.watch is not its own, SP137 for max_events below 1, SP046 for a '
  'damaged row of its tables, SP045 for a damaged event, 42501, 25006, 40001 in REPEATABLE READ and SERIALIZABLE, and what '
  'spine.emit_event raises';

CREATE FUNCTION spine.close_finding(id uuid, verdict text, reason text) RETURNS uuid
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_close_finding';
COMMENT ON FUNCTION spine.close_finding(uuid, text, text) IS
  'Closes a finding, or judges a closed one anew: verdict is confirmed, dismissed, or closed where nobody can tell. Emits '
  'platform.finding.confirmed, dismissed or closed in the organization''s chain, and returns the event''s id. Needs EXECUTE, and a right '
  'to read the organization. Raises SP138 for an unknown finding, SP139 for another verdict, 22004 for no reason, SP004 where no actor is '
  'set, for a person answers for it, 42501, 25006, and what spine.emit_event raises';

CREATE FUNCTION spine.set_calendar(
  organization_id uuid,
  timezone        text,
  reason          text,
  holidays        date[]    DEFAULT '{}',
  working_days    integer[] DEFAULT '{1,2,3,4,5}',
  opens           integer   DEFAULT 7,
  closes          integer   DEFAULT 19
) RETURNS integer
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_set_calendar';
COMMENT ON FUNCTION spine.set_calendar(uuid, text, text, date[], integer[], integer, integer) IS
  'Sets when an organization works, or with a null organization each that has no calendar of its own, in place of what was set before, '
  'and returns the version''s number: on which days of the week, from which hour to which, on which days not. Emits '
  'platform.calendar.set in the organization''s chain, or the platform''s. Without a calendar rules on nights, weekends and holidays '
  'find nothing. Needs spine.grant_watcher. Raises SP140 for what is no calendar, 22004 for no reason, 42501, 25006, and what '
  'spine.emit_event raises';

CREATE VIEW spine.findings WITH (security_invoker = true) AS
  SELECT f.organization_id, f.id, f.rule, f.rule_version, r.severity, r."timestamp" AS raised_at, r.sequence,
         r.payload ->> 'title' AS title, r.payload ->> 'sentence' AS sentence, r.payload -> 'numbers' AS numbers, r.payload -> 'events' AS events,
         (r.payload ->> 'to')::timestamptz AS happened_at, f.repeats, f.last_repeat, c.action AS verdict, c."timestamp" AS closed_at, c.actor_id AS closed_by, c.payload ->> 'reason' AS reason
    FROM spine.finding_records f
    LEFT JOIN spine.events r ON r.id = f.raised_event AND r.organization_id = f.organization_id
    LEFT JOIN spine.events c ON c.id = f.closed_event AND c.organization_id = f.organization_id;
COMMENT ON VIEW spine.findings IS
  'The findings of the organizations that the current role may read: what the events platform.finding.… say; of one whose event was '
  'retired the rule and the repeats alone. Needs SELECT';
COMMENT ON COLUMN spine.findings.organization_id IS 'Whose events it is about';
COMMENT ON COLUMN spine.findings.id IS 'Of the finding';
COMMENT ON COLUMN spine.findings.rule IS 'The rule that found it';
COMMENT ON COLUMN spine.findings.rule_version IS 'In which version';
COMMENT ON COLUMN spine.findings.severity IS 'How much it matters';
COMMENT ON COLUMN spine.findings.raised_at IS 'When the event was chained that says so';
COMMENT ON COLUMN spine.findings.sequence IS 'That event''s';
COMMENT ON COLUMN spine.findings.title IS 'The rule''s';
COMMENT ON COLUMN spine.findings.sentence IS 'What was found';
COMMENT ON COLUMN spine.findings.numbers IS 'The numbers that decided';
COMMENT ON COLUMN spine.findings.events IS 'The sequences and hashes of the events that it rests on';
COMMENT ON COLUMN spine.findings.happened_at IS 'When the last of these was chained, or what did not come was due';
COMMENT ON COLUMN spine.findings.repeats IS 'How often the same came again while it was told once';
COMMENT ON COLUMN spine.findings.last_repeat IS 'When that was last';
COMMENT ON COLUMN spine.findings.verdict IS 'confirmed, dismissed or closed; NULL: it is open';
COMMENT ON COLUMN spine.findings.closed_at IS 'When that was said';
COMMENT ON COLUMN spine.findings.closed_by IS 'By which actor';
COMMENT ON COLUMN spine.findings.reason IS 'Why';

CREATE FUNCTION spine.explain_finding(id uuid) RETURNS TABLE (
  sequence      bigint,
  event_id      uuid,
  event_type    text,
  recorded_at   timestamptz,
  actor_id      uuid,
  entity_id     uuid,
  payload       jsonb,
  is_unchanged  boolean
)
  LANGUAGE c STABLE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_explain_finding';
COMMENT ON FUNCTION spine.explain_finding(uuid) IS
  'The events that a finding rests on, as they are stored now, in order: is_unchanged says whether each still has the hash that the '
  'finding names, and its content gives it. Raises SP138 where there is no such finding that the role may read, SP045 for a damaged event, 42501';

CREATE FUNCTION spine.grant_watcher(role regrole) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_grant_watcher';
COMMENT ON FUNCTION spine.grant_watcher(regrole) IS
  'Lets a role set rules and calendars, and run the watch over all organizations. It reads rules and no event by that. Runs with the '
  'caller''s rights. Raises 22004 for a null role, 42704 for one that does not exist, SP006 as spine.grant_emitter does, 42501';

CREATE FUNCTION spine.measure_risk(
  organization_id uuid        DEFAULT NULL,
  subject         text        DEFAULT 'organization',
  half_life       interval    DEFAULT '30 days',
  moment          timestamptz DEFAULT NULL
) RETURNS TABLE (
  of_organization uuid,
  key             text,
  risk            double precision,
  findings        bigint
)
  LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_measure_risk';
COMMENT ON FUNCTION spine.measure_risk(uuid, text, interval, timestamptz) IS
  'Scores from 0 to 100 of an organization, or of each that the role may read, from its findings until a moment (NULL: now), or of each '
  'action (event type), entity or actor that they rest on (subject): one row a key. A finding counts 21, 47, 73 or 99 by its severity, half '
  'of that after each half_life; the i-th largest is weighed by i^-1.5. Dismissed findings do not count. Entities that are persons, and '
  'actors, are scored where spine.set_person_scores says so. Raises SP141 for another subject, half_life or moment, SP142 for actors that '
  'are not scored, SP045 for a damaged event, 42501';

CREATE FUNCTION spine.explain_risk(
  organization_id uuid,
  subject         text        DEFAULT 'organization',
  key             text        DEFAULT NULL,
  half_life       interval    DEFAULT '30 days',
  moment          timestamptz DEFAULT NULL
) RETURNS TABLE (
  finding  uuid,
  rule     text,
  severity text,
  last_at  timestamptz,
  score    double precision,
  faded    double precision,
  share    double precision,
  sentence text
)
  LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_explain_risk';
COMMENT ON FUNCTION spine.explain_risk(uuid, text, text, interval, timestamptz) IS
  'The parts of a risk that spine.measure_risk gives, a finding each, the largest first: its score by severity, what is left of that with '
  'age, and its share of the risk; the shares add up to it. key: an event type, or the uuid of an entity or actor; NULL for the '
  'organization. Raises what spine.measure_risk does, and SP005 for a null organization';

CREATE FUNCTION spine.set_person_scores(enabled boolean, reason text) RETURNS uuid
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_set_person_scores';
COMMENT ON FUNCTION spine.set_person_scores(boolean, text) IS
  'Says from the commit on whether spine.measure_risk and explain_risk score actors, and entities that are persons; until it is called they '
  'do not. Emits platform.person_scores.set in the platform''s chain, which is where it is kept, and returns the event''s id. For '
  'superusers. Raises 22004 for a null or no reason, 42501, 25006, and what spine.emit_event raises';
