-- Reading

CREATE FUNCTION spine.read_events(organization_id uuid, after_sequence bigint DEFAULT 0, max_events bigint DEFAULT 1000)
RETURNS SETOF spine.events
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'spine_read_events';
COMMENT ON FUNCTION spine.read_events(uuid, bigint, bigint) IS
  'The events of an organization after a sequence, in order and without a gap, at most max_events: call it again with the '
  'last sequence that you have. Sees what is committed now, whatever the transaction''s snapshot, and waits until that is '
  'durable. Needs SELECT on spine.events; there are none of an organization that the role may not read. Raises SP019 for '
  'a negative max_events, SP045 for a damaged event, 42501';

CREATE FUNCTION spine.read_chain_heads(after_organization uuid DEFAULT NULL, max_chains bigint DEFAULT NULL) RETURNS TABLE (
  organization_id uuid,
  sequence        bigint,
  event_hash      bytea,
  "timestamp"     timestamptz
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'spine_read_chain_heads';
COMMENT ON FUNCTION spine.read_chain_heads(uuid, bigint) IS
  'The last event of each chain that the caller may read, retired events included, by as many index lookups as there are chains. With '
  'max_chains a page: that many chains at most, in the order of their organizations, behind after_organization. Sees and waits as '
  'spine.read_events does. Needs SELECT on spine.events. Raises SP018 where the index on (organization_id, sequence) is '
  'missing, SP019 for a negative max_chains, SP045 for a damaged event, 42501';
