-- Retiring: what it refuses, who may, and a partition without events. test/tap/retirement.pl has those with events.
SET TimeZone = 'UTC';
SET DateStyle = ISO;
SELECT * FROM spine.retire_events('2000-01-01', 'nothing is that old');
SELECT * FROM spine.retire_events(NULL, 'x');
SELECT * FROM spine.retire_events('2000-01-01', NULL);
SELECT * FROM spine.retire_events('2000-01-01', '');
SELECT * FROM spine.retire_events('2900-01-01', 'x');
SELECT * FROM spine.retire_events('infinity', 'x');
BEGIN READ ONLY;
SELECT * FROM spine.retire_events('2000-01-01', 'x');
ROLLBACK;
SELECT count(*) FROM spine.verify_table(NULL);
SELECT * FROM spine.verify_table('spine.events');
SELECT * FROM spine.verify_table('spine.verify_progress');
SELECT * FROM spine.verify_table('spine.chain_partitions');
-- All of this database's events are in one table.
SELECT count(*) AS differ FROM (SELECT * FROM spine.verify_table('spine.events_default') EXCEPT SELECT * FROM spine.verify_chain()) d;

CREATE ROLE retirer;
GRANT USAGE ON SCHEMA spine TO retirer;
SET ROLE retirer;
SELECT * FROM spine.retire_events('2000-01-01', 'x');
SELECT * FROM spine.verify_table('spine.events_default');
RESET ROLE;
GRANT EXECUTE ON FUNCTION spine.retire_events, spine.verify_table TO retirer;
SET ROLE retirer;
SELECT * FROM spine.retire_events('2000-01-01', 'x');
SELECT * FROM spine.verify_table('spine.events_default');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION spine.retire_events, spine.verify_table FROM retirer;
REVOKE USAGE ON SCHEMA spine FROM retirer;
DROP ROLE retirer;

-- Without events: there is nothing to anchor.
BEGIN;
SET LOCAL people_os_spine.unguard = 'a test';
CREATE TABLE spine.events_19990101 PARTITION OF spine.events FOR VALUES FROM ('1999-01-01') TO ('2000-01-01');
CREATE TABLE spine.events_19980101 PARTITION OF spine.events FOR VALUES FROM ('1998-01-01') TO ('1999-01-01');
SET LOCAL people_os_spine.unguard = '';
SELECT partition, events, chains FROM spine.retire_events('1999-12-31', 'one ends later');
SELECT partition, events, chains FROM spine.retire_events('2000-01-01', 'it is over');
SELECT severity, payload FROM spine.events WHERE event_type = 'platform.partition.retired' ORDER BY sequence;
SELECT count(*) FROM spine.anchors;
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'spine.events'::regclass;
SELECT spine.attach_partition('spine.events_19980101', '1998-01-01', '1999-01-01');
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'spine.events'::regclass ORDER BY inhrelid::regclass::text;
ROLLBACK;
-- Nobody else says that something was retired.
SELECT spine.emit_event('platform.partition.retired', entity_id => gen_random_uuid(), actor_id => gen_random_uuid(), organization_id => gen_random_uuid());
