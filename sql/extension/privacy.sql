-- Erasing parts of events, the legal holds that forbid it, and how long events are kept

CREATE TABLE spine.legal_holds (
  id              uuid        NOT NULL,
  organization_id uuid        NOT NULL,
  domain          text,
  entity_type     text,
  entity_id       uuid,
  from_timestamp  timestamptz,
  to_timestamp    timestamptz,
  released_at     timestamptz,
  reason          text        NOT NULL,
  placed_at       timestamptz NOT NULL,
  placed_by       text        NOT NULL,
  released_by     text,
  release_reason  text,
  CONSTRAINT legal_holds_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE spine.legal_holds IS
  'The legal holds, those that were released too: written by spine.place_hold and release_hold. No row is ever deleted';
COMMENT ON COLUMN spine.legal_holds.id IS 'Given by spine.place_hold; the entity of the events that tell of the hold';
COMMENT ON COLUMN spine.legal_holds.organization_id IS 'Whose events are held';
COMMENT ON COLUMN spine.legal_holds.domain IS 'Of this domain; NULL: any';
COMMENT ON COLUMN spine.legal_holds.entity_type IS 'About entities of this type; NULL: any';
COMMENT ON COLUMN spine.legal_holds.entity_id IS 'About this entity; NULL: any';
COMMENT ON COLUMN spine.legal_holds.from_timestamp IS 'Chained at this moment or later; NULL: from the first on';
COMMENT ON COLUMN spine.legal_holds.to_timestamp IS 'Chained at this moment or before; NULL: without end';
COMMENT ON COLUMN spine.legal_holds.released_at IS 'When it was released; NULL: it stands';
COMMENT ON COLUMN spine.legal_holds.reason IS 'Why it was placed';
COMMENT ON COLUMN spine.legal_holds.placed_at IS 'When it was placed';
COMMENT ON COLUMN spine.legal_holds.placed_by IS 'By which role';
COMMENT ON COLUMN spine.legal_holds.released_by IS 'Which role released it';
COMMENT ON COLUMN spine.legal_holds.release_reason IS 'Why it was released';
COMMENT ON CONSTRAINT legal_holds_pkey ON spine.legal_holds IS 'Holds have an id each';
COMMENT ON INDEX spine.legal_holds_pkey IS 'Finds a hold by its id';

CREATE FUNCTION spine.keep_decision() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_keep_decision';
COMMENT ON FUNCTION spine.keep_decision() IS
  'Trigger function of spine.legal_holds and spine.retention_policies: raises SP075 for whatever changes or removes a row but '
  'spine.release_hold and spine.set_retention, also for the owner and for superusers; 39P01 where it is attached elsewhere';

CREATE TRIGGER keep_decision BEFORE UPDATE OR DELETE OR TRUNCATE ON spine.legal_holds
  FOR EACH STATEMENT EXECUTE FUNCTION spine.keep_decision();
-- Logical replication fires only those for rows.
CREATE TRIGGER keep_decision_row BEFORE UPDATE OR DELETE ON spine.legal_holds
  FOR EACH ROW EXECUTE FUNCTION spine.keep_decision();
ALTER TABLE spine.legal_holds ENABLE ALWAYS TRIGGER keep_decision;
ALTER TABLE spine.legal_holds ENABLE ALWAYS TRIGGER keep_decision_row;
COMMENT ON TRIGGER keep_decision ON spine.legal_holds IS 'Has holds stay';
COMMENT ON TRIGGER keep_decision_row ON spine.legal_holds IS 'Does so where only row triggers fire';

ALTER TABLE spine.legal_holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.legal_holds FOR SELECT USING (spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.legal_holds IS 'As of spine.events';
SELECT pg_catalog.pg_extension_config_dump('spine.legal_holds', '');

CREATE FUNCTION spine.place_hold(
  organization_id uuid,
  reason          text,
  domain          text        DEFAULT NULL,
  entity_type     text        DEFAULT NULL,
  entity_id       uuid        DEFAULT NULL,
  from_timestamp  timestamptz DEFAULT NULL,
  to_timestamp    timestamptz DEFAULT NULL
) RETURNS uuid
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_place_hold';
COMMENT ON FUNCTION spine.place_hold(uuid, text, text, text, uuid, timestamptz, timestamptz) IS
  'Puts events of an organization under a legal hold, of which nothing is erased or retired, and returns its id: those of the '
  'domain, entity type and entity that are said, chained from one moment to another, both included; what is NULL is any. Events '
  'that come later are held too. Emits platform.hold.placed in the organization''s chain. Needs spine.grant_hold_keeper. Raises '
  '22004 for a null organization or no reason, 22023 for a time that ends before it begins, SP001 for what is no name, 42501, '
  '25006, and what spine.emit_event raises';

CREATE FUNCTION spine.release_hold(id uuid, reason text) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_release_hold';
COMMENT ON FUNCTION spine.release_hold(uuid, text) IS
  'Ends a legal hold, and emits platform.hold.released in the organization''s chain. Needs spine.grant_hold_keeper. Raises SP073 '
  'where no such hold stands that the role may release, 22004 for no reason, 40001, 25006, and what spine.emit_event raises';

CREATE TABLE spine.retention_policies (
  id              uuid        NOT NULL,
  organization_id uuid,
  keep            interval    NOT NULL,
  ended_at        timestamptz,
  reason          text        NOT NULL,
  set_at          timestamptz NOT NULL,
  set_by          text        NOT NULL,
  ended_by        text,
  end_reason      text,
  CONSTRAINT retention_policies_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE spine.retention_policies IS
  'For how long events are kept, also what held before: written by spine.set_retention. No row is ever deleted';
COMMENT ON COLUMN spine.retention_policies.id IS 'The entity of the events that tell of the policy';
COMMENT ON COLUMN spine.retention_policies.organization_id IS 'Whose events are kept; NULL: those of each organization without a policy of its own';
COMMENT ON COLUMN spine.retention_policies.keep IS 'For how long from their timestamp on';
COMMENT ON COLUMN spine.retention_policies.ended_at IS 'When another took its place, or none; NULL: it holds';
COMMENT ON COLUMN spine.retention_policies.reason IS 'Why it was set';
COMMENT ON COLUMN spine.retention_policies.set_at IS 'When it was set';
COMMENT ON COLUMN spine.retention_policies.set_by IS 'By which role';
COMMENT ON COLUMN spine.retention_policies.ended_by IS 'Which role ended it';
COMMENT ON COLUMN spine.retention_policies.end_reason IS 'Why it was ended';
COMMENT ON CONSTRAINT retention_policies_pkey ON spine.retention_policies IS 'Policies have an id each';
COMMENT ON INDEX spine.retention_policies_pkey IS 'Finds a policy by its id';

CREATE TRIGGER keep_decision BEFORE UPDATE OR DELETE OR TRUNCATE ON spine.retention_policies
  FOR EACH STATEMENT EXECUTE FUNCTION spine.keep_decision();
-- Logical replication fires only those for rows.
CREATE TRIGGER keep_decision_row BEFORE UPDATE OR DELETE ON spine.retention_policies
  FOR EACH ROW EXECUTE FUNCTION spine.keep_decision();
ALTER TABLE spine.retention_policies ENABLE ALWAYS TRIGGER keep_decision;
ALTER TABLE spine.retention_policies ENABLE ALWAYS TRIGGER keep_decision_row;
COMMENT ON TRIGGER keep_decision ON spine.retention_policies IS 'Has policies stay';
COMMENT ON TRIGGER keep_decision_row ON spine.retention_policies IS 'Does so where only row triggers fire';

ALTER TABLE spine.retention_policies ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.retention_policies FOR SELECT USING (organization_id IS NULL OR spine.may_read(organization_id));
COMMENT ON POLICY read_given ON spine.retention_policies IS 'As of spine.events; what holds for all, every reader sees';
SELECT pg_catalog.pg_extension_config_dump('spine.retention_policies', '');

CREATE FUNCTION spine.set_retention(organization_id uuid, keep interval, reason text) RETURNS uuid
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_set_retention';
COMMENT ON FUNCTION spine.set_retention(uuid, interval, text) IS
  'Sets for how long the events of an organization are kept from their timestamp on, in place of what was set before; with a null '
  'organization those of each organization without a policy of its own; with a null keep there is no policy any more. Returns the '
  'id of the policy, or NULL. spine.retire_events leaves what is kept. Emits platform.retention.set in the organization''s chain, '
  'or the platform''s. Needs spine.grant_hold_keeper, for all organizations where it is null. Raises 22023 for a time that is not '
  'above zero or above 1000 years, 22004 for no reason, 42501, 25006, and what spine.emit_event raises';

CREATE FUNCTION spine.erase_events(organization_id uuid, ids uuid[], reason text, parts text[] DEFAULT '{personal}') RETURNS TABLE (
  erasure_id uuid,
  events     bigint,
  parts_gone bigint
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_erase_events';
COMMENT ON FUNCTION spine.erase_events(uuid, uuid[], text, text[]) IS
  'Erases the personal part, or with ''{payload,personal}'' both parts, of events of an organization: each part and its salt go, '
  'its hash stays in their place, and the chain stays intact. One row for each event platform.personal.erased that says so in '
  'the same chain: its id, of how many events and parts it tells; or one with a null id where there was nothing to erase. Needs '
  'spine.grant_eraser. Raises SP071 for an id that is none of the organization''s, SP072 for an event that is held, SP077 for one '
  'of the spine''s own records, SP074 where a trigger stands in the way, SP045 for a damaged event, SP018 where an index is '
  'missing, 22004, 22023, 42501, 25006, and what spine.emit_event raises';

CREATE FUNCTION spine.erase_entity(organization_id uuid, domain text, entity_type text, entity_id uuid, reason text, parts text[] DEFAULT '{personal}') RETURNS TABLE (
  erasure_id uuid,
  events     bigint,
  parts_gone bigint
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_erase_entity';
COMMENT ON FUNCTION spine.erase_entity(uuid, text, text, uuid, text, text[]) IS
  'Erases as spine.erase_events does, of all events of the organization about an entity that are committed when the call begins, '
  'or this transaction''s own. Returns, needs and raises what spine.erase_events does';

CREATE FUNCTION spine.repeat_erasures(erasures jsonb DEFAULT NULL, organization_id uuid DEFAULT NULL) RETURNS TABLE (
  of_organization uuid,
  erasure_id      uuid,
  repeats         uuid,
  events          bigint,
  parts_gone      bigint
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_repeat_erasures';
COMMENT ON FUNCTION spine.repeat_erasures(jsonb, uuid) IS
  'After a restore: erases again what was erased and stands again. erasures: the events platform.personal.erased that were kept '
  'outside, a JSON array of them as to_jsonb() makes them; NULL: those that the chains hold. organization_id: of this organization '
  'alone; NULL: of all in the list, or of all that the role may erase for. One row for each new erasure event: whose, its id, '
  'which one it repeats, and how many events and parts it tells of. What is gone already, or is not in the chain, is passed over, '
  'so it can be called again. Needs spine.grant_eraser. Raises SP078 for what is no such list, and what spine.erase_events does';
