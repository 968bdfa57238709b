-- The hash

CREATE FUNCTION spine.canonical_json(value jsonb) RETURNS text
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_canonical_json';
COMMENT ON FUNCTION spine.canonical_json(jsonb) IS
  'The RFC 8785 form of a JSON value, numbers from their exact decimal digits. Raises 54000 above 1 GB';

CREATE FUNCTION spine.canonical_event(event spine.events) RETURNS text
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_canonical_event';
COMMENT ON FUNCTION spine.canonical_event(spine.events) IS
  'The text whose SHA-256 is the event''s hash: its columns but event_hash, and the hashes of its parts in place of parts and '
  'salts, as one RFC 8785 object. Raises 54000 above 1 GB';

CREATE FUNCTION spine.event_digest(event spine.events) RETURNS bytea
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_event_digest';
COMMENT ON FUNCTION spine.event_digest(spine.events) IS
  'SHA-256 of spine.canonical_event: equal to event_hash where the event is as it was chained';
