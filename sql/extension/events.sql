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
  "timestamp"     timestamptz       NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  severity        spine.severity    NOT NULL,
  payload         jsonb,
  sequence        bigint            NOT NULL,
  transaction_id  xid8              NOT NULL,
  recorded_by     text              NOT NULL,
  previous_hash   bytea             NOT NULL,
  event_hash      bytea             NOT NULL,
  payload_salt    bytea,
  payload_hash    bytea,
  personal        jsonb,
  personal_salt   bytea,
  personal_hash   bytea,
  occurred_at     timestamptz,
  correlation_id  uuid,
  causation_id    uuid,
  CONSTRAINT events_pkey PRIMARY KEY (organization_id, sequence, "timestamp"),
  CONSTRAINT events_event_type_check
    CHECK (event_type = domain || '.' || entity_type || '.' || action),
  CONSTRAINT events_timestamp_check
    CHECK ("timestamp" >= '0001-01-01 00:00:00+00'::timestamptz AND "timestamp" < '10000-01-01 00:00:00+00'::timestamptz),
  CONSTRAINT events_occurred_at_check
    CHECK (occurred_at >= '0001-01-01 00:00:00+00'::timestamptz AND occurred_at < '10000-01-01 00:00:00+00'::timestamptz),
  CONSTRAINT events_sequence_check CHECK (sequence >= 1),
  CONSTRAINT events_previous_hash_check CHECK (octet_length(previous_hash) = 32),
  CONSTRAINT events_event_hash_check CHECK (octet_length(event_hash) = 32),
  CONSTRAINT events_payload_check
    CHECK (CASE WHEN payload IS NOT NULL THEN octet_length(payload_salt) IS NOT DISTINCT FROM 16 AND payload_hash IS NULL
                ELSE payload_salt IS NULL AND octet_length(payload_hash) IS NOT DISTINCT FROM 32 END),
  CONSTRAINT events_personal_check
    CHECK (CASE WHEN personal IS NOT NULL THEN octet_length(personal_salt) IS NOT DISTINCT FROM 16 AND personal_hash IS NULL
                ELSE personal_salt IS NULL AND (personal_hash IS NULL OR octet_length(personal_hash) = 32) END)
) PARTITION BY RANGE ("timestamp");
CREATE INDEX events_id_idx ON spine.events (id);
CREATE INDEX events_entity_id_sequence_idx ON spine.events (entity_id, sequence);
CREATE INDEX events_transaction_id_organization_id_idx ON spine.events (transaction_id, organization_id);
CREATE INDEX events_timestamp_idx ON spine.events USING brin ("timestamp");

-- So that an event always has a place. spine.create_partitions makes those of the coming time.
CREATE TABLE spine.events_default PARTITION OF spine.events DEFAULT;
ALTER TABLE spine.events_default ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE spine.events_default IS
  'The events of a time for which there was no partition of its own: read and written through spine.events';

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
  'Given by the spine when the event is chained: the server''s clock, never before the timestamp of the event before. It says in '
  'which partition the event lies; the default leads a direct INSERT there';
COMMENT ON COLUMN spine.events.severity IS 'How much the event matters';
COMMENT ON COLUMN spine.events.payload IS 'What the event says: a JSON object; NULL once it was erased';
COMMENT ON COLUMN spine.events.sequence IS 'Given by the spine: 1, 2, 3 … without a gap within the organization, in commit order';
COMMENT ON COLUMN spine.events.transaction_id IS 'Given by the spine: the top-level transaction that emitted the event';
COMMENT ON COLUMN spine.events.recorded_by IS 'Given by the spine: session_user, whatever SET ROLE says';
COMMENT ON COLUMN spine.events.previous_hash IS 'Given by the spine: event_hash of the event before; 32 zero bytes for sequence 1';
COMMENT ON COLUMN spine.events.event_hash IS 'Given by the spine: SHA-256 of spine.canonical_event';
COMMENT ON COLUMN spine.events.payload_salt IS
  'Given by the spine: 16 random bytes that are hashed with the payload; NULL once that was erased';
COMMENT ON COLUMN spine.events.payload_hash IS 'SHA-256 of payload_salt and the canonical payload, once that was erased; else NULL';
COMMENT ON COLUMN spine.events.personal IS
  'What the event says of persons: a JSON object; NULL where it says nothing, or once that was erased';
COMMENT ON COLUMN spine.events.personal_salt IS 'As payload_salt, of the personal part';
COMMENT ON COLUMN spine.events.personal_hash IS 'As payload_hash, of the personal part';
COMMENT ON COLUMN spine.events.occurred_at IS 'When it happened in the world, where that is not when it was recorded';
COMMENT ON COLUMN spine.events.correlation_id IS 'The request or trace that the event belongs to';
COMMENT ON COLUMN spine.events.causation_id IS 'The event that caused this one';
COMMENT ON CONSTRAINT events_pkey ON spine.events IS 'The end of a chain is found here';
COMMENT ON CONSTRAINT events_payload_check ON spine.events IS 'The payload is there with its salt, or gone with its hash';
COMMENT ON CONSTRAINT events_personal_check ON spine.events IS
  'The personal part is there with its salt, or gone with its hash, or never was';
COMMENT ON CONSTRAINT events_occurred_at_check ON spine.events IS 'Years 1 to 9999, which the hashed form can write';
COMMENT ON CONSTRAINT events_event_type_check ON spine.events IS 'The three parts join to the name';
COMMENT ON CONSTRAINT events_timestamp_check ON spine.events IS 'Years 1 to 9999, which the hashed form can write';
COMMENT ON CONSTRAINT events_sequence_check ON spine.events IS 'A chain begins at 1';
COMMENT ON CONSTRAINT events_previous_hash_check ON spine.events IS 'A SHA-256 has 32 bytes';
COMMENT ON CONSTRAINT events_event_hash_check ON spine.events IS 'A SHA-256 has 32 bytes';
COMMENT ON INDEX spine.events_pkey IS 'Finds the events of an organization in order, and its last one';
COMMENT ON INDEX spine.events_id_idx IS 'Finds an event by its id';
COMMENT ON INDEX spine.events_entity_id_sequence_idx IS 'Finds the history of an entity';
COMMENT ON INDEX spine.events_transaction_id_organization_id_idx IS 'Finds the organizations that have events of new transactions';
COMMENT ON INDEX spine.events_timestamp_idx IS 'Finds the events of a time span';

SELECT pg_catalog.pg_extension_config_dump('spine.events_default', '');

CREATE TABLE spine.chain_partitions (
  organization_id uuid        NOT NULL,
  starts          timestamptz NOT NULL,
  CONSTRAINT chain_partitions_pkey PRIMARY KEY (organization_id, starts)
);
COMMENT ON TABLE spine.chain_partitions IS
  'Which partitions of spine.events hold events of which organization, so that the end of a chain is found without looking into each: '
  'written with the first event of a chain in a partition';
COMMENT ON COLUMN spine.chain_partitions.organization_id IS 'Whose chain';
COMMENT ON COLUMN spine.chain_partitions.starts IS
  'Where the partition begins: -infinity for one without a lower bound, infinity for the default partition';
COMMENT ON CONSTRAINT chain_partitions_pkey ON spine.chain_partitions IS 'Finds the newest partition of a chain';
COMMENT ON INDEX spine.chain_partitions_pkey IS 'Finds the newest partition of a chain';
CREATE INDEX chain_partitions_starts_idx ON spine.chain_partitions (starts);
COMMENT ON INDEX spine.chain_partitions_starts_idx IS 'Finds the newest partition of all chains';

CREATE TABLE spine.anchors (
  organization_id uuid        NOT NULL,
  sequence        bigint      NOT NULL,
  "timestamp"     timestamptz NOT NULL,
  event_hash      bytea       NOT NULL,
  retirement_id   uuid        NOT NULL,
  CONSTRAINT anchors_pkey PRIMARY KEY (organization_id, sequence),
  CONSTRAINT anchors_sequence_check CHECK (sequence >= 1),
  CONSTRAINT anchors_event_hash_check CHECK (octet_length(event_hash) = 32)
);
COMMENT ON TABLE spine.anchors IS
  'Where chains begin whose older events were retired: the last event of a chain in each partition that spine.retire_events took away. '
  'The one with the greatest sequence is the chain''s anchor';
COMMENT ON COLUMN spine.anchors.organization_id IS 'Whose chain';
COMMENT ON COLUMN spine.anchors.sequence IS 'The sequence of the last retired event';
COMMENT ON COLUMN spine.anchors."timestamp" IS 'Its timestamp, before which no later event of the chain is';
COMMENT ON COLUMN spine.anchors.event_hash IS 'Its hash, to which the next event of the chain is linked';
COMMENT ON COLUMN spine.anchors.retirement_id IS 'The event platform.partition.retired, which holds a hash over its anchors';
COMMENT ON CONSTRAINT anchors_pkey ON spine.anchors IS 'A chain''s last anchor is found here';
COMMENT ON CONSTRAINT anchors_sequence_check ON spine.anchors IS 'A chain begins at 1';
COMMENT ON CONSTRAINT anchors_event_hash_check ON spine.anchors IS 'A SHA-256 has 32 bytes';
COMMENT ON INDEX spine.anchors_pkey IS 'Finds the anchor of a chain';
SELECT pg_catalog.pg_extension_config_dump('spine.anchors', '');
