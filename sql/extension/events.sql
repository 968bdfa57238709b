-- Types and table

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
