-- How long events are kept: who says so, what it keeps from being retired, and that it stays on record.
\set o '00000000-0000-4000-8000-0000000d0001'
\set other '00000000-0000-4000-8000-0000000d0002'
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
CREATE ROLE record_keeper;
CREATE ROLE records_of_one;
CREATE ROLE of_the_other;
SELECT spine.grant_hold_keeper('record_keeper'), spine.grant_hold_keeper('records_of_one', ARRAY[:'o']::uuid[]), spine.grant_reader('of_the_other', ARRAY[:'other']::uuid[]);
SET ROLE of_the_other;
SELECT spine.set_retention(:'o', '1 year', 'x');
SET ROLE records_of_one;
SELECT spine.set_retention(:'other', '1 year', 'x');
SELECT spine.set_retention(NULL, '1 year', 'x');
SELECT spine.set_retention(:'o', '1 year', '');
SELECT spine.set_retention(:'o', '0', 'x');
SELECT spine.set_retention(:'o', '-1 day', 'x');
SELECT spine.set_retention(:'o', '1001 years', 'x');
SELECT spine.set_retention(:'o', NULL, 'nothing ends') IS NULL AS nothing;
SELECT spine.set_retention(:'o', '7 years', 'audit papers') IS NOT NULL AS set;
SET intervalstyle = 'iso_8601';
SELECT spine.set_retention(:'o', '10 years', 'the law changed') AS policy \gset
RESET intervalstyle;
SET ROLE record_keeper;
SELECT spine.set_retention(NULL, '2 years', 'by default') AS of_all \gset
SELECT spine.set_retention(:'other', '1 day', 'asked for') IS NOT NULL AS set;
RESET ROLE;
SELECT organization_id, event_type, entity_id = (payload ->> 'policy')::uuid AS of_policy, payload - 'policy' AS payload FROM spine.events
 WHERE entity_type = 'retention' ORDER BY organization_id, sequence;
SELECT organization_id, keep, reason, set_by, ended_at >= set_at AS ended, ended_by, end_reason FROM spine.retention_policies ORDER BY set_at;
-- It stays on record, whoever tries.
DELETE FROM spine.retention_policies;
\echo :LAST_ERROR_SQLSTATE
UPDATE spine.retention_policies SET keep = '1 day';
TRUNCATE spine.retention_policies;
SELECT spine.emit_event('platform.retention.set', entity_id => :'o', organization_id => :'o');
-- A reader sees what holds for all, and what is his.
SET ROLE of_the_other;
SELECT organization_id, keep FROM spine.retention_policies ORDER BY keep;
RESET ROLE;

-- What is kept is not retired: the longest policy of those whose events a partition has. Policies of organizations that have none
-- do not matter. No event is as old as these, so they are restored ones.
BEGIN;
SET LOCAL people_os_spine.unguard = 'partitions of the past, for a test';
CREATE TABLE spine.events_old PARTITION OF spine.events FOR VALUES FROM ('2016-01-01+00') TO ('2016-02-01+00');
CREATE FUNCTION restore(organization uuid, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  row spine.events;
BEGIN
  row := (gen_random_uuid(), 'hcm.employee.created', 'hcm', 'employee', organization, 'created', organization, 'human', organization, 'dev', at, 'low', '{}',
          1, '7', 'x', decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'), decode(repeat('00', 16), 'hex'), NULL, NULL, NULL, NULL, NULL, NULL, NULL)::spine.events;
  row.event_hash := spine.event_digest(row);
  INSERT INTO spine.events SELECT row.*;
END $$;
SELECT restore('00000000-0000-4000-8000-0000000d0003', '2016-01-10');
COMMIT;
CREATE FUNCTION retire(before timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  done text;
  why  text;
BEGIN
  SELECT string_agg(format('%s with %s', partition, events), ', ') INTO done FROM spine.retire_events(before, 'old');
  RAISE EXCEPTION 'done' USING ERRCODE = 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN RETURN done;
  WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || SQLERRM || ': ' || regexp_replace(why, '[0-9a-f-]{36}', '…');
END $$;
SELECT retire('2016-02-01+00');
SELECT spine.set_retention(NULL, '30 years', 'by default') IS NOT NULL AS set;
SELECT retire('2016-02-01+00');
SELECT spine.set_retention('00000000-0000-4000-8000-0000000d0003', '20 years', 'its own') IS NOT NULL AS set;
SELECT retire('2016-02-01+00');
SELECT spine.set_retention('00000000-0000-4000-8000-0000000d0003', '10 years', 'its own, shorter') IS NOT NULL AS set;
SELECT retire('2016-02-01+00');
SELECT restore('00000000-0000-4000-8000-0000000d0004', '2016-01-11');
SELECT retire('2016-02-01+00');
SELECT spine.set_retention(NULL, NULL, 'none by default') IS NULL AS none;
SELECT retire('2016-02-01+00');
BEGIN;
SET LOCAL people_os_spine.unguard = 'partitions of the past, for a test';
ALTER TABLE spine.events DETACH PARTITION spine.events_old;
DROP TABLE spine.events_old;
COMMIT;
DELETE FROM spine.chain_partitions WHERE starts = '2016-01-01+00';
DROP FUNCTION restore, retire;
SELECT spine.revoke_all('record_keeper'), spine.revoke_all('records_of_one'), spine.revoke_all('of_the_other');
DROP ROLE record_keeper, records_of_one, of_the_other;
