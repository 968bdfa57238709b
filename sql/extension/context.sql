-- Context

CREATE FUNCTION spine.set_context(
  organization_id uuid,
  actor_id        uuid,
  actor_type      spine.actor_type DEFAULT 'human'
) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_set_context';
COMMENT ON FUNCTION spine.set_context(uuid, uuid, spine.actor_type) IS
  'Sets people_os_spine.organization_id, actor_id and actor_type for the rest of the transaction, as SET LOCAL would: all '
  'three, so that nothing is left of what the session says. NULL is empty, of actor_type human. Where ROLLBACK TO, or COMMIT '
  'in a procedure, takes it back, emitting with what the session says raises SP042. Raises SP040 for an actor without an '
  'organization, SP041 where the client calls it outside of a transaction block, for then its effect would end with the '
  'statement';
