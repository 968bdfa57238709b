-- Wiping what was erased

CREATE FUNCTION spine.wipe_erased(of_table regclass DEFAULT NULL) RETURNS TABLE (
  relation         regclass,
  blocks_read      bigint,
  versions_removed bigint,
  bytes_wiped      bigint,
  versions_left    bigint,
  done             boolean
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_wipe_erased';
COMMENT ON FUNCTION spine.wipe_erased(regclass) IS
  'Removes the old versions of events from spine.events, or from one table of events, with their out-of-line values and the '
  'statistics of the columns that can be erased, and overwrites with zeros what the server leaves of them in the pages. '
  'Logged, beside running emitters. One row a relation; done: nothing is left there of what was erased before the call; '
  'false: somebody still needs old versions, and a NOTICE says who; NULL: it cannot be told. Needs the table''s '
  'ownership. Raises SP018, SP080 for a damaged page, 25006 on a standby or in a read-only transaction, 42501, 42P01';

-- ANALYZE would copy values into pg_statistic, and no query of the spine's is planned by them.
ALTER TABLE spine.events
  ALTER COLUMN payload SET STATISTICS 0,
  ALTER COLUMN payload_salt SET STATISTICS 0,
  ALTER COLUMN personal SET STATISTICS 0,
  ALTER COLUMN personal_salt SET STATISTICS 0;
