-- Event types

CREATE TABLE spine.event_types (
  -- "C": no other version of a locale puts the index out of order.
  name             text COLLATE "C" NOT NULL,
  description      text             NOT NULL,
  default_severity spine.severity   NOT NULL DEFAULT 'low',
  built_in         boolean          NOT NULL DEFAULT false,
  CONSTRAINT event_types_pkey PRIMARY KEY (name),
  CONSTRAINT event_types_name_check CHECK (name ~ '^[a-z][a-z0-9_]{0,62}([.][a-z][a-z0-9_]{0,62}){2}$')
);
COMMENT ON TABLE spine.event_types IS
  'The registered types of events: written by spine.register_event_type, and by hand by its owner. Where '
  'people_os_spine.require_registered_types is on, events of others are refused';
COMMENT ON COLUMN spine.event_types.name IS '<domain>.<entity>.<action>, each [a-z][a-z0-9_]{0,62}';
COMMENT ON COLUMN spine.event_types.description IS 'When such an event is emitted';
COMMENT ON COLUMN spine.event_types.default_severity IS 'What events of the type get whose severity is NULL';
COMMENT ON COLUMN spine.event_types.built_in IS
  'Given by the spine: the row came with an extension, which brings it back after a restore; dumps hold the others';
COMMENT ON CONSTRAINT event_types_pkey ON spine.event_types IS 'A name is one type''s';
COMMENT ON CONSTRAINT event_types_name_check ON spine.event_types IS 'An event name';
COMMENT ON INDEX spine.event_types_pkey IS 'Finds a type by its name';

CREATE FUNCTION spine.own_event_type() RETURNS trigger
  LANGUAGE c SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_own_event_type';
COMMENT ON FUNCTION spine.own_event_type() IS
  'Trigger function of spine.event_types, BEFORE INSERT OR UPDATE FOR EACH ROW: gives built_in, and has a row that '
  'somebody inserts or restores take the place of the built-in one of its name. Raises 39P01 anywhere else';

CREATE TRIGGER own_event_type BEFORE INSERT OR UPDATE ON spine.event_types
  FOR EACH ROW EXECUTE FUNCTION spine.own_event_type();
CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spine.event_types
  FOR EACH STATEMENT EXECUTE FUNCTION spine.note_change();
-- Logical replication fires only those for rows.
CREATE TRIGGER note_row_change AFTER INSERT OR UPDATE OR DELETE ON spine.event_types
  FOR EACH ROW EXECUTE FUNCTION spine.note_change();
ALTER TABLE spine.event_types ENABLE ALWAYS TRIGGER own_event_type;
ALTER TABLE spine.event_types ENABLE ALWAYS TRIGGER note_change;
ALTER TABLE spine.event_types ENABLE ALWAYS TRIGGER note_row_change;
COMMENT ON TRIGGER own_event_type ON spine.event_types IS 'Lets users'' types take the place of built-in ones';
COMMENT ON TRIGGER note_change ON spine.event_types IS 'Has sessions forget what they know of the table';
COMMENT ON TRIGGER note_row_change ON spine.event_types IS 'Does so where only row triggers fire';

INSERT INTO spine.event_types (name, description, default_severity) VALUES
  ('hcm.employee.created', 'A person was hired, or taken over into the system', 'low'),
  ('platform.history.imported', 'History of another audit trail was imported', 'medium'),
  ('platform.hold.placed', 'Events of an organization were put under a legal hold', 'high'),
  ('platform.hold.released', 'A legal hold was ended', 'high'),
  ('platform.retention.set', 'How long events are kept was set, changed or ended', 'high'),
  ('platform.calendar.set', 'When an organization works was set', 'medium'),
  ('platform.finding.raised', 'A rule of the watch found something', 'medium'),
  ('platform.finding.confirmed', 'A person confirmed a finding', 'medium'),
  ('platform.finding.dismissed', 'A person dismissed a finding', 'medium'),
  ('platform.finding.closed', 'A person closed a finding that nobody can judge', 'medium'),
  ('platform.person_scores.set', 'Scores of persons were turned on or off', 'high'),
  ('platform.rule.set', 'A rule of the watch was set, changed, turned on or off', 'high'),
  ('platform.migration.applied', 'The schema of a database was changed', 'medium'),
  ('platform.personal.erased', 'Parts of events were erased', 'high'),
  ('platform.rights.granted', 'A role was given a right on the events of organizations', 'high'),
  ('platform.rights.revoked', 'A right on the events of organizations was taken from a role', 'high'),
  ('platform.spine.unguarded', 'An administrator had the guard let a statement on the spine through', 'critical');

SELECT pg_catalog.pg_extension_config_dump('spine.event_types', 'WHERE NOT built_in');

CREATE FUNCTION spine.register_event_type(name text, description text, default_severity spine.severity DEFAULT 'low') RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_register_event_type';
COMMENT ON FUNCTION spine.register_event_type(text, text, spine.severity) IS
  'Registers a type of events, or replaces the description and severity of one, built-in types included. Needs EXECUTE and '
  'no right on the table. The table''s owner or a superuser takes a type off: DELETE FROM spine.event_types. Raises SP001 for a '
  'text that is no event name, 22004 for a null description, 42501';
