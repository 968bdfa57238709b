-- Verifying

CREATE FUNCTION spine.verify_chain(
  organization_id uuid    DEFAULT NULL,
  from_sequence   bigint  DEFAULT NULL,
  to_sequence     bigint  DEFAULT NULL,
  thorough        boolean DEFAULT false
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
COMMENT ON FUNCTION spine.verify_chain(uuid, bigint, bigint, boolean) IS
  'Verifies the chain of one organization, or of each, whole or in a range together with its link to the event before. '
  'One row an organization: intact (NULL where nothing was checked), what was checked, the faults'' number and the '
  'first. Of one organization it reads the events that the primary key''s index has, whatever others stored; thorough, and of all, it reads '
  'the tables themselves, with parallel workers as an index build would (max_parallel_maintenance_workers), and so finds also what no '
  'index knows. Says by NOTICE how far it is (people_os_spine.progress_interval). Takes no lock that emitters wait for, needs SELECT '
  'on spine.events. A role that may read some organizations verifies those, and others are to it as if they were not '
  'there. Raises SP019 for a range that is none, 42501';

CREATE FUNCTION spine.verify_table(of_table regclass) RETURNS TABLE (
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
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_verify_table';
COMMENT ON FUNCTION spine.verify_table(regclass) IS
  'Verifies what one table holds of each chain: a partition of spine.events, or one that was retired. A chain''s first event there '
  'must be linked to the event before it, which spine.anchors or spine.events has; where the table was retired, its last one must be '
  'the anchor''s. Returns what spine.verify_chain does. For the owner of spine.events and superusers. Raises SP018 where it is no table '
  'that holds events, 42501';

CREATE FUNCTION spine.find_chain_faults(
  organization_id uuid    DEFAULT NULL,
  from_sequence   bigint  DEFAULT NULL,
  to_sequence     bigint  DEFAULT NULL,
  thorough        boolean DEFAULT false
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
COMMENT ON FUNCTION spine.find_chain_faults(uuid, bigint, bigint, boolean) IS
  'Every fault that verify_chain counts, by organization and sequence: content_altered, link_broken, event_missing (one '
  'row a gap), event_duplicated, order_violated, malformed, part_missing (a part is gone, and no event of the chain says that it was erased), unreadable (a block or a row that the server cannot read; one of '
  'nobody''s chain is told to roles that see all events). expected and found are the hashes that differ. Needs and raises what '
  'verify_chain does';

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

CREATE VIEW spine.verify_progress WITH (security_invoker = true) AS
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
  'How many blocks of the tables are to be read, or by its index how many events of one organization; twice as many once events that share a sequence ask for a second reading';
COMMENT ON COLUMN spine.verify_progress.blocks_done IS 'How many are read, by all processes';
COMMENT ON COLUMN spine.verify_progress.events_done IS 'How many events were in them, those of other organizations included; NULL for a role that sees a part of spine.events';
COMMENT ON COLUMN spine.verify_progress.share IS 'blocks_done of blocks_total: 0 to 1';
COMMENT ON COLUMN spine.verify_progress.events_per_second IS 'Since the start; NULL where events_done is';
COMMENT ON COLUMN spine.verify_progress.seconds_left IS 'At that pace; NULL where nothing is read yet';

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

ALTER TABLE spine.verifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.verifications FOR SELECT USING (spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.verifications IS 'As of spine.events';
SELECT pg_catalog.pg_extension_config_dump('spine.verifications', '');

CREATE FUNCTION spine.record_verification(organization_id uuid DEFAULT NULL, thorough boolean DEFAULT false) RETURNS TABLE (
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
COMMENT ON FUNCTION spine.record_verification(uuid, boolean) IS
  'Calls spine.verify_chain, thorough or not, notes in spine.verifications what it said of each chain, and returns that. Rows that cannot say '
  'whose they are, and a chain without events, are not noted. Needs what verify_chain needs, EXECUTE on it, and no right '
  'to the table. Raises what verify_chain does, 25006 on a standby or in a read-only transaction';
