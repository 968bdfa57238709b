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

CREATE FUNCTION spine.note_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_note_change';
COMMENT ON FUNCTION spine.note_change() IS
  'Trigger function of spine.role_bindings and spine.event_types: has every session look at the table again, once the '
  'change is committed. Raises 39P01 where it is called as no trigger';

CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spine.role_bindings
  FOR EACH STATEMENT EXECUTE FUNCTION spine.note_change();
-- Logical replication fires only those for rows.
CREATE TRIGGER note_row_change AFTER INSERT OR UPDATE OR DELETE ON spine.role_bindings
  FOR EACH ROW EXECUTE FUNCTION spine.note_change();
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER note_change;
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER note_row_change;
COMMENT ON TRIGGER note_change ON spine.role_bindings IS 'Has sessions forget what they know of the table';
COMMENT ON TRIGGER note_row_change ON spine.role_bindings IS 'Does so where only row triggers fire';

-- Not those of a dropped role, whose number may be another's where they are restored.
SELECT pg_catalog.pg_extension_config_dump('spine.role_bindings', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = role)');

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
  'Lets a role read and verify the events of all organizations, whatever people_os_spine.organization_id says, verify '
  'the guards, refresh the counts and record verifications. Runs with the caller''s rights. Raises 22004 for a null role, 42704 for one that does not exist, 42501';

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
  'is required; what is NULL comes from event_type or from the settings people_os_spine.*, a NULL severity from '
  'spine.event_types. Needs no right on the table. Raises SP001 to SP011, SP015 to SP018, SP025, 42501 for an organization '
  'that the role was not given, 25006 on a standby or in a read-only transaction';

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

CREATE FUNCTION spine.set_context(
  organization_id uuid,
  actor_id        uuid,
  actor_type      spine.actor_type DEFAULT 'human'
) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_set_context';
COMMENT ON FUNCTION spine.set_context(uuid, uuid, spine.actor_type) IS
  'Sets people_os_spine.organization_id, actor_id and actor_type for the rest of the transaction, as SET LOCAL would: all '
  'three, so that nothing is left of what the session says. NULL is empty, of actor_type human. Warns 25P01 where the '
  'client calls it outside of a transaction block, for then its effect ends with the statement';

-- Event types -------------------------------------------------------------------------------------------------------

CREATE TABLE spine.event_types (
  -- "C": no other version of a locale puts the index out of order.
  name             text COLLATE "C" NOT NULL,
  description      text             NOT NULL,
  default_severity spine.severity   NOT NULL DEFAULT 'low',
  built_in         boolean          NOT NULL DEFAULT false,
  CONSTRAINT event_types_pkey PRIMARY KEY (name),
  CONSTRAINT event_types_name_check CHECK (name ~ '^[a-z][a-z0-9_]{0,62}([.][a-z][a-z0-9_]{0,62}){2}$')
);
COMMENT ON TABLE spine.event_types IS
  'The registered types of events: written by spine.register_event_type (or INSERT), and DELETE. Where '
  'people_os_spine.require_registered_types is on, events of others are refused';
COMMENT ON COLUMN spine.event_types.name IS '<domain>.<entity>.<action>, each [a-z][a-z0-9_]{0,62}';
COMMENT ON COLUMN spine.event_types.description IS 'When such an event is emitted';
COMMENT ON COLUMN spine.event_types.default_severity IS 'What events of the type get whose severity is NULL';
COMMENT ON COLUMN spine.event_types.built_in IS
  'Given by the spine: the row came with an extension, which brings it back after a restore; dumps hold the others';
COMMENT ON CONSTRAINT event_types_pkey ON spine.event_types IS 'A name is one type''s';
COMMENT ON CONSTRAINT event_types_name_check ON spine.event_types IS 'An event name';
COMMENT ON INDEX spine.event_types_pkey IS 'Finds a type by its name';

CREATE FUNCTION spine.own_event_type() RETURNS trigger
  LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_own_event_type';
COMMENT ON FUNCTION spine.own_event_type() IS
  'Trigger function of spine.event_types, BEFORE INSERT OR UPDATE FOR EACH ROW: gives built_in, and has a row that '
  'somebody inserts or restores take the place of the built-in one of its name. Raises 39P01 anywhere else';

CREATE TRIGGER own_event_type BEFORE INSERT OR UPDATE ON spine.event_types
  FOR EACH ROW EXECUTE FUNCTION spine.own_event_type();
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spine.event_types
  FOR EACH STATEMENT EXECUTE FUNCTION spine.note_change();
-- Logical replication fires only those for rows.
CREATE TRIGGER note_row_change AFTER INSERT OR UPDATE OR DELETE ON spine.event_types
  FOR EACH ROW EXECUTE FUNCTION spine.note_change();
ALTER TABLE spine.event_types ENABLE ALWAYS TRIGGER own_event_type;
ALTER TABLE spine.event_types ENABLE ALWAYS TRIGGER note_change;
ALTER TABLE spine.event_types ENABLE ALWAYS TRIGGER note_row_change;
COMMENT ON TRIGGER own_event_type ON spine.event_types IS 'Lets users'' types take the place of built-in ones';
COMMENT ON TRIGGER note_change ON spine.event_types IS 'Has sessions forget what they know of the table';
COMMENT ON TRIGGER note_row_change ON spine.event_types IS 'Does so where only row triggers fire';

INSERT INTO spine.event_types (name, description, default_severity) VALUES
  ('hcm.employee.created', 'A person was hired, or taken over into the system', 'low'),
  ('platform.migration.applied', 'The schema of a database was changed', 'medium'),
  ('platform.spine.unguarded', 'An administrator had the guard let a statement on the spine through', 'critical');

SELECT pg_catalog.pg_extension_config_dump('spine.event_types', 'WHERE NOT built_in');

CREATE FUNCTION spine.register_event_type(name text, description text, default_severity spine.severity DEFAULT 'low') RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_register_event_type';
COMMENT ON FUNCTION spine.register_event_type(text, text, spine.severity) IS
  'Registers a type of events, or says anew what it is; built-in types too. Runs with the caller''s rights: needs SELECT, '
  'INSERT and UPDATE on spine.event_types. DELETE FROM spine.event_types takes a type off. Raises SP001 for what is no '
  'event name, 22004 for a null description, 42501';

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

CREATE TABLE spine.subscriptions (
  name             text COLLATE "C" NOT NULL,
  owner            regrole     NOT NULL,
  organizations    uuid[],
  domains          text[],
  event_types      text[],
  entity_types     text[],
  actors           uuid[],
  minimum_severity spine.severity,
  redeliver_after  interval    NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  CONSTRAINT subscriptions_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE spine.subscriptions IS
  'Who is to get which events: written by spine.create_subscription and drop_subscription. A filter that is NULL lets everything through';
COMMENT ON COLUMN spine.subscriptions.name IS 'What the functions know it by';
COMMENT ON COLUMN spine.subscriptions.owner IS 'The role that created it: its members consume';
COMMENT ON COLUMN spine.subscriptions.organizations IS 'Only events of these organizations';
COMMENT ON COLUMN spine.subscriptions.domains IS 'Only events of these domains';
COMMENT ON COLUMN spine.subscriptions.event_types IS 'Only events of these names';
COMMENT ON COLUMN spine.subscriptions.entity_types IS 'Only events of entities of these types';
COMMENT ON COLUMN spine.subscriptions.actors IS 'Only events of these actors';
COMMENT ON COLUMN spine.subscriptions.minimum_severity IS 'Only events that matter as much or more';
COMMENT ON COLUMN spine.subscriptions.redeliver_after IS 'A batch that is not acknowledged within that is given again';
COMMENT ON COLUMN spine.subscriptions.created_at IS 'When it was created';
COMMENT ON CONSTRAINT subscriptions_pkey ON spine.subscriptions IS 'A name is one subscription''s';
COMMENT ON INDEX spine.subscriptions_pkey IS 'Finds a subscription by its name';

-- Each batch updates rows: room on the page keeps the index out of it.
CREATE TABLE spine.subscription_positions (
  subscription    text COLLATE "C" NOT NULL,
  organization_id uuid   NOT NULL,
  sequence        bigint NOT NULL,
  CONSTRAINT subscription_positions_pkey PRIMARY KEY (subscription, organization_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE spine.subscription_positions IS
  'How far each subscription is in each organization. Without a row it is at the chain''s beginning';
COMMENT ON COLUMN spine.subscription_positions.subscription IS 'Name of the subscription';
COMMENT ON COLUMN spine.subscription_positions.organization_id IS 'The organization';
COMMENT ON COLUMN spine.subscription_positions.sequence IS 'All events up to this one were given out, or do not match the filters';
COMMENT ON CONSTRAINT subscription_positions_pkey ON spine.subscription_positions IS 'One position in each organization';
COMMENT ON INDEX spine.subscription_positions_pkey IS 'Finds the positions of a subscription, by organization';

CREATE TABLE spine.subscription_batches (
  subscription    text COLLATE "C" NOT NULL,
  batch           bigint      NOT NULL,
  organizations   uuid[]      NOT NULL,
  first_sequences bigint[]    NOT NULL,
  last_sequences  bigint[]    NOT NULL,
  events          bigint      NOT NULL,
  taken_by        text        NOT NULL,
  taken_at        timestamptz NOT NULL,
  delivery        integer     NOT NULL,
  previous_batch  bigint,
  CONSTRAINT subscription_batches_pkey PRIMARY KEY (subscription, batch)
);
COMMENT ON TABLE spine.subscription_batches IS 'Batches that were given out and not acknowledged yet';
COMMENT ON COLUMN spine.subscription_batches.subscription IS 'Name of the subscription';
COMMENT ON COLUMN spine.subscription_batches.batch IS 'The number to acknowledge, from the sequence spine.subscription_batch';
COMMENT ON COLUMN spine.subscription_batches.organizations IS 'The organizations of which it holds events';
COMMENT ON COLUMN spine.subscription_batches.first_sequences IS 'For each of them, its first event in the batch';
COMMENT ON COLUMN spine.subscription_batches.last_sequences IS 'For each of them, its last: of those from first to last, the ones that match the filters are in the batch';
COMMENT ON COLUMN spine.subscription_batches.events IS 'How many events that are';
COMMENT ON COLUMN spine.subscription_batches.taken_by IS 'The role that it was given to';
COMMENT ON COLUMN spine.subscription_batches.taken_at IS 'When that was';
COMMENT ON COLUMN spine.subscription_batches.delivery IS '1 the first time, one more each time it is given again';
COMMENT ON COLUMN spine.subscription_batches.previous_batch IS 'The number under which it was given the time before; NULL the first time';
COMMENT ON CONSTRAINT subscription_batches_pkey ON spine.subscription_batches IS 'A number is one batch''s';
COMMENT ON INDEX spine.subscription_batches_pkey IS 'Finds a batch, and the outstanding ones of a subscription';

CREATE SEQUENCE spine.subscription_batch;
COMMENT ON SEQUENCE spine.subscription_batch IS 'Numbers batches, those of all subscriptions; some are never given out';

-- Not those of a dropped role, whose number may be another's where they are restored.
SELECT pg_catalog.pg_extension_config_dump('spine.subscriptions', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = owner)');
SELECT pg_catalog.pg_extension_config_dump('spine.subscription_positions',
  'WHERE subscription IN (SELECT s.name FROM spine.subscriptions s JOIN pg_catalog.pg_roles r ON r.oid = s.owner)');
SELECT pg_catalog.pg_extension_config_dump('spine.subscription_batches',
  'WHERE subscription IN (SELECT s.name FROM spine.subscriptions s JOIN pg_catalog.pg_roles r ON r.oid = s.owner)');
SELECT pg_catalog.pg_extension_config_dump('spine.subscription_batch', '');

CREATE FUNCTION spine.create_subscription(
  name             text,
  organizations    uuid[]         DEFAULT NULL,
  domains          text[]         DEFAULT NULL,
  event_types      text[]         DEFAULT NULL,
  entity_types     text[]         DEFAULT NULL,
  actors           uuid[]         DEFAULT NULL,
  minimum_severity spine.severity DEFAULT NULL,
  from_now         boolean        DEFAULT false,
  redeliver_after  interval       DEFAULT '5 minutes'
) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_create_subscription';
COMMENT ON FUNCTION spine.create_subscription(text, uuid[], text[], text[], text[], uuid[], spine.severity, boolean, interval) IS
  'Makes a subscription of the events that pass all filters, from each organization''s first event on, or with from_now from '
  'the one after its last. The current role owns it. Raises SP031 for a name that is taken or none, a filter or a '
  'redeliver_after that can be none, 42501 without SELECT on spine.events, 25006';

CREATE FUNCTION spine.next_batch(name text, max_events integer DEFAULT 1000)
RETURNS TABLE (
  batch    bigint,
  delivery integer,
  event    spine.events
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_next_batch';
COMMENT ON FUNCTION spine.next_batch(text, integer) IS
  'The next events of a subscription, of organizations that the role may read: in order within each, all under one batch '
  'number. No row: there is nothing to do. A batch that was not acknowledged in time comes first, whole, with delivery 2 or '
  'more. What another consumer''s open transaction was given in an organization, and what follows there, waits for its end. '
  'SELECT batch, (event).* FROM … gives columns. Raises SP029 for an unknown name, SP031 for max_events below 1, 42501 '
  'for a role that is no member of the owner or may not read spine.events, 25006, and 40001 in REPEATABLE READ and SERIALIZABLE';

CREATE FUNCTION spine.acknowledge(name text, batch bigint) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_acknowledge';
COMMENT ON FUNCTION spine.acknowledge(text, bigint) IS
  'Says that the events of a batch are dealt with, and returns how many they were. Raises SP029 for an unknown name, SP030 '
  'for a batch that is not outstanding: acknowledged, or given again under another number; 42501, 25006, 40001';

CREATE FUNCTION spine.drop_subscription(name text) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_drop_subscription';
COMMENT ON FUNCTION spine.drop_subscription(text) IS
  'Removes a subscription, its positions and its batches, once the transactions that consume it have ended. Raises SP029 for '
  'an unknown name, 42501, 25006';

CREATE FUNCTION spine.read_subscriptions() RETURNS TABLE (
  name                text,
  owner               regrole,
  is_filtered         boolean,
  redeliver_after     interval,
  created_at          timestamptz,
  events_behind       bigint,
  organizations_behind bigint,
  oldest_unread       timestamptz,
  batches_outstanding bigint,
  oldest_taken_at     timestamptz,
  redeliveries        bigint
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_read_subscriptions';
COMMENT ON FUNCTION spine.read_subscriptions() IS
  'What spine.subscription_lag shows, by name. Visits every organization of each subscription. Raises 42501 without SELECT on '
  'spine.events';

CREATE VIEW spine.subscription_lag WITH (security_invoker = true) AS
  SELECT s.name, s.owner, s.is_filtered, s.redeliver_after, s.created_at, s.events_behind, s.organizations_behind, s.oldest_unread,
         s.batches_outstanding, s.oldest_taken_at, s.redeliveries
    FROM spine.read_subscriptions() s;
COMMENT ON VIEW spine.subscription_lag IS
  'The subscriptions that the current role may consume, and how far each is behind in the organizations that the role may '
  'read. Needs SELECT, and EXECUTE on spine.read_subscriptions';
COMMENT ON COLUMN spine.subscription_lag.name IS 'Name of the subscription';
COMMENT ON COLUMN spine.subscription_lag.owner IS 'The role that created it: its members consume';
COMMENT ON COLUMN spine.subscription_lag.is_filtered IS 'Whether it has any filter';
COMMENT ON COLUMN spine.subscription_lag.redeliver_after IS 'A batch that is not acknowledged within that is given again';
COMMENT ON COLUMN spine.subscription_lag.created_at IS 'When it was created';
COMMENT ON COLUMN spine.subscription_lag.events_behind IS
  'How many events are stored behind its positions: an upper bound of those to come, for only reading them tells which match the filters';
COMMENT ON COLUMN spine.subscription_lag.organizations_behind IS 'In how many organizations';
COMMENT ON COLUMN spine.subscription_lag.oldest_unread IS 'The timestamp of the oldest of them; NULL where there is none';
COMMENT ON COLUMN spine.subscription_lag.batches_outstanding IS 'How many batches were given out and not acknowledged yet';
COMMENT ON COLUMN spine.subscription_lag.oldest_taken_at IS 'When the oldest of those was given out';
COMMENT ON COLUMN spine.subscription_lag.redeliveries IS 'How often those were given again';

-- Replay and history ------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.replay(
  handler         regprocedure,
  organization_id uuid,
  from_sequence   bigint DEFAULT 1,
  to_sequence     bigint DEFAULT NULL,
  max_events      bigint DEFAULT NULL
) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_replay';
COMMENT ON FUNCTION spine.replay(regprocedure, uuid, bigint, bigint, bigint) IS
  'Calls a function of one argument of type spine.events with each event of an organization, in order, and returns the last '
  'sequence (NULL: there was none). to_sequence NULL: up to the head as it is when the call begins. max_events: so many '
  'at most; the next call goes on behind the last. Reads in batches, as spine.read_events does, and says by NOTICE how '
  'far it is (people_os_spine.progress_interval). An error of the handler ends it, and the CONTEXT names the event. Warns '
  'of missing events. Raises SP005 for a null organization, SP019 for a range that is none, SP032 for what is no such '
  'function, 42501';

CREATE FUNCTION spine.entity_history(entity_type text, entity_id uuid) RETURNS SETOF spine.events
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'spine_entity_history';
COMMENT ON FUNCTION spine.entity_history(text, uuid) IS
  'The events about an entity, by organization and sequence, in the organizations that the caller may read. Sees and waits '
  'as spine.read_events does. Needs SELECT on spine.events. Raises SP018 where the index on (entity_id, sequence) is '
  'missing, 42501';

CREATE FUNCTION spine.entity_as_of(entity_type text, entity_id uuid, moment timestamptz) RETURNS jsonb
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_entity_as_of';
COMMENT ON FUNCTION spine.entity_as_of(text, uuid, timestamptz) IS
  'The row of a captured table as it was at a moment, by the newest event of its capture until then that the caller may '
  'read; NULL where there is none, or the row was deleted. Sees, waits, needs and raises what spine.entity_history does';

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

CREATE FUNCTION spine.read_chain_heads() RETURNS TABLE (
  organization_id uuid,
  sequence        bigint,
  event_hash      bytea,
  "timestamp"     timestamptz
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'spine_read_chain_heads';
COMMENT ON FUNCTION spine.read_chain_heads() IS
  'The last event of each chain that the caller may read, by as many index lookups as there are chains. Sees and waits as '
  'spine.read_events does. Needs SELECT on spine.events. Raises SP018 where the index on (organization_id, sequence) is '
  'missing, 42501';

CREATE VIEW spine.audit_log WITH (security_invoker = true) AS
  SELECT "timestamp" AS moment, organization_id, actor_type, actor_id, action, domain, entity_type, entity_id, severity,
         event_type, payload, environment, recorded_by, sequence, id AS event_id
    FROM spine.events;
COMMENT ON VIEW spine.audit_log IS
  'Who did what to what, when, and how much it matters. Read it by organization_id and sequence, by entity_id and sequence, '
  'by event_id or by moment: these have indexes';
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
COMMENT ON COLUMN spine.audit_log.payload IS 'What else the emitter said';
COMMENT ON COLUMN spine.audit_log.environment IS 'Of the database in which it happened';
COMMENT ON COLUMN spine.audit_log.recorded_by IS 'The user who was logged in';
COMMENT ON COLUMN spine.audit_log.sequence IS 'Place in the organizations chain';
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
COMMENT ON COLUMN spine.activity_feed.sequence IS 'Place in the organizations chain';
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
  event_type      text           NOT NULL,
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

CREATE TABLE spine.verifications (
  organization_id uuid        NOT NULL,
  verified_at     timestamptz NOT NULL,
  verified_by     text        NOT NULL,
  intact          boolean     NOT NULL,
  last_sequence   bigint,
  head_hash       bytea,
  faults          bigint      NOT NULL,
  CONSTRAINT verifications_pkey PRIMARY KEY (organization_id)
);
COMMENT ON TABLE spine.verifications IS 'The last verification of each chain, written by spine.record_verification';
COMMENT ON COLUMN spine.verifications.organization_id IS 'Whose chain';
COMMENT ON COLUMN spine.verifications.verified_at IS 'When its verification had ended';
COMMENT ON COLUMN spine.verifications.verified_by IS 'The user who was logged in';
COMMENT ON COLUMN spine.verifications.intact IS 'Whether there was no fault';
COMMENT ON COLUMN spine.verifications.last_sequence IS 'The last event that was verified; NULL: none could be';
COMMENT ON COLUMN spine.verifications.head_hash IS 'The hash of that event';
COMMENT ON COLUMN spine.verifications.faults IS 'How many faults there were: spine.find_chain_faults lists them';
COMMENT ON CONSTRAINT verifications_pkey ON spine.verifications IS 'The last one counts';
COMMENT ON INDEX spine.verifications_pkey IS 'Finds the verification of a chain';

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

ALTER TABLE spine.verifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.verifications FOR SELECT USING (spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.verifications IS 'As of spine.events';
SELECT pg_catalog.pg_extension_config_dump('spine.verifications', '');

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
COMMENT ON COLUMN spine.uncounted_events.sequence IS 'Place in the organizations chain';
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

CREATE VIEW spine.events_by_day WITH (security_invoker = true) AS
  SELECT organization_id, day, sum(events)::bigint AS events
    FROM (SELECT organization_id, day, events FROM spine.daily_counts
          UNION ALL
          SELECT organization_id, day, 1 FROM spine.uncounted_events) counts
   GROUP BY organization_id, day;
COMMENT ON VIEW spine.events_by_day IS
  'How many events there are by organization, day: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.events_by_day.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.events_by_day.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.events_by_day.events IS 'How many there are';

CREATE VIEW spine.events_by_domain WITH (security_invoker = true) AS
  SELECT organization_id, day, domain, sum(events)::bigint AS events
    FROM (SELECT organization_id, day, split_part(event_type, '.', 1) AS domain, events FROM spine.daily_counts
          UNION ALL
          SELECT organization_id, day, domain, 1 FROM spine.uncounted_events) counts
   GROUP BY organization_id, day, domain;
COMMENT ON VIEW spine.events_by_domain IS
  'How many events there are by organization, day and domain: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.events_by_domain.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.events_by_domain.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.events_by_domain.domain IS 'First part of their name';
COMMENT ON COLUMN spine.events_by_domain.events IS 'How many there are';

CREATE VIEW spine.events_by_type WITH (security_invoker = true) AS
  SELECT organization_id, day, event_type, sum(events)::bigint AS events
    FROM (SELECT organization_id, day, event_type, events FROM spine.daily_counts
          UNION ALL
          SELECT organization_id, day, event_type, 1 FROM spine.uncounted_events) counts
   GROUP BY organization_id, day, event_type;
COMMENT ON VIEW spine.events_by_type IS
  'How many events there are by organization, day and type: as spine.refresh_dashboards counted them, and those since then';
COMMENT ON COLUMN spine.events_by_type.organization_id IS 'Whose events';
COMMENT ON COLUMN spine.events_by_type.day IS 'On which they were chained, in UTC';
COMMENT ON COLUMN spine.events_by_type.event_type IS 'Their name';
COMMENT ON COLUMN spine.events_by_type.events IS 'How many there are';

CREATE VIEW spine.events_by_severity WITH (security_invoker = true) AS
  SELECT organization_id, day, severity, sum(events)::bigint AS events
    FROM (SELECT organization_id, day, severity, events FROM spine.daily_counts
          UNION ALL
          SELECT organization_id, day, severity, 1 FROM spine.uncounted_events) counts
   GROUP BY organization_id, day, severity;
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

CREATE FUNCTION spine.record_verification(organization_id uuid DEFAULT NULL) RETURNS TABLE (
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
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_record_verification';
COMMENT ON FUNCTION spine.record_verification(uuid) IS
  'Calls spine.verify_chain, notes in spine.verifications what it said of each chain, and returns that. Rows that cannot say '
  'whose they are, and a chain without events, are not noted. Needs what verify_chain needs, EXECUTE on it, and no right '
  'to the table. Raises what verify_chain does, 25006 on a standby or in a read-only transaction';

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

-- Capturing tables --------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.capture_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_capture_change';
COMMENT ON FUNCTION spine.capture_change() IS
  'Trigger function, AFTER … FOR EACH STATEMENT with transition tables: emits an event for each row that the statement '
  'changed, as the trigger''s arguments say. spine.capture_changes makes the triggers. Needs no right of whoever writes '
  'to the table. Raises SP027 for TRUNCATE, SP003 for a row without an entity, SP026 where a column that the '
  'definition names is gone, 39P01 where it is attached otherwise, else what spine.emit_event raises, such as 25006';

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
  'captured table that it inherits from, and refuses to rename a column that a capture names. Raises SP026 where it '
  'refuses, and where a table cannot be captured';

CREATE EVENT TRIGGER people_os_spine_partitions ON ddl_command_end
  -- The last ones rename columns of tables too.
  WHEN TAG IN ('CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA', 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER TYPE')
  EXECUTE FUNCTION spine.follow_partitions();
ALTER EVENT TRIGGER people_os_spine_partitions ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER people_os_spine_partitions IS 'Has partitions of captured tables captured, from their beginning, and what is masked stay masked';

-- The rule ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.require_event() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_require_event';
COMMENT ON FUNCTION spine.require_event() IS
  'Trigger function of spine.require_events: notes which row was changed, and at the commit raises SP028 where no event of '
  'it was emitted. For a TRUNCATE, or a row without an id, at once. Raises SP026 where a column is not there any more';

CREATE FUNCTION spine.require_events(
  "table"             regclass,
  entity_id_column    name,
  organization_column name DEFAULT NULL,
  domain              text DEFAULT NULL,
  entity_type         text DEFAULT NULL
) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_require_events';
COMMENT ON FUNCTION spine.require_events(regclass, name, name, text, text) IS
  'From now on a transaction that inserts, changes or deletes a row of the table, or of its partitions, and emits no event '
  'whose entity_id is the row''s, fails at its commit with SP028. The event is in the row''s organization, or where '
  'organization_column or its value is NULL, in that of people_os_spine.organization_id at that time, if any. Where domain '
  'and entity_type are given it is of them; an id that is no uuid needs them, and the entity is spine.entity_uuid(domain, '
  'entity_type, its text). Replaces what an earlier call said; call it again for partitions that came since, so that they '
  'refuse TRUNCATE too. Runs with the caller''s rights. Raises SP026 for a table or columns that will not do, SP001, 22004, 42501';

CREATE FUNCTION spine.stop_requiring_events("table" regclass) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_stop_requiring_events';
COMMENT ON FUNCTION spine.stop_requiring_events(regclass) IS
  'Undoes spine.require_events; on a partition that was detached, what it left there. Runs with the caller''s rights. Raises '
  'SP026 where the table is not held, 22004, 42501';

-- Migrations --------------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.note_migration() RETURNS event_trigger
  LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_note_migration';
COMMENT ON FUNCTION spine.note_migration() IS
  'Event trigger function of spine.capture_migrations, at ddl_command_end and sql_drop: emits platform.migration.applied. '
  'Raises what emitting raises, above all SP006';

CREATE FUNCTION spine.capture_migrations() RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_capture_migrations';
COMMENT ON FUNCTION spine.capture_migrations() IS
  'From now on each DDL statement of this database, whoever runs it, emits one event platform.migration.applied in the nil '
  'UUID''s organization, with the command and the objects. Makes two event triggers of your own, which dumps carry. For '
  'superusers. Raises 42501, and what emitting raises, above all SP006';

CREATE FUNCTION spine.stop_capturing_migrations() RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_stop_capturing_migrations';
COMMENT ON FUNCTION spine.stop_capturing_migrations() IS
  'Undoes spine.capture_migrations, where it was called; that is the last such event. For superusers. Raises 42501, and what '
  'emitting raises';

-- CloudEvents -------------------------------------------------------------------------------------------------------

CREATE FUNCTION spine.to_cloudevent(event spine.events) RETURNS jsonb
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_to_cloudevent';
COMMENT ON FUNCTION spine.to_cloudevent(spine.events) IS
  'The event in CloudEvents 1.0 JSON: every column is in an attribute or is the data, so that its hash can be checked '
  'from that alone. A column that is NULL has no attribute. Depends on no setting. Raises 54000 above 256 MB';

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
