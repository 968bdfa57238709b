-- Who may emit and read

CREATE TABLE spine.role_bindings (
  role            regrole NOT NULL,
  capability      text COLLATE "C" NOT NULL,
  organization_id uuid,
  personal        boolean     NOT NULL DEFAULT false,
  role_name       name        NOT NULL,
  granted_at      timestamptz NOT NULL,
  CONSTRAINT role_bindings_capability_check CHECK (capability IN ('emit', 'read', 'audit', 'erase', 'hold', 'notarize', 'watch')),
  CONSTRAINT role_bindings_personal_check CHECK (NOT personal OR capability IN ('read', 'audit')),
  CONSTRAINT role_bindings_role_capability_organization_id_key
    UNIQUE NULLS NOT DISTINCT (role, capability, organization_id)
);
-- A key must have no null; without it a publication of all tables would refuse each change of a right.
ALTER TABLE spine.role_bindings REPLICA IDENTITY FULL;
COMMENT ON TABLE spine.role_bindings IS
  'For which organizations roles emit, read, erase and hold, and which are notaries or watchers: written by the functions spine.grant_… and revoke_…';
COMMENT ON COLUMN spine.role_bindings.role IS 'The role; its members have what it has';
COMMENT ON COLUMN spine.role_bindings.capability IS
  'emit: the role emits for the organization. read: it sees its events. audit: sees them '
  'whatever people_os_spine.organization_id says. erase: it erases parts of its events. hold: it places and releases holds. '
  'notarize: it takes checkpoints of all organizations. watch: it sets rules and runs the watch over all organizations';
COMMENT ON COLUMN spine.role_bindings.organization_id IS 'NULL: all organizations';
COMMENT ON COLUMN spine.role_bindings.personal IS 'read, audit: whether the role sees the personal part of the events, too';
COMMENT ON COLUMN spine.role_bindings.role_name IS
  'The role''s name when it was given: the row counts where the role still has it, so that no other role inherits it';
COMMENT ON COLUMN spine.role_bindings.granted_at IS 'When the transaction that gave it began';
COMMENT ON CONSTRAINT role_bindings_capability_check ON spine.role_bindings IS 'What a row can give';
COMMENT ON CONSTRAINT role_bindings_personal_check ON spine.role_bindings IS 'Who emits does not read';
COMMENT ON CONSTRAINT role_bindings_role_capability_organization_id_key ON spine.role_bindings IS 'Nothing is given twice';
COMMENT ON INDEX spine.role_bindings_role_capability_organization_id_key IS 'Finds what a role was given';

CREATE FUNCTION spine.note_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_note_change';
COMMENT ON FUNCTION spine.note_change() IS
  'Trigger function of spine.role_bindings and spine.event_types: has every session look at the table again, once the '
  'change is committed. Raises 39P01 where it is called as no trigger';

CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spine.role_bindings
  FOR EACH STATEMENT EXECUTE FUNCTION spine.note_change();
-- Logical replication fires only those for rows.
CREATE TRIGGER note_row_change AFTER INSERT OR UPDATE OR DELETE ON spine.role_bindings
  FOR EACH ROW EXECUTE FUNCTION spine.note_change();
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER note_change;
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER note_row_change;
COMMENT ON TRIGGER note_change ON spine.role_bindings IS 'Has sessions forget what they know of the table';
COMMENT ON TRIGGER note_row_change ON spine.role_bindings IS 'Does so where only row triggers fire';

CREATE FUNCTION spine.own_binding() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_own_binding';
COMMENT ON FUNCTION spine.own_binding() IS
  'Trigger function of spine.role_bindings, BEFORE INSERT OR UPDATE FOR EACH ROW: gives role_name and granted_at. A row that is '
  'inserted with both is a restored one and stays as it is. Raises 42704 for a role that does not exist, 39P01 anywhere else';

CREATE FUNCTION spine.record_bindings() RETURNS trigger
  LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_record_bindings';
COMMENT ON FUNCTION spine.record_bindings() IS
  'Trigger function of spine.role_bindings, for statements: emits platform.rights.granted and platform.rights.revoked with what '
  'the statement gave and took, but not for restored rows, whose events are restored too. Raises what spine.emit_event raises, '
  'such as SP006; 39P01 anywhere else';

CREATE TRIGGER own_binding BEFORE INSERT OR UPDATE ON spine.role_bindings
  FOR EACH ROW EXECUTE FUNCTION spine.own_binding();
-- Not for rows: what logical replication brings has its events where it comes from.
CREATE TRIGGER record_insert AFTER INSERT ON spine.role_bindings
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION spine.record_bindings();
CREATE TRIGGER record_update AFTER UPDATE ON spine.role_bindings
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION spine.record_bindings();
CREATE TRIGGER record_delete AFTER DELETE ON spine.role_bindings
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION spine.record_bindings();
CREATE TRIGGER record_truncate BEFORE TRUNCATE ON spine.role_bindings
  FOR EACH STATEMENT EXECUTE FUNCTION spine.record_bindings();
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER own_binding;
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER record_insert;
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER record_update;
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER record_delete;
ALTER TABLE spine.role_bindings ENABLE ALWAYS TRIGGER record_truncate;
COMMENT ON TRIGGER own_binding ON spine.role_bindings IS 'Says whose a binding is, by name, and since when';
COMMENT ON TRIGGER record_insert ON spine.role_bindings IS 'Has each right that is given be an event';
COMMENT ON TRIGGER record_update ON spine.role_bindings IS 'Has each right that is changed be two events';
COMMENT ON TRIGGER record_delete ON spine.role_bindings IS 'Has each right that is taken be an event';
COMMENT ON TRIGGER record_truncate ON spine.role_bindings IS 'Has all rights that are taken at once be events';

-- Not those of a dropped role, whose number may be another's where they are restored, nor of one that was renamed.
SELECT pg_catalog.pg_extension_config_dump('spine.role_bindings',
  'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = role AND r.rolname = role_name)');

CREATE FUNCTION spine.refuse_writer() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_refuse_writer';
COMMENT ON FUNCTION spine.refuse_writer() IS
  'Trigger function of the spine''s tables but spine.events, BEFORE they are written, for statements and rows: raises SP050 for '
  'a role that neither owns the table nor is a superuser, whatever it was granted; 39P01 where it is attached otherwise';

CREATE FUNCTION spine.expected_rights() RETURNS TABLE (
  kind        text,
  name        text,
  privilege   text,
  emitter     boolean,
  reader      boolean,
  auditor     boolean,
  eraser      boolean,
  hold_keeper boolean,
  notary      boolean,
  watcher     boolean
)
  LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 100 AS 'MODULE_PATHNAME', 'spine_expected_rights';
COMMENT ON FUNCTION spine.expected_rights() IS
  'One row for each schema, type, table, view, sequence and function of the spine: which right there is to it, and to whom '
  'spine.grant_emitter, grant_reader, grant_auditor, grant_eraser, grant_hold_keeper, grant_notary and grant_watcher give it. Nobody else needs one. Raises nothing';

CREATE FUNCTION spine.may_read_support(internal) RETURNS internal
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'spine_may_read_support';
COMMENT ON FUNCTION spine.may_read_support(internal) IS
  'Planner support of spine.may_read: has the library loaded wherever row security shapes a plan. Raises 42501 where '
  'debug_print_plan would show the plan to a role that sees a part of spine.events';

CREATE FUNCTION spine.may_read(organization_id uuid) RETURNS boolean
  LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT spine.may_read_support AS 'MODULE_PATHNAME', 'spine_may_read';
COMMENT ON FUNCTION spine.may_read(uuid) IS
  'Whether the current role may read the events of an organization: it or a role that it is a member of was given them '
  'by spine.grant_reader or grant_auditor, or it is a superuser or owns spine.events. For a role that is no auditor, '
  'people_os_spine.organization_id narrows that to one organization. Raises 42P01 where spine.role_bindings is missing';

CREATE FUNCTION spine.may_read_all() RETURNS boolean
  LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_may_read_all';
COMMENT ON FUNCTION spine.may_read_all() IS
  'Whether the current role may read the events of every organization, and so the sums over all of them. Raises 42P01 where '
  'spine.role_bindings is missing';

CREATE FUNCTION spine.shown_event(event spine.events) RETURNS spine.events
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_shown_event';
COMMENT ON FUNCTION spine.shown_event(spine.events) IS
  'An event as the current role may see it: where it was not given the personal part, personal and personal_salt are NULL and '
  'personal_hash is the hash in its place, so that spine.event_digest is the same. Where row security applies, every query '
  'of spine.events sees its rows through it. Raises SP045 for a damaged event';

-- Without FORCE: the owner sees all, and backups work.
ALTER TABLE spine.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_given ON spine.events FOR SELECT USING (spine.may_read(organization_id));
CREATE POLICY insert_any ON spine.events FOR INSERT WITH CHECK (true);
COMMENT ON POLICY read_given ON spine.events IS 'A role sees the events of the organizations that it was given';
COMMENT ON POLICY insert_any ON spine.events IS 'The chaining trigger checks for which organization a role emits';

CREATE FUNCTION spine.grant_emitter(role regrole, organizations uuid[] DEFAULT NULL) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_emitter';
COMMENT ON FUNCTION spine.grant_emitter(regrole, uuid[]) IS
  'Lets a role emit for these organizations and no other, or for all: grants what emitting takes, and replaces what an '
  'earlier call said. Runs with the caller''s rights. Raises 22004 for a null role or organization, 22023 for an empty '
  'array, 42704 for a role that does not exist, SP006 where a binding changes in a database without '
  'people_os_spine.environment, 42501';

CREATE FUNCTION spine.grant_reader(role regrole, organizations uuid[] DEFAULT NULL, personal boolean DEFAULT false) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_reader';
COMMENT ON FUNCTION spine.grant_reader(regrole, uuid[], boolean) IS
  'Lets a role read and verify the events of these organizations and no other, or of all, with their personal part or '
  'without: grants what that takes, and replaces what an earlier call said. Where people_os_spine.organization_id is set '
  'the role sees that organization alone. Runs with the caller''s rights. Raises what spine.grant_emitter does; 22004 for '
  'a null personal';

CREATE FUNCTION spine.grant_auditor(role regrole, personal boolean DEFAULT false) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_auditor';
COMMENT ON FUNCTION spine.grant_auditor(regrole, boolean) IS
  'Lets a role read and verify the events of all organizations, whatever people_os_spine.organization_id says, verify '
  'the guards, refresh the counts and record verifications; personal: with the personal part of the events. Runs with the '
  'caller''s rights. Raises 22004 for a null role or a null personal, 42704 for one that does not exist, SP006 as spine.grant_emitter does, 42501';

CREATE FUNCTION spine.grant_eraser(role regrole, organizations uuid[] DEFAULT NULL) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_eraser';
COMMENT ON FUNCTION spine.grant_eraser(regrole, uuid[]) IS
  'Lets a role erase parts of the events of these organizations and no other, or of all: grants what that takes, and replaces '
  'what an earlier call said. It reads nothing by that, and releases no hold. Runs with the caller''s rights. Raises what '
  'spine.grant_emitter does';

CREATE FUNCTION spine.grant_hold_keeper(role regrole, organizations uuid[] DEFAULT NULL) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_hold_keeper';
COMMENT ON FUNCTION spine.grant_hold_keeper(regrole, uuid[]) IS
  'Lets a role place and release legal holds on the events of these organizations and no other, or of all: grants what that '
  'takes, and replaces what an earlier call said. Give it to another role than the one that erases. Runs with the caller''s '
  'rights. Raises what spine.grant_emitter does';

CREATE FUNCTION spine.grant_notary(role regrole) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_notary';
COMMENT ON FUNCTION spine.grant_notary(regrole) IS
  'Lets a role take checkpoints, see them of all organizations, and store what it signed. It sees sizes and hashes of chains by that, and '
  'no event. Runs with the caller''s rights. Raises 22004 for a null role, 42704 for one that does not exist, SP006 as '
  'spine.grant_emitter does, 42501';

CREATE FUNCTION spine.revoke_notary(role regrole) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_revoke_notary';
COMMENT ON FUNCTION spine.revoke_notary(regrole) IS
  'Takes from a role what spine.grant_notary gave it and no other grant gives. Runs with the caller''s rights. Raises 22004 for a null '
  'role, 42704 for one that does not exist, 42501';

CREATE FUNCTION spine.revoke_all(role regrole) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_revoke_all';
COMMENT ON FUNCTION spine.revoke_all(regrole) IS
  'Takes from a role every right on the schema spine and what is in it, and its bindings: those of a dropped role too, '
  'by its number. Call it before DROP ROLE. Runs with the caller''s rights. Raises 22004 for a null role, 22023 for an '
  'owner, 2BP01 for rights that another role granted, 42501';
