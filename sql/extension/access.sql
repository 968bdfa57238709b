-- Who may emit and read

CREATE TABLE spine.role_bindings (
  role            regrole NOT NULL,
  capability      text COLLATE "C" NOT NULL,
  organization_id uuid,
  CONSTRAINT role_bindings_capability_check CHECK (capability IN ('emit', 'read', 'audit')),
  CONSTRAINT role_bindings_role_capability_organization_id_key
    UNIQUE NULLS NOT DISTINCT (role, capability, organization_id)
);
COMMENT ON TABLE spine.role_bindings IS
  'For which organizations roles emit and read: written by spine.grant_emitter, grant_reader, grant_auditor and revoke_all';
COMMENT ON COLUMN spine.role_bindings.role IS 'The role; its members have what it has';
COMMENT ON COLUMN spine.role_bindings.capability IS
  'emit: a role with such a row emits for no other organizations. read: sees them in spine.events. audit: sees them '
  'whatever people_os_spine.organization_id says';
COMMENT ON COLUMN spine.role_bindings.organization_id IS 'NULL: all organizations';
COMMENT ON CONSTRAINT role_bindings_capability_check ON spine.role_bindings IS 'What a row can give';
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

-- Not those of a dropped role, whose number may be another's where they are restored.
SELECT pg_catalog.pg_extension_config_dump('spine.role_bindings', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = role)');

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
  'array, 42704 for a role that does not exist, 42501';

CREATE FUNCTION spine.grant_reader(role regrole, organizations uuid[] DEFAULT NULL) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_reader';
COMMENT ON FUNCTION spine.grant_reader(regrole, uuid[]) IS
  'Lets a role read and verify the events of these organizations and no other, or of all: grants what that takes, and '
  'replaces what an earlier call said. Where people_os_spine.organization_id is set the role sees that organization '
  'alone. Runs with the caller''s rights. Raises what spine.grant_emitter does';

CREATE FUNCTION spine.grant_auditor(role regrole) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_grant_auditor';
COMMENT ON FUNCTION spine.grant_auditor(regrole) IS
  'Lets a role read and verify the events of all organizations, whatever people_os_spine.organization_id says, verify '
  'the guards, refresh the counts and record verifications. Runs with the caller''s rights. Raises 22004 for a null role, 42704 for one that does not exist, 42501';

CREATE FUNCTION spine.revoke_all(role regrole) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_revoke_all';
COMMENT ON FUNCTION spine.revoke_all(regrole) IS
  'Takes from a role every right on the schema spine and what is in it, and its bindings: those of a dropped role too, '
  'by its number. Call it before DROP ROLE. Runs with the caller''s rights. Raises 22004 for a null role, 22023 for an '
  'owner, 2BP01 for rights that another role granted, 42501';
