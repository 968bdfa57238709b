-- Chaining and immutability

CREATE FUNCTION spine.chain_event() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_chain_event';
COMMENT ON FUNCTION spine.chain_event() IS
  'Trigger function, BEFORE INSERT FOR EACH ROW: chains the row at the end of its organization''s chain. Works on any '
  'table of the shape of spine.events. A complete row from a superuser or the table''s owner is a restored one and '
  'stored as it is. Raises what emit_event raises, SP012 for a column that the spine gives, SP018 for a table of '
  'another shape, SP022 where a trigger would run after it; warns SPW01 at the commit, once, of restored rows that do '
  'not reproduce their hashes';

CREATE FUNCTION spine.refuse_change() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'spine_refuse_change';
COMMENT ON FUNCTION spine.refuse_change() IS
  'Trigger function, BEFORE UPDATE, DELETE or TRUNCATE, for rows and statements: raises SP013, always but for the TRUNCATE '
  'of a partition that is empty';

-- The name sorts after those that people give, so that what their triggers change is hashed.
CREATE TRIGGER zz_chain_event BEFORE INSERT ON spine.events
  FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON spine.events
  FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change();
-- Logical replication fires only those for rows.
CREATE TRIGGER refuse_row_change BEFORE UPDATE OR DELETE ON spine.events
  FOR EACH ROW EXECUTE FUNCTION spine.refuse_change();
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event;
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER refuse_change;
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER refuse_row_change;
-- Triggers for rows are those of each partition too; for statements that name it, it needs its own.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON spine.events_default
  FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change();
ALTER TABLE spine.events_default ENABLE ALWAYS TRIGGER refuse_change;
COMMENT ON TRIGGER refuse_change ON spine.events_default IS 'Refuses UPDATE, DELETE and TRUNCATE that name the partition';
COMMENT ON TRIGGER zz_chain_event ON spine.events IS 'Chains direct INSERTs';
COMMENT ON TRIGGER refuse_change ON spine.events IS 'Refuses UPDATE, DELETE and TRUNCATE, also where no row matches';
COMMENT ON TRIGGER refuse_row_change ON spine.events IS 'Refuses UPDATE and DELETE where only row triggers fire';
