-- spine.wipe_erased: what it answers and refuses. What it does to the files, test/tap/wipe.pl looks at.
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000b1b1b';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SELECT count(spine.emit_event('hcm.employee.created', entity_id => spine.entity_uuid('hcm', 'employee', n::text), payload => jsonb_build_object('n', n)))
  FROM generate_series(1, 10) n;
-- Nothing was erased.
SELECT relation = 'spine.events_default'::regclass OR relation::text LIKE 'pg_toast.%' OR relation::text LIKE 'pg_statistic%' AS is_expected,
       count(*) > 0 AS some, bool_and(versions_removed >= 0) AS removed, bool_and(bytes_wiped >= 0) AS wiped
  FROM spine.wipe_erased() GROUP BY 1;

-- A table by its name, with the versions that were there.
CREATE TABLE public.wiped (LIKE spine.events INCLUDING ALL);
INSERT INTO public.wiped SELECT * FROM spine.events WHERE organization_id = '00000000-0000-4000-8000-0000000b1b1b';
UPDATE public.wiped SET payload = '{}' WHERE sequence <= 4;
-- As often as it takes: for a moment somebody else, such as autovacuum's ANALYZE, may need them.
CREATE FUNCTION public.wipe_all(OUT removed bigint, OUT wipes boolean, OUT done boolean) LANGUAGE plpgsql AS $$
DECLARE one record;
BEGIN
  removed := 0;
  wipes := false;
  FOR i IN 1 .. 200 LOOP
    SELECT * INTO one FROM spine.wipe_erased('public.wiped') WHERE relation = 'public.wiped'::regclass;
    removed := removed + one.versions_removed;
    wipes := wipes OR one.bytes_wiped > 0;
    done := one.done;
    EXIT WHEN done;
    PERFORM pg_sleep(0.05);
  END LOOP;
END $$;
SELECT * FROM public.wipe_all();
DROP FUNCTION public.wipe_all;
SELECT relation, blocks_read, versions_removed, bytes_wiped, versions_left, done FROM spine.wipe_erased(of_table => 'public.wiped') WHERE relation = 'public.wiped'::regclass;
SELECT sequence, payload FROM public.wiped ORDER BY sequence;
-- What this transaction made old, it keeps.
BEGIN;
DELETE FROM public.wiped WHERE sequence = 1;
SELECT relation, versions_removed, versions_left, done FROM spine.wipe_erased('public.wiped') WHERE relation = 'public.wiped'::regclass;
ROLLBACK;
-- An index that holds what can be erased, or the whole row; a table that is partitioned, and one that lies elsewhere.
CREATE INDEX wiped_payload ON public.wiped USING gin (payload);
CREATE INDEX wiped_row ON public.wiped (hash_record(wiped));
CREATE INDEX wiped_condition ON public.wiped (id) WHERE payload IS NULL;
CREATE INDEX wiped_included ON public.wiped (id) INCLUDE (personal_salt);
SELECT relation, blocks_read IS NULL AS not_read, done FROM spine.wipe_erased('public.wiped') WHERE relation::text LIKE 'wiped%' ORDER BY 1;
CREATE TABLE public.wiped_root (LIKE spine.events) PARTITION BY RANGE ("timestamp");
CREATE TABLE public.wiped_leaf PARTITION OF public.wiped_root DEFAULT;
CREATE FOREIGN DATA WRAPPER wiped_wrapper;
CREATE SERVER wiped_server FOREIGN DATA WRAPPER wiped_wrapper;
CREATE FOREIGN TABLE public.wiped_far PARTITION OF public.wiped_root FOR VALUES FROM ('1900-01-01') TO ('1901-01-01') SERVER wiped_server;
SELECT relation, done FROM spine.wipe_erased('public.wiped_root') WHERE relation::text LIKE 'wiped%' ORDER BY 1;

-- Errors.
CREATE TABLE public.not_wiped (id uuid);
SELECT * FROM spine.wipe_erased('public.not_wiped');
SELECT * FROM spine.wipe_erased('pg_class');
SELECT * FROM spine.wipe_erased(4294967295::oid::regclass);
BEGIN READ ONLY;
SELECT * FROM spine.wipe_erased();
ROLLBACK;
-- Rights: EXECUTE is nobody's, and it is the owner's to do.
CREATE ROLE wiper;
GRANT USAGE ON SCHEMA spine TO wiper;
SET ROLE wiper;
SELECT * FROM spine.wipe_erased();
RESET ROLE;
GRANT EXECUTE ON FUNCTION spine.wipe_erased TO wiper;
SET ROLE wiper;
SELECT * FROM spine.wipe_erased();
SELECT * FROM spine.wipe_erased('public.wiped');
RESET ROLE;
ALTER TABLE public.wiped OWNER TO wiper;
DROP INDEX public.wiped_payload, public.wiped_row, public.wiped_included;
SET ROLE wiper;
SELECT relation, done FROM spine.wipe_erased('public.wiped') WHERE relation = 'public.wiped'::regclass;
RESET ROLE;
DROP TABLE public.wiped, public.wiped_root, public.not_wiped;
DROP SERVER wiped_server;
DROP FOREIGN DATA WRAPPER wiped_wrapper;
REVOKE ALL ON FUNCTION spine.wipe_erased FROM wiper;
REVOKE ALL ON SCHEMA spine FROM wiper;
DROP ROLE wiper;
