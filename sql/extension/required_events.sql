-- The rule

CREATE FUNCTION spine.require_event() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_require_event';
COMMENT ON FUNCTION spine.require_event() IS
  'Trigger function of spine.require_events: notes which row was changed, and at the commit raises SP028 where no event of '
  'it was emitted. For a TRUNCATE, or a row without an id, at once. Raises SP026 where a column is not there any more';

CREATE FUNCTION spine.require_events(
  "table"             regclass,
  entity_id_column    name,
  organization_column name DEFAULT NULL,
  domain              text DEFAULT NULL,
  entity_type         text DEFAULT NULL
) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_require_events';
COMMENT ON FUNCTION spine.require_events(regclass, name, name, text, text) IS
  'From now on a transaction that inserts, changes or deletes a row of the table, or of its partitions, and emits no event '
  'whose entity_id is the row''s, fails at its commit with SP028. The event is in the row''s organization, or where '
  'organization_column or its value is NULL, in that of people_os_spine.organization_id at that time, if any. Where domain '
  'and entity_type are given it is of them; an id that is no uuid needs them, and the entity is spine.entity_uuid(domain, '
  'entity_type, its text). Replaces what an earlier call said; call it again for partitions that came since, so that they '
  'refuse TRUNCATE too. Runs with the caller''s rights. Raises SP026 for a table or columns that will not do, SP001, 22004, 42501';

CREATE FUNCTION spine.stop_requiring_events("table" regclass) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_stop_requiring_events';
COMMENT ON FUNCTION spine.stop_requiring_events(regclass) IS
  'Undoes spine.require_events; on a partition that was detached, what it left there. Runs with the caller''s rights. Raises '
  'SP026 where the table is not held, 22004, 42501';
