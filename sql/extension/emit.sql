-- Emitting

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
  environment     spine.environment DEFAULT NULL,
  personal        jsonb             DEFAULT NULL,
  occurred_at     timestamptz       DEFAULT NULL,
  correlation_id  uuid              DEFAULT NULL,
  causation_id    uuid              DEFAULT NULL
) RETURNS uuid
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_emit_event';
COMMENT ON FUNCTION spine.emit_event(text, text, uuid, text, uuid, jsonb, uuid, spine.actor_type, spine.severity, spine.environment, jsonb, timestamptz, uuid, uuid) IS
  'Emits one event in the caller''s transaction and returns its id. event_type is <domain>.<entity>.<action>; entity_id '
  'is required; what is NULL comes from event_type or from the settings people_os_spine.*, a NULL severity from '
  'spine.event_types. personal is what speaks of persons: its hash stands for it where it is left out. occurred_at is '
  'when it happened, where that is not now. Needs no right on the table. Raises SP001 to SP011, SP015 to SP018, SP025, SP033, '
  'SP060, SP070, 42501 for an organization that the role was not given, 25006 on a standby or in a read-only transaction';

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
