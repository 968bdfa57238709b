-- Replay and history

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
  'of missing events, and tells by NOTICE which were retired. Raises SP005 for a null organization, SP019 for a range that is none, SP032 for what is no such '
  'function, SP045 for a damaged event, 42501';

CREATE FUNCTION spine.entity_history(entity_type text, entity_id uuid) RETURNS SETOF spine.events
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'spine_entity_history';
COMMENT ON FUNCTION spine.entity_history(text, uuid) IS
  'The events about an entity, by organization and sequence, in the organizations that the caller may read. entity_type: also '
  'domain.entity_type. Sees and waits '
  'as spine.read_events does. Needs SELECT on spine.events. Raises SP018 where the index on (entity_id, sequence) is '
  'missing, SP045 for an event that is damaged, or does not say whose it is, 42501';

CREATE FUNCTION spine.entity_as_of(entity_type text, entity_id uuid, moment timestamptz) RETURNS jsonb
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_entity_as_of';
COMMENT ON FUNCTION spine.entity_as_of(text, uuid, timestamptz) IS
  'The row of a captured table as it was at a moment, by the newest event of its capture until then that the caller may '
  'read; NULL where there is none, or the row was deleted. entity_type: also domain.entity_type. Sees, waits, needs and raises '
  'what spine.entity_history does; SP061 where the events do not say how the row was, SP062 where they do not hold all of it, SP076 where '
  'the event that said it was erased';
