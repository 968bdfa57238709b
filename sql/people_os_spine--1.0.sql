\echo Use "CREATE EXTENSION people_os_spine" to load this file. \quit

-- Refuse ground on which the spine cannot stand ------------------------------------------------------------

-- Every name and operator is qualified, down to exact types: the schema is in the search_path here, and what its
-- preparer put there must not run before it is refused.
DO $$
DECLARE
  found text;
BEGIN
  IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8'::pg_catalog.name THEN
    RAISE EXCEPTION 'the encoding of this database is %, not UTF8', pg_catalog.getdatabaseencoding()
      USING ERRCODE = 'SP020',
            HINT = 'Hashes are computed over UTF-8: create a database with ENCODING ''UTF8''.';
  END IF;

  -- Owned by the installing role or by a superuser, empty, and open to nobody, it holds nothing of others.
  SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) INTO found
    FROM pg_catalog.pg_depend d
   WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
     AND d.refobjid OPERATOR(pg_catalog.=) 'spine'::pg_catalog.regnamespace::pg_catalog.oid
     AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid
   LIMIT 1;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'schema "spine" exists and is not empty: it holds %', found
      USING ERRCODE = 'SP021',
            HINT = 'Drop or rename the schema, then CREATE EXTENSION makes its own.';
  END IF;
  SELECT r.rolname INTO found
    FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) n.nspowner
   WHERE n.nspname OPERATOR(pg_catalog.=) 'spine'::pg_catalog.name
     AND r.rolname OPERATOR(pg_catalog.<>) current_user AND NOT r.rolsuper;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'schema "spine" exists and belongs to role "%"', found
      USING ERRCODE = 'SP021',
            HINT = 'Drop or rename the schema, then CREATE EXTENSION makes its own.';
  END IF;
  SELECT coalesce(r.rolname, 'public'::pg_catalog.name) INTO found
    FROM pg_catalog.pg_namespace n
   CROSS JOIN pg_catalog.aclexplode(n.nspacl) a
    LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) a.grantee
   WHERE n.nspname OPERATOR(pg_catalog.=) 'spine'::pg_catalog.name
     AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'::pg_catalog.text
     AND a.grantee OPERATOR(pg_catalog.<>) n.nspowner
   LIMIT 1;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'schema "spine" exists and "%" may create objects in it', found
      USING ERRCODE = 'SP021',
            HINT = 'REVOKE CREATE ON SCHEMA spine, or drop the schema, then CREATE EXTENSION again.';
  END IF;
END
$$;

COMMENT ON SCHEMA spine IS 'people_os_spine: events chained by hash within their organization';

-- Types and table --------------------------------------------------------------------------------------------

CREATE TYPE spine.actor_type AS ENUM ('human', 'system', 'pipeline');
COMMENT ON TYPE spine.actor_type IS 'What kind of actor caused an event';

CREATE TYPE spine.environment AS ENUM ('dev', 'test', 'stage', 'prod');
COMMENT ON TYPE spine.environment IS 'The environment in which an event happened';

CREATE TYPE spine.severity AS ENUM ('low', 'medium', 'high', 'critical');
COMMENT ON TYPE spine.severity IS 'How much an event matters, in rising order: severity >= ''high'' works';

CREATE TABLE spine.events (
  id              uuid              NOT NULL,
  event_type      text              NOT NULL,
  domain          text              NOT NULL,
  entity_type     text              NOT NULL,
  entity_id       uuid              NOT NULL,
  action          text              NOT NULL,
  actor_id        uuid              NOT NULL,
  actor_type      spine.actor_type  NOT NULL,
  organization_id uuid              NOT NULL,
  environment     spine.environment NOT NULL,
  "timestamp"     timestamptz       NOT NULL,
  severity        spine.severity    NOT NULL,
  payload         jsonb             NOT NULL,
  sequence        bigint            NOT NULL,
  transaction_id  xid8              NOT NULL,
  recorded_by     text              NOT NULL,
  previous_hash   bytea             NOT NULL,
  event_hash      bytea             NOT NULL,
  CONSTRAINT events_pkey PRIMARY KEY (id),
  CONSTRAINT events_organization_id_sequence_key UNIQUE (organization_id, sequence),
  CONSTRAINT events_event_type_check
    CHECK (event_type = domain || '.' || entity_type || '.' || action),
  CONSTRAINT events_timestamp_check
    CHECK ("timestamp" >= '0001-01-01 00:00:00+00'::timestamptz AND "timestamp" < '10000-01-01 00:00:00+00'::timestamptz),
  CONSTRAINT events_sequence_check CHECK (sequence >= 1),
  CONSTRAINT events_previous_hash_check CHECK (octet_length(previous_hash) = 32),
  CONSTRAINT events_event_hash_check CHECK (octet_length(event_hash) = 32)
);
CREATE INDEX events_entity_id_sequence_idx ON spine.events (entity_id, sequence);
CREATE INDEX events_timestamp_idx ON spine.events USING brin ("timestamp");

COMMENT ON TABLE spine.events IS
  'Every event, immutable: written by spine.emit_event (or INSERT), checked by spine.verify_chain';
COMMENT ON COLUMN spine.events.id IS 'Given by the spine when the event is emitted: UUID version 7';
COMMENT ON COLUMN spine.events.event_type IS '<domain>.<entity>.<action>, each [a-z][a-z0-9_]{0,62}';
COMMENT ON COLUMN spine.events.domain IS 'First part of event_type';
COMMENT ON COLUMN spine.events.entity_type IS 'Second part of event_type';
COMMENT ON COLUMN spine.events.entity_id IS 'The entity that the event is about; spine.entity_uuid names what has no uuid';
COMMENT ON COLUMN spine.events.action IS 'Third part of event_type';
COMMENT ON COLUMN spine.events.actor_id IS 'Who acted; the nil UUID is the platform itself';
COMMENT ON COLUMN spine.events.actor_type IS 'What kind of actor acted';
COMMENT ON COLUMN spine.events.organization_id IS 'The tenant, whose chain the event is in; the nil UUID is the platform itself';
COMMENT ON COLUMN spine.events.environment IS 'The environment of this database, from people_os_spine.environment';
COMMENT ON COLUMN spine.events."timestamp" IS
  'Given by the spine when the event is chained: the server''s clock, never before the timestamp of the event before';
COMMENT ON COLUMN spine.events.severity IS 'How much the event matters';
COMMENT ON COLUMN spine.events.payload IS 'A JSON object';
COMMENT ON COLUMN spine.events.sequence IS 'Given by the spine: 1, 2, 3 … without a gap within the organization, in commit order';
COMMENT ON COLUMN spine.events.transaction_id IS 'Given by the spine: the top-level transaction that emitted the event';
COMMENT ON COLUMN spine.events.recorded_by IS 'Given by the spine: session_user, whatever SET ROLE says';
COMMENT ON COLUMN spine.events.previous_hash IS 'Given by the spine: event_hash of the event before; 32 zero bytes for sequence 1';
COMMENT ON COLUMN spine.events.event_hash IS 'Given by the spine: SHA-256 of spine.canonical_event';
COMMENT ON CONSTRAINT events_pkey ON spine.events IS 'An id names one event';
COMMENT ON CONSTRAINT events_organization_id_sequence_key ON spine.events IS
  'A chain does not fork; the end of a chain is found here';
COMMENT ON CONSTRAINT events_event_type_check ON spine.events IS 'The three parts join to the name';
COMMENT ON CONSTRAINT events_timestamp_check ON spine.events IS 'Years 1 to 9999, which the hashed form can write';
COMMENT ON CONSTRAINT events_sequence_check ON spine.events IS 'A chain begins at 1';
COMMENT ON CONSTRAINT events_previous_hash_check ON spine.events IS 'A SHA-256 has 32 bytes';
COMMENT ON CONSTRAINT events_event_hash_check ON spine.events IS 'A SHA-256 has 32 bytes';
COMMENT ON INDEX spine.events_pkey IS 'Finds an event by its id';
COMMENT ON INDEX spine.events_organization_id_sequence_key IS 'Finds the events of an organization in order, and its last one';
COMMENT ON INDEX spine.events_entity_id_sequence_idx IS 'Finds the history of an entity';
COMMENT ON INDEX spine.events_timestamp_idx IS 'Finds the events of a time span';

SELECT pg_catalog.pg_extension_config_dump('spine.events', '');

-- Chaining and immutability --------------------------------------------------------------------------------------

CREATE FUNCTION spine.chain_event() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_chain_event';
COMMENT ON FUNCTION spine.chain_event() IS
  'Trigger function, BEFORE INSERT FOR EACH ROW: chains the row at the end of its organization''s chain. Works on any '
  'table of the shape of spine.events. A complete row from a superuser or the table''s owner is a restored one and '
  'stored as it is. Raises what emit_event raises, SP012 for a column that the spine gives, SP018 for a table of '
  'another shape, SP022 where a trigger would run after it; warns SPW01 of a restored row that does not reproduce '
  'its hash';

CREATE FUNCTION spine.refuse_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_refuse_change';
COMMENT ON FUNCTION spine.refuse_change() IS
  'Trigger function, BEFORE UPDATE, DELETE or TRUNCATE, for rows and statements: raises SP013, always';

-- The name sorts after those that people give, so that what their triggers change is hashed.
CREATE TRIGGER zz_chain_event BEFORE INSERT ON spine.events
  FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON spine.events
  FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change();
-- Logical replication fires only those for rows.
CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON spine.events
  FOR EACH ROW EXECUTE FUNCTION spine.refuse_change();
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event;
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER refuse_change;
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER refuse_row_change;
COMMENT ON TRIGGER zz_chain_event ON spine.events IS 'Chains direct INSERTs';
COMMENT ON TRIGGER refuse_change ON spine.events IS 'Refuses UPDATE, DELETE and TRUNCATE, also where no row matches';
COMMENT ON TRIGGER refuse_row_change ON spine.events IS 'Refuses UPDATE and DELETE where only row triggers fire';

-- Who may emit and read --------------------------------------------------------------------------------------------

CREATE TABLE spine.role_bindings (
  role            regrole NOT NULL,
  capability      text    NOT NULL,
  organization_id uuid,
  CONSTRAINT role_bindings_capability_check CHECK (capability IN ('emit', 'read', 'audit')),
  CONSTRAINT role_bindings_role_capability_organization_id_key
    UNIQUE NULLS NOT DISTINCT (role, capability, organization_id)
);
COMMENT ON TABLE spine.role_bindings IS
  'For which organizations roles emit and read: written by spine.grant_emitter, grant_reader, grant_auditor and revoke_all';
COMMENT ON COLUMN spine.role_bindings.role IS 'The role; its members have what it has';
COMMENT ON COLUMN spine.role_bindings.capability IS
  'emit: a role with such a row emits for no other organizations. read: sees them in spine.events. audit: sees them '
  'whatever people_os_spine.organization_id says';
COMMENT ON COLUMN spine.role_bindings.organization_id IS 'NULL: all organizations';
COMMENT ON CONSTRAINT role_bindings_capability_check ON spine.role_bindings IS 'What a row can give';
COMMENT ON CONSTRAINT role_bindings_role_capability_organization_id_key ON spine.role_bindings IS 'Nothing is given twice';
COMMENT ON INDEX spine.role_bindings_role_capability_organization_id_key IS 'Finds what a role was given';

CREATE FUNCTION spine.note_binding_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_note_binding_change';
COMMENT ON FUNCTION spine.note_binding_change() IS
  'Trigger function of spine.role_bindings: has every session look at the table again, once the change is committed. '
  'Raises 39P01 where it is called as no trigger';

CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spine.role_bindings
  FOR EACH STATEMENT EXECUTE FUNCTION spine.note_binding_change();
-- Logical replication fires only those for rows.
CREATE TRIGGER note_row_change AFTER INSERT OR UPDATE OR DELETE ON spine.role_bindings
  FOR EACH ROW EXECUTE FUNCTION spine.note_binding_change();
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER note_change;
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER note_row_change;
COMMENT ON TRIGGER note_change ON spine.role_bindings IS 'Has sessions forget what they know of the table';
COMMENT ON TRIGGER note_row_change ON spine.role_bindings IS 'Does so where only row triggers fire';

SELECT pg_catalog.pg_extension_config_dump('spine.role_bindings', '');

CREATE FUNCTION spine.may_read_support(internal) RETURNS internal
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'spine_may_read_support';
COMMENT ON FUNCTION spine.may_read_support(internal) IS
  'Planner support of spine.may_read: has the library loaded wherever row security shapes a plan. Raises 42501 where '
  'debug_print_plan would show the plan to a role that sees a part of spine.events';

CREATE FUNCTION spine.may_read(organization_id uuid) RETURNS boolean
  LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT spine.may_read_support AS 'MODULE_PATHNAME', 'spine_may_read';
COMMENT ON FUNCTION spine.may_read(uuid) IS
  'Whether the current role may read the events of an organization: it or a role that it is a member of was given them '
  'by spine.grant_reader or grant_auditor, or it is a superuser or owns spine.events. For a role that is no auditor, '
  'people_os_spine.organization_id narrows that to one organization. Raises 42P01 where spine.role_bindings is missing';

-- Without FORCE: the owner sees all, and backups work.
ALTER TABLE spine.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.events FOR SELECT USING (spine.may_read(organization_id));
CREATE POLICY insert_any ON spine.events FOR INSERT WITH CHECK (true);
COMMENT ON POLICY read_given ON spine.events IS 'A role sees the events of the organizations that it was given';
COMMENT ON POLICY insert_any ON spine.events IS 'The chaining trigger checks for which organization a role emits';

CREATE FUNCTION spine.grant_emitter(role regrole, organizations uuid[] DEFAULT NULL) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_emitter';
COMMENT ON FUNCTION spine.grant_emitter(regrole, uuid[]) IS
  'Lets a role emit for these organizations and no other, or for all: grants what emitting takes, and replaces what an '
  'earlier call said. Runs with the caller''s rights. Raises 22004 for a null role or organization, 22023 for an empty '
  'array, 42704 for a role that does not exist, 42501';

CREATE FUNCTION spine.grant_reader(role regrole, organizations uuid[] DEFAULT NULL) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_reader';
COMMENT ON FUNCTION spine.grant_reader(regrole, uuid[]) IS
  'Lets a role read and verify the events of these organizations and no other, or of all: grants what that takes, and '
  'replaces what an earlier call said. Where people_os_spine.organization_id is set the role sees that organization '
  'alone. Runs with the caller''s rights. Raises what spine.grant_emitter does';

CREATE FUNCTION spine.grant_auditor(role regrole) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_auditor';
COMMENT ON FUNCTION spine.grant_auditor(regrole) IS
  'Lets a role read and verify the events of all organizations, whatever people_os_spine.organization_id says. Runs '
  'with the caller''s rights. Raises 22004 for a null role, 42704 for one that does not exist, 42501';

CREATE FUNCTION spine.revoke_all(role regrole) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_revoke_all';
COMMENT ON FUNCTION spine.revoke_all(regrole) IS
  'Takes from a role every right on the schema spine and what is in it, and its bindings: those of a dropped role too, '
  'by its number. Call it before DROP ROLE. Runs with the caller''s rights. Raises 22004 for a null role, 22023 for an '
  'owner, 2BP01 for rights that another role granted, 42501';

-- Emitting ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.emit_event(
  event_type      text,
  entity_type     text              DEFAULT NULL,
  entity_id       uuid              DEFAULT NULL,
  action          text              DEFAULT NULL,
  actor_id        uuid              DEFAULT NULL,
  payload         jsonb             DEFAULT '{}',
  organization_id uuid              DEFAULT NULL,
  actor_type      spine.actor_type  DEFAULT NULL,
  severity        spine.severity    DEFAULT 'low',
  environment     spine.environment DEFAULT NULL
) RETURNS uuid
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_emit_event';
COMMENT ON FUNCTION spine.emit_event(text, text, uuid, text, uuid, jsonb, uuid, spine.actor_type, spine.severity, spine.environment) IS
  'Emits one event in the caller''s transaction and returns its id. event_type is <domain>.<entity>.<action>; entity_id '
  'is required; what is NULL comes from event_type or from the settings people_os_spine.*. Needs no right on the table. '
  'Raises SP001 to SP011, SP015 to SP018, 42501 for an organization that the role was not given, 25006 on a standby or '
  'in a read-only transaction';

CREATE FUNCTION spine.emit_events(events jsonb) RETURNS SETOF uuid
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_emit_events';
COMMENT ON FUNCTION spine.emit_events(jsonb) IS
  'Emits an array of events, objects keyed by the names of emit_event''s arguments, all or none, and returns their ids in '
  'the order of the array. Raises SP014 for what is no such array, 22P02 for what is no uuid or label, else what '
  'emit_event raises; the CONTEXT names the element, from 0';

CREATE FUNCTION spine.chain_pending() RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_chain_pending';
COMMENT ON FUNCTION spine.chain_pending() IS
  'Under people_os_spine.chain_at = commit: chains now what this transaction emitted and what would be chained at its '
  'commit, and returns how many events that were. Raises what storing an event raises';

CREATE FUNCTION spine.entity_uuid(domain text, entity_type text, key text) RETURNS uuid
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_entity_uuid';
COMMENT ON FUNCTION spine.entity_uuid(text, text, text) IS
  'The uuid of an entity that has none of its own: version 5 of <domain>.<entity_type>.<key> under the namespace '
  '955bbf14-14c9-5566-88a4-2eba1e0fac41. Raises SP001 where domain or entity_type could be no part of an event name';

-- Context -----------------------------------------------------------------------------------------------------------

-- Event types -------------------------------------------------------------------------------------------------------

-- Reading -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.read_events(organization_id uuid, after_sequence bigint DEFAULT 0, max_events bigint DEFAULT 1000)
RETURNS SETOF spine.events
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'spine_read_events';
COMMENT ON FUNCTION spine.read_events(uuid, bigint, bigint) IS
  'The events of an organization after a sequence, in order and without a gap, at most max_events: call it again with the '
  'last sequence that you have. Sees what is committed now, whatever the transaction''s snapshot, and waits until that is '
  'durable. Needs SELECT on spine.events; there are none of an organization that the role may not read. Raises SP019 for '
  'a negative max_events, 42501';

-- Subscriptions -----------------------------------------------------------------------------------------------------

-- Replay and history ------------------------------------------------------------------------------------------------

-- The hash -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.canonical_json(value jsonb) RETURNS text
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_canonical_json';
COMMENT ON FUNCTION spine.canonical_json(jsonb) IS
  'The RFC 8785 form of a JSON value, numbers from their exact decimal digits. Raises 54000 above 1 GB';

CREATE FUNCTION spine.canonical_event(event spine.events) RETURNS text
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_canonical_event';
COMMENT ON FUNCTION spine.canonical_event(spine.events) IS
  'The text whose SHA-256 is the event''s hash: its columns but event_hash, as one RFC 8785 object. Raises 54000 above 1 GB';

CREATE FUNCTION spine.event_digest(event spine.events) RETURNS bytea
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_event_digest';
COMMENT ON FUNCTION spine.event_digest(spine.events) IS
  'SHA-256 of spine.canonical_event: equal to event_hash where the event is as it was chained';

-- Verifying ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.verify_chain(
  organization_id uuid   DEFAULT NULL,
  from_sequence   bigint DEFAULT NULL,
  to_sequence     bigint DEFAULT NULL
) RETURNS TABLE (
  organization_id      uuid,
  intact               boolean,
  events               bigint,
  first_sequence       bigint,
  last_sequence        bigint,
  head_hash            bytea,
  faults               bigint,
  first_fault_sequence bigint,
  first_fault          text
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_verify_chain';
COMMENT ON FUNCTION spine.verify_chain(uuid, bigint, bigint) IS
  'Verifies the chain of one organization, or of each, whole or in a range together with its link to the event before. '
  'One row an organization: intact (NULL where nothing was checked), what was checked, the faults'' number and the '
  'first. Reads the whole table, with parallel workers as an index build would (max_parallel_maintenance_workers), and '
  'says by NOTICE how far it is (people_os_spine.progress_interval). Takes no lock that emitters wait for, needs SELECT '
  'on spine.events. A role that may read some organizations verifies those, and others are to it as if they were not '
  'there. Raises SP019 for a range that is none, 42501';

CREATE FUNCTION spine.find_chain_faults(
  organization_id uuid   DEFAULT NULL,
  from_sequence   bigint DEFAULT NULL,
  to_sequence     bigint DEFAULT NULL
) RETURNS TABLE (
  organization_id uuid,
  sequence        bigint,
  event_id        uuid,
  fault           text,
  expected        bytea,
  found           bytea,
  detail          text
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_find_chain_faults';
COMMENT ON FUNCTION spine.find_chain_faults(uuid, bigint, bigint) IS
  'Every fault that verify_chain counts, by organization and sequence: content_altered, link_broken, event_missing (one '
  'row a gap), event_duplicated, order_violated, malformed. expected and found are the hashes that differ. Needs and '
  'raises what verify_chain does';

CREATE FUNCTION spine.read_verify_progress() RETURNS TABLE (
  pid               integer,
  backend_start     timestamptz,
  organization_id   uuid,
  started           timestamptz,
  blocks_total      bigint,
  blocks_done       bigint,
  events_done       bigint,
  share             double precision,
  events_per_second double precision,
  seconds_left      double precision
)
  LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'spine_read_verify_progress';
COMMENT ON FUNCTION spine.read_verify_progress() IS
  'What spine.verify_progress shows, by process and the time at which that started: the verifications of this database '
  'that the caller''s roles run, or all of them for members of pg_read_all_stats. events_done and events_per_second are '
  'NULL for a role that sees a part of spine.events. Raises 42P01 where spine.role_bindings is missing';

CREATE VIEW spine.verify_progress AS
  SELECT p.pid, a.datname, a.usename, p.organization_id, p.started, p.blocks_total, p.blocks_done, p.events_done,
         p.share, p.events_per_second, p.seconds_left
    FROM spine.read_verify_progress() p
    JOIN pg_catalog.pg_stat_activity a ON a.pid = p.pid AND a.backend_start = p.backend_start;
COMMENT ON VIEW spine.verify_progress IS
  'The verifications that run in this database longer than a moment, one row each, as they were at most a second ago; '
  'others'' only for members of pg_read_all_stats. Needs SELECT, and EXECUTE on spine.read_verify_progress';
COMMENT ON COLUMN spine.verify_progress.pid IS 'The server process that was asked to verify';
COMMENT ON COLUMN spine.verify_progress.datname IS 'This database';
COMMENT ON COLUMN spine.verify_progress.usename IS 'Who is logged in there';
COMMENT ON COLUMN spine.verify_progress.organization_id IS 'The organization that is verified; NULL: all';
COMMENT ON COLUMN spine.verify_progress.started IS 'When this reading of the table began';
COMMENT ON COLUMN spine.verify_progress.blocks_total IS
  'How many blocks of the table are to be read; twice as many once events that share a sequence ask for a second reading';
COMMENT ON COLUMN spine.verify_progress.blocks_done IS 'How many are read, by all processes';
COMMENT ON COLUMN spine.verify_progress.events_done IS 'How many events were in them, those of other organizations included; NULL for a role that sees a part of spine.events';
COMMENT ON COLUMN spine.verify_progress.share IS 'blocks_done of blocks_total: 0 to 1';
COMMENT ON COLUMN spine.verify_progress.events_per_second IS 'Since the start; NULL where events_done is';
COMMENT ON COLUMN spine.verify_progress.seconds_left IS 'At that pace; NULL where nothing is read yet';

-- Views -------------------------------------------------------------------------------------------------------------

-- Capturing tables --------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.capture_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_capture_change';
COMMENT ON FUNCTION spine.capture_change() IS
  'Trigger function, AFTER … FOR EACH STATEMENT with transition tables: emits an event for each row that the statement '
  'changed, as the trigger''s arguments say. spine.capture_changes makes the triggers. Needs no right of whoever writes '
  'to the table. Raises SP027 for TRUNCATE, SP003 for a row without an entity, SP026 where a column that the '
  'definition names is gone, 39P01 where it is attached otherwise, else what spine.emit_event raises';

CREATE FUNCTION spine.capture_changes(
  "table"             regclass,
  domain              text,
  entity_type         text,
  entity_id_column    name,
  organization_column name           DEFAULT NULL,
  exclude             name[]         DEFAULT '{}',
  mask                name[]         DEFAULT '{}',
  severity            spine.severity DEFAULT 'low'
) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_capture_changes';
COMMENT ON FUNCTION spine.capture_changes(regclass, text, text, name, name, name[], name[], spine.severity) IS
  'From now on each row of the table, and of what inherits from it, that is inserted, updated or deleted is an event '
  '<domain>.<entity_type>.created, updated or deleted with the row before and after, in the writer''s transaction. An id '
  'that is no uuid goes through spine.entity_uuid; a null organization is people_os_spine.organization_id. Columns of '
  'exclude are left out, those of mask shown as ***. Replaces an earlier definition. The caller owns the table and has '
  'EXECUTE on spine.capture_change. Raises SP026 for a table or column that cannot be captured, SP001, 42501';

CREATE FUNCTION spine.stop_capture("table" regclass) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_stop_capture';
COMMENT ON FUNCTION spine.stop_capture(regclass) IS
  'Undoes spine.capture_changes, for what inherits from the table too. The caller owns the table. Raises SP026 where it '
  'is not captured, or is with another, 42501';

CREATE FUNCTION spine.follow_partitions() RETURNS event_trigger
  LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_follow_partitions';
COMMENT ON FUNCTION spine.follow_partitions() IS
  'Event trigger function: has a table that is made or attached as a partition, or otherwise inherits, captured with the '
  'captured table that it inherits from. Raises SP026 where that cannot be';

CREATE EVENT TRIGGER people_os_spine_partitions ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'CREATE FOREIGN TABLE', 'ALTER TABLE', 'CREATE SCHEMA')
  EXECUTE FUNCTION spine.follow_partitions();
ALTER EVENT TRIGGER people_os_spine_partitions ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER people_os_spine_partitions IS 'Has partitions of captured tables captured, from their beginning';

-- The rule ----------------------------------------------------------------------------------------------------------

-- Migrations --------------------------------------------------------------------------------------------------------

-- CloudEvents -------------------------------------------------------------------------------------------------------

-- The guard -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.guard_ddl() RETURNS event_trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_guard_ddl';
COMMENT ON FUNCTION spine.guard_ddl() IS
  'Event trigger function: raises SP024 for a statement that could change or expose stored events, or replace what the '
  'spine runs, unless people_os_spine.unguard says why; then it records the statement as platform.spine.unguarded. Where '
  'the library is loaded before, its hooks do the same for every statement';

CREATE EVENT TRIGGER people_os_spine_guard ON ddl_command_start EXECUTE FUNCTION spine.guard_ddl();
ALTER EVENT TRIGGER people_os_spine_guard ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER people_os_spine_guard IS 'Guards the spine where its library is not preloaded';

CREATE FUNCTION spine.verify_guards() RETURNS TABLE (
  guard    text,
  expected text,
  found    text,
  ok       boolean,
  remedy   text
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_verify_guards';
COMMENT ON FUNCTION spine.verify_guards() IS
  'One row a guard of the events: what is expected, what was found, whether that is so, and what to do. ok is false where '
  'a guard is broken, NULL where one is not in force that the server can do without. Reads the catalogs as they are now. '
  'Raises nothing';

-- Rights -----------------------------------------------------------------------------------------------------------------

REVOKE ALL ON SCHEMA spine FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA spine FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA spine FROM PUBLIC;
REVOKE ALL ON TYPE spine.actor_type, spine.environment, spine.severity FROM PUBLIC;
