-- The baselines beside the spine: a plain table of the same columns and indexes, and a chain made in plpgsql.
CREATE EXTENSION people_os_spine;
CREATE EXTENSION pgcrypto;
ALTER DATABASE :DBNAME SET people_os_spine.environment = 'prod';
ALTER DATABASE :DBNAME SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
\connect

-- Five years in months: 56 that are over, this one, and three to come.
CREATE TABLE plain (LIKE spine.events INCLUDING DEFAULTS INCLUDING INDEXES) PARTITION BY RANGE ("timestamp");
CREATE TABLE plain_default PARTITION OF plain DEFAULT;
CREATE SEQUENCE plain_sequence;
SELECT count(*) FROM spine.create_partitions('1 month', 3);
BEGIN;
SET LOCAL people_os_spine.unguard = 'partitions of the past, for a measurement';
DO $$
DECLARE
  first timestamptz;
  made  text;
BEGIN
  FOR i IN -56 .. 3 LOOP
    first := date_trunc('month', now(), 'UTC') + i * interval '1 month';
    FOREACH made IN ARRAY CASE WHEN i < 0 THEN ARRAY['spine.events', 'plain'] ELSE ARRAY['plain'] END LOOP
      EXECUTE format('CREATE TABLE %1$s_%2$s PARTITION OF %1$s FOR VALUES FROM (%3$L) TO (%4$L)',
                     made, to_char(first AT TIME ZONE 'UTC', 'YYYYMMDD'), first, first + interval '1 month');
    END LOOP;
  END LOOP;
END $$;
COMMIT;

-- What people write first: the tail looked up and hashed in a trigger, under an advisory lock an organization.
CREATE TABLE plpgsql_chain (LIKE spine.events INCLUDING INDEXES);
CREATE FUNCTION plpgsql_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  head record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(NEW.organization_id::text, 0));
  SELECT sequence, event_hash INTO head FROM plpgsql_chain
   WHERE organization_id = NEW.organization_id ORDER BY sequence DESC LIMIT 1;
  NEW.id := gen_random_uuid();
  NEW.sequence := coalesce(head.sequence, 0) + 1;
  NEW.previous_hash := coalesce(head.event_hash, decode(repeat('00', 32), 'hex'));
  NEW."timestamp" := clock_timestamp();
  NEW.transaction_id := pg_current_xact_id();
  NEW.recorded_by := session_user;
  NEW.domain := split_part(NEW.event_type, '.', 1);
  NEW.entity_type := split_part(NEW.event_type, '.', 2);
  NEW.action := split_part(NEW.event_type, '.', 3);
  NEW.event_hash := digest(to_jsonb(NEW)::text, 'sha256');
  RETURN NEW;
END
$$;
CREATE TRIGGER chain BEFORE INSERT ON plpgsql_chain FOR EACH ROW EXECUTE FUNCTION plpgsql_chain();

-- PgQ, as Debian packages it.
CREATE EXTENSION pgq;
SELECT pgq.create_queue('bench');
