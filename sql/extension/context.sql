-- Context

CREATE FUNCTION spine.set_context(
  organization_id uuid,
  actor_id        uuid,
  actor_type      spine.actor_type DEFAULT 'human',
  correlation_id  uuid             DEFAULT NULL
) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_set_context';
COMMENT ON FUNCTION spine.set_context(uuid, uuid, spine.actor_type, uuid) IS
  'Sets people_os_spine.organization_id, actor_id, actor_type and correlation_id for the rest of the transaction, as SET LOCAL would: all '
  'four, so that nothing is left of what the session says. NULL is empty, of actor_type human. Where ROLLBACK TO, or COMMIT '
  'in a procedure, takes it back, emitting with what the session says raises SP042. Raises SP040 for an actor without an '
  'organization, SP041 where the client calls it outside of a transaction block, for then its effect would end with the '
  'statement';
