-- Checkpoints, proofs and evidence

INSERT INTO spine.event_types (name, description, default_severity) VALUES
  ('platform.evidence.exported', 'Evidence of events was taken out', 'medium');

CREATE TABLE spine.checkpoints (
  organization_id  uuid        NOT NULL,
  size             bigint      NOT NULL,
  root             bytea       NOT NULL,
  head_hash        bytea       NOT NULL,
  compact_range    bytea       NOT NULL,
  directory_number bigint      NOT NULL,
  taken_at         timestamptz NOT NULL,
  CONSTRAINT checkpoints_pkey PRIMARY KEY (organization_id, size),
  CONSTRAINT checkpoints_size_check CHECK (size >= 1),
  CONSTRAINT checkpoints_root_check CHECK (octet_length(root) = 32),
  CONSTRAINT checkpoints_head_hash_check CHECK (octet_length(head_hash) = 32)
);
ALTER TABLE spine.checkpoints ALTER COLUMN compact_range SET STORAGE PLAIN;
CREATE INDEX checkpoints_directory_number_idx ON spine.checkpoints (directory_number);
COMMENT ON TABLE spine.checkpoints IS
  'How far chains were verified, and which tree their events made then: written by spine.take_checkpoint, and by spine.retire_events '
  'where a chain goes on without its older events. Rows are never changed and never removed';
COMMENT ON COLUMN spine.checkpoints.organization_id IS 'Whose chain';
COMMENT ON COLUMN spine.checkpoints.size IS 'Of how many events: the sequence of the last one';
COMMENT ON COLUMN spine.checkpoints.root IS 'The root of their Merkle tree, as RFC 6962 has it';
COMMENT ON COLUMN spine.checkpoints.head_hash IS 'The event_hash of the last one';
COMMENT ON COLUMN spine.checkpoints.compact_range IS
  'What the tree needs to grow: 0 and the size, 8 bytes each, the highest first, then the roots of the fewest perfect subtrees, from left to right';
COMMENT ON COLUMN spine.checkpoints.directory_number IS
  'The first directory checkpoint that covers it, which may still be to come. Of one number a chain''s largest size counts';
COMMENT ON COLUMN spine.checkpoints.taken_at IS 'When it was taken';
COMMENT ON CONSTRAINT checkpoints_pkey ON spine.checkpoints IS 'A chain''s newest checkpoint is found here';
COMMENT ON CONSTRAINT checkpoints_size_check ON spine.checkpoints IS 'Nothing is said of a chain without events';
COMMENT ON CONSTRAINT checkpoints_root_check ON spine.checkpoints IS 'A SHA-256 has 32 bytes';
COMMENT ON CONSTRAINT checkpoints_head_hash_check ON spine.checkpoints IS 'A SHA-256 has 32 bytes';
COMMENT ON INDEX spine.checkpoints_pkey IS 'Finds the newest checkpoint of a chain';
COMMENT ON INDEX spine.checkpoints_directory_number_idx IS 'Finds which chains went on since a directory checkpoint';

CREATE TABLE spine.tree_nodes (
  organization_id uuid     NOT NULL,
  level           smallint NOT NULL,
  index           bigint   NOT NULL,
  hash            bytea    NOT NULL,
  CONSTRAINT tree_nodes_pkey PRIMARY KEY (organization_id, level, index),
  CONSTRAINT tree_nodes_level_check CHECK (level BETWEEN 8 AND 56 AND level % 8 = 0),
  CONSTRAINT tree_nodes_index_check CHECK (index >= 0),
  CONSTRAINT tree_nodes_hash_check CHECK (octet_length(hash) = 32)
);
COMMENT ON TABLE spine.tree_nodes IS
  'Inner nodes of the chains'' trees, so that a proof reads some hundred events at most: written with the checkpoint that completes '
  'them. Nothing rests on them: a proof that does not lead to its root is an error. Rows are never changed and never removed';
COMMENT ON COLUMN spine.tree_nodes.organization_id IS 'Whose chain';
COMMENT ON COLUMN spine.tree_nodes.level IS 'The node spans 2^level events';
COMMENT ON COLUMN spine.tree_nodes.index IS 'Which one of its level, from 0';
COMMENT ON COLUMN spine.tree_nodes.hash IS 'The root of the perfect subtree over those events';
COMMENT ON CONSTRAINT tree_nodes_pkey ON spine.tree_nodes IS 'Finds a node';
COMMENT ON CONSTRAINT tree_nodes_level_check ON spine.tree_nodes IS 'Every eighth level is kept';
COMMENT ON CONSTRAINT tree_nodes_index_check ON spine.tree_nodes IS 'They are counted from 0';
COMMENT ON CONSTRAINT tree_nodes_hash_check ON spine.tree_nodes IS 'A SHA-256 has 32 bytes';
COMMENT ON INDEX spine.tree_nodes_pkey IS 'Finds a node';

CREATE TABLE spine.directory_checkpoints (
  number        bigint      NOT NULL,
  entry         text        COLLATE "C" NOT NULL,
  chains        bigint      NOT NULL,
  chains_root   bytea       NOT NULL,
  root          bytea       NOT NULL,
  compact_range bytea       NOT NULL,
  taken_at      timestamptz NOT NULL,
  CONSTRAINT directory_checkpoints_pkey PRIMARY KEY (number),
  CONSTRAINT directory_checkpoints_number_check CHECK (number >= 1),
  CONSTRAINT directory_checkpoints_chains_root_check CHECK (octet_length(chains_root) = 32),
  CONSTRAINT directory_checkpoints_root_check CHECK (octet_length(root) = 32)
);
ALTER TABLE spine.directory_checkpoints ALTER COLUMN compact_range SET STORAGE PLAIN;
COMMENT ON TABLE spine.directory_checkpoints IS
  'The directory log: what spine.take_checkpoint said of all chains together, and what a notary signs. Rows are never changed and never removed';
COMMENT ON COLUMN spine.directory_checkpoints.number IS 'From 1; the size of the log with it';
COMMENT ON COLUMN spine.directory_checkpoints.entry IS 'The data of its leaf in the log: number, chains, chains_root, taken_at, and which database says so';
COMMENT ON COLUMN spine.directory_checkpoints.chains IS 'How many chains it covers';
COMMENT ON COLUMN spine.directory_checkpoints.chains_root IS
  'The root of the tree of these chains, sorted by organization: a leaf says organization, size, root and head_hash of a chain''s checkpoint';
COMMENT ON COLUMN spine.directory_checkpoints.root IS 'The root of the log with it: what is signed, beside the number';
COMMENT ON COLUMN spine.directory_checkpoints.compact_range IS 'What the log needs to grow, as in spine.checkpoints';
COMMENT ON COLUMN spine.directory_checkpoints.taken_at IS 'When it was taken';
COMMENT ON CONSTRAINT directory_checkpoints_pkey ON spine.directory_checkpoints IS 'Finds a directory checkpoint';
COMMENT ON CONSTRAINT directory_checkpoints_number_check ON spine.directory_checkpoints IS 'They are counted from 1';
COMMENT ON CONSTRAINT directory_checkpoints_chains_root_check ON spine.directory_checkpoints IS 'A SHA-256 has 32 bytes';
COMMENT ON CONSTRAINT directory_checkpoints_root_check ON spine.directory_checkpoints IS 'A SHA-256 has 32 bytes';
COMMENT ON INDEX spine.directory_checkpoints_pkey IS 'Finds a directory checkpoint';

CREATE TABLE spine.checkpoint_notes (
  number    bigint      NOT NULL,
  origin    text        COLLATE "C" NOT NULL,
  note_hash bytea       NOT NULL,
  note      text        COLLATE "C" NOT NULL,
  stored_at timestamptz NOT NULL,
  CONSTRAINT checkpoint_notes_pkey PRIMARY KEY (number, origin, note_hash),
  CONSTRAINT checkpoint_notes_note_hash_check CHECK (octet_length(note_hash) = 32)
);
COMMENT ON TABLE spine.checkpoint_notes IS
  'What notaries signed, as spine.store_note was given it. Who signed is not judged here, for the database has no keys. Rows are never '
  'changed and never removed';
COMMENT ON COLUMN spine.checkpoint_notes.number IS 'Of the directory checkpoint whose root was signed';
COMMENT ON COLUMN spine.checkpoint_notes.origin IS 'The name under which the notary keeps the log';
COMMENT ON COLUMN spine.checkpoint_notes.note_hash IS 'The SHA-256 of the note, so that each is there once';
COMMENT ON COLUMN spine.checkpoint_notes.note IS 'The signed note, as c2sp.org/signed-note has it';
COMMENT ON COLUMN spine.checkpoint_notes.stored_at IS 'When it was stored';
COMMENT ON CONSTRAINT checkpoint_notes_pkey ON spine.checkpoint_notes IS 'Each note is there once';
COMMENT ON CONSTRAINT checkpoint_notes_note_hash_check ON spine.checkpoint_notes IS 'A SHA-256 has 32 bytes';
COMMENT ON INDEX spine.checkpoint_notes_pkey IS 'Finds the notes of a directory checkpoint';

CREATE FUNCTION spine.keep_record() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_keep_record';
COMMENT ON FUNCTION spine.keep_record() IS
  'Trigger function, BEFORE UPDATE, DELETE or TRUNCATE: raises SP105, also for the table''s owner and for superusers; 39P01 where it is '
  'attached otherwise';

DO $$
DECLARE
  one text;
BEGIN
  FOREACH one IN ARRAY '{checkpoints,tree_nodes,directory_checkpoints,checkpoint_notes}'::text[] LOOP
    EXECUTE pg_catalog.format('CREATE TRIGGER keep_record BEFORE UPDATE OR DELETE OR TRUNCATE ON spine.%I'
      ' FOR EACH STATEMENT EXECUTE FUNCTION spine.keep_record()', one);
    -- Logical replication fires only those for rows.
    EXECUTE pg_catalog.format('CREATE TRIGGER keep_record_row BEFORE UPDATE OR DELETE ON spine.%I'
      ' FOR EACH ROW EXECUTE FUNCTION spine.keep_record()', one);
    EXECUTE pg_catalog.format('ALTER TABLE spine.%I ENABLE ALWAYS TRIGGER keep_record, ENABLE ALWAYS TRIGGER keep_record_row', one);
    EXECUTE pg_catalog.format('COMMENT ON TRIGGER keep_record ON spine.%I IS %L', one, 'Has its rows stay as they are');
    EXECUTE pg_catalog.format('COMMENT ON TRIGGER keep_record_row ON spine.%I IS %L', one, 'Does so where only row triggers fire');
    EXECUTE pg_catalog.format('SELECT pg_catalog.pg_extension_config_dump(%L, '''')', 'spine.' || one);
  END LOOP;
END
$$;

CREATE FUNCTION spine.may_notarize() RETURNS boolean
  LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_may_notarize';
COMMENT ON FUNCTION spine.may_notarize() IS
  'Whether the current role, or a role that it is a member of, was made a notary by spine.grant_notary, or it is a superuser or owns '
  'spine.events. Raises 42P01 where spine.role_bindings is missing';

ALTER TABLE spine.checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.checkpoints FOR SELECT USING (spine.may_read(organization_id) OR (SELECT spine.may_notarize()));
COMMENT ON POLICY read_given ON spine.checkpoints IS 'As of spine.events; a notary sees those of all organizations';

CREATE FUNCTION spine.tree_head(organization_id uuid, size bigint DEFAULT NULL) RETURNS TABLE (
  size      bigint,
  root      bytea,
  head_hash bytea
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'spine_tree_head';
COMMENT ON FUNCTION spine.tree_head(uuid, bigint) IS
  'The root of the Merkle tree (RFC 6962) over the event_hash of an organization''s first so many events, NULL: of all that there are, '
  'and the last one''s hash. Retired and erased events keep their leaves. For who reads the organization''s events, and for notaries. '
  'Raises SP100 where there never were so many, SP101 where it asks for retired events, SP102 where what is stored leads to no root, '
  'SP090 where an event is missing, SP045, 42501';

CREATE FUNCTION spine.prove_inclusion(
  organization_id uuid   DEFAULT NULL,
  sequence        bigint DEFAULT NULL,
  size            bigint DEFAULT NULL,
  event_id        uuid   DEFAULT NULL
) RETURNS TABLE (
  leaf_index bigint,
  size       bigint,
  root       bytea,
  event_hash bytea,
  proof      bytea[]
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'spine_prove_inclusion';
COMMENT ON FUNCTION spine.prove_inclusion(uuid, bigint, bigint, uuid) IS
  'Proves that an event, of an organization and sequence or of an id, is in the tree of the chain''s first so many events, NULL: of all '
  'that there are. The proof''s hashes are in the order of RFC 6962 section 2.1.1, and are known to lead to the root. leaf_index is one '
  'less than the sequence. For who reads the event. Raises what spine.tree_head does, SP071 for an id that is none, 22004';

CREATE FUNCTION spine.prove_consistency(organization_id uuid, old_size bigint, new_size bigint) RETURNS TABLE (
  old_root bytea,
  new_root bytea,
  proof    bytea[]
)
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'spine_prove_consistency';
COMMENT ON FUNCTION spine.prove_consistency(uuid, bigint, bigint) IS
  'Proves that the chain''s tree of new_size begins with that of old_size, as RFC 6962 section 2.1.2 has it. For who reads the '
  'organization''s events, and for notaries. Raises what spine.tree_head does';

CREATE FUNCTION spine.prove_growth(organization_ids uuid[], old_sizes bigint[], new_sizes bigint[]) RETURNS TABLE (
  organization_id uuid,
  old_root        bytea,
  new_root        bytea,
  proof           bytea[]
)
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_prove_growth';
COMMENT ON FUNCTION spine.prove_growth(uuid[], bigint[], bigint[]) IS
  'What spine.prove_consistency proves, of many organizations in one call, in the order of the array: old_sizes and new_sizes have an element '
  'for each. For who reads the organizations'' events, and for notaries. Raises what spine.tree_head does, 22004, 22023';

CREATE FUNCTION spine.prove_directory_consistency(old_number bigint, new_number bigint) RETURNS TABLE (
  old_root bytea,
  new_root bytea,
  proof    bytea[]
)
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'spine_prove_directory_consistency';
COMMENT ON FUNCTION spine.prove_directory_consistency(bigint, bigint) IS
  'Proves that the directory log at one directory checkpoint begins with what it was at another, as RFC 6962 section 2.1.2 has it. For '
  'readers and notaries. Raises SP100 where there is no such directory checkpoint, SP102 where what is stored leads to no root, SP046';

CREATE FUNCTION spine.take_checkpoint(organization_id uuid DEFAULT NULL) RETURNS TABLE (
  organization_id uuid,
  size            bigint,
  root            bytea,
  head_hash       bytea,
  verified        bigint,
  intact          boolean,
  fault           text
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_take_checkpoint';
COMMENT ON FUNCTION spine.take_checkpoint(uuid) IS
  'Verifies what an organization''s chain, NULL: each chain, got since its last checkpoint, and writes its new checkpoint. Of all chains '
  'together it appends a directory checkpoint, where a chain went on since the last one. One row for each chain that went on, and for each '
  'that is at fault: that keeps its older checkpoint, and fault says what is wrong at which sequence. Emitters do not wait for it; of two '
  'calls one waits for the other. Needs spine.grant_notary. Raises 25006 on a standby or in a read-only transaction, SP046, SP102, 42501';

CREATE FUNCTION spine.checkpointed_chains(after_number bigint DEFAULT 0) RETURNS TABLE (
  organization_id uuid,
  size            bigint,
  root            bytea,
  head_hash       bytea
)
  LANGUAGE c STABLE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_checkpointed_chains';
COMMENT ON FUNCTION spine.checkpointed_chains(bigint) IS
  'The checkpoints of the chains that went on between a directory checkpoint and the newest one, 0: of all chains, as the newest one '
  'covers them. Sorted by organization. Sees what the transaction''s snapshot does, as a query of spine.directory_checkpoints beside it. '
  'Needs spine.grant_notary. Raises 42501';

CREATE FUNCTION spine.store_note(note text) RETURNS bigint
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_store_note';
COMMENT ON FUNCTION spine.store_note(text) IS
  'Keeps the note that a notary signed over a directory checkpoint, and returns that one''s number. Signatures are not judged. A note '
  'that is there already stays as it is. Needs spine.grant_notary. Raises SP103 where it is no signed checkpoint, or its size and root '
  'are not those of a directory checkpoint, 25006, 42501';

CREATE FUNCTION spine.verify_since_checkpoint(organization_id uuid DEFAULT NULL) RETURNS TABLE (
  organization_id      uuid,
  intact               boolean,
  checkpoint_size      bigint,
  checkpoint_root      bytea,
  checkpointed_at      timestamptz,
  directory_number     bigint,
  events               bigint,
  last_sequence        bigint,
  head_hash            bytea,
  faults               bigint,
  first_fault_sequence bigint,
  first_fault          text
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_verify_since_checkpoint';
COMMENT ON FUNCTION spine.verify_since_checkpoint(uuid) IS
  'Verifies what the chain of one organization, or each that the role may read, got since its last checkpoint: in time that depends on '
  'that alone. One row an organization: whether that is intact, on which checkpoint it stands (NULL: there is none, and all of the chain '
  'was verified), which directory checkpoint covers that, what was verified, the faults'' number and the first: as spine.verify_chain '
  'names them, or checkpoint_broken, where the chain does not go on from its checkpoint. Needs SELECT on spine.events. Raises 42501, SP046';

CREATE FUNCTION spine.event_line(event spine.events, payload boolean DEFAULT true, personal boolean DEFAULT false) RETURNS text
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_event_line';
COMMENT ON FUNCTION spine.event_line(spine.events, boolean, boolean) IS
  'An event as evidence has it: spine.canonical_event with event_hash, and with the payload, or the personal part, and its salt where they are '
  'asked for and there. Raises SP045 for a damaged event, 54000 above 1 GB';

CREATE FUNCTION spine.export_evidence(
  organization_id uuid,
  ids             uuid[]  DEFAULT NULL,
  domain          text    DEFAULT NULL,
  entity_type     text    DEFAULT NULL,
  entity_id       uuid    DEFAULT NULL,
  from_sequence   bigint  DEFAULT NULL,
  to_sequence     bigint  DEFAULT NULL,
  reason          text    DEFAULT NULL,
  payload         boolean DEFAULT true,
  personal        boolean DEFAULT false,
  origin          text    DEFAULT NULL
) RETURNS SETOF text
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_export_evidence';
COMMENT ON FUNCTION spine.export_evidence(uuid, uuid[], text, text, uuid, bigint, bigint, text, boolean, boolean, text) IS
  'The lines of an evidence bundle (docs/evidence.md) of an organization''s events: of those with these ids, of a domain, entity type or '
  'entity, or all; from a sequence to another. They are proved against the newest directory checkpoint that was signed, by a notary of that '
  'origin or any; the erasures that touch them come with them. payload, personal: whether these parts are shown. reason is required. Emits '
  'platform.evidence.exported in the organization''s chain. For who reads the events, and their personal part where that is asked for. '
  'Raises SP104 where nothing signed covers an event, SP101 for retired events, SP071 for an unknown id, SP090 where an event is not '
  'intact, SP102 where what is stored does not lead to what was signed, SP106 for a line above 16 MiB, SP019, 22004, 42501, 25006, and '
  'what spine.emit_event raises';
