-- Has pg_cron do what a spine needs now and then (docs/operations.md). As a superuser, or as the owner of spine.events
-- who may execute cron.schedule_in_database; in the database where pg_cron is, for a spine of any database of the cluster:
--
--   psql -X -d postgres -v database=payroll -f people_os_spine_schedule.sql
--
-- The jobs run as the role that calls it. Called again, it sets the same jobs as the call says then, and leaves all
-- others alone. It is one transaction: what fails changes nothing. These variables say when a job runs, as cron does;
-- '' leaves it out, and takes it away where it was:
--
--   partitions    '17 3 * * *'  the partitions of the coming time: of the interval of every ('1 month'), as many as ahead (3)
--   counts        '* * * * *'   refresh_dashboards
--   watch         '* * * * *'   run_watch
--   verification  '41 2 * * *'  record_verification of all chains
--   wiping        '27 4 * * 0'  wipe_erased
--   forgetting    '7 5 * * *'   pg_cron's own record of these jobs' runs, where it is older than a week
--
-- -v remove=yes takes all of them away.
\set ON_ERROR_STOP on
\if :{?database}
\else
\set database ''
\endif
\if :{?every}
\else
\set every '1 month'
\endif
\if :{?ahead}
\else
\set ahead 3
\endif
\if :{?partitions}
\else
\set partitions '17 3 * * *'
\endif
\if :{?counts}
\else
\set counts '* * * * *'
\endif
\if :{?watch}
\else
\set watch '* * * * *'
\endif
\if :{?verification}
\else
\set verification '41 2 * * *'
\endif
\if :{?wiping}
\else
\set wiping '27 4 * * 0'
\endif
\if :{?forgetting}
\else
\set forgetting '7 5 * * *'
\endif
\if :{?remove}
\else
\set remove no
\endif
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL client_min_messages = warning;

CREATE TEMP TABLE spine_job ON COMMIT DROP AS
  SELECT format('spine %s: %s', :'database'::text, job) AS name, CASE WHEN :'remove'::boolean THEN '' ELSE schedule END AS schedule,
         command, coalesce(database, :'database') AS database
    FROM (VALUES
      ('partitions', :'partitions'::text, format('SELECT spine.create_partitions(%L, %s)', :'every'::interval, :'ahead'::integer), NULL::text),
      -- So many at once that a first call is no transaction of hours.
      ('counts', :'counts', 'SELECT spine.refresh_dashboards(1000000)', NULL),
      ('watch', :'watch', 'SELECT spine.run_watch()', NULL),
      ('verification', :'verification', 'SELECT FROM spine.record_verification()', NULL),
      ('wiping', :'wiping', 'SELECT FROM spine.wipe_erased()', NULL),
      ('forgetting', :'forgetting', format('DELETE FROM cron.job_run_details WHERE start_time < now() - interval ''7 days'' AND jobid IN (SELECT jobid FROM cron.job'
         ' WHERE starts_with(jobname, %L))', format('spine %s: ', :'database'::text)), current_database()::text)) AS v (job, schedule, command, database);

DO $$
DECLARE
  missing text;
  j       spine_job;
BEGIN
  IF to_regprocedure('cron.schedule_in_database(text, text, text, text, text, boolean)') IS NULL THEN
    RAISE EXCEPTION 'database "%" has no pg_cron of version 1.4 or later', current_database()
      USING ERRCODE = 'SP160', HINT = format('Connect to the database that cron.database_name says (%s). Is it not there: install pg_cron, add it to'
        ' shared_preload_libraries, restart, and CREATE EXTENSION pg_cron.', coalesce(current_setting('cron.database_name', true), 'pg_cron is not loaded'));
  END IF;
  SELECT database INTO missing FROM spine_job WHERE schedule <> '' AND database NOT IN (SELECT datname FROM pg_database) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'there is no database "%" to schedule jobs for', missing
      USING ERRCODE = 'SP161', HINT = 'psql -v database=NAME says which database has the spine.';
  END IF;
  FOR j IN SELECT * FROM spine_job LOOP
    IF j.schedule <> '' THEN
      PERFORM cron.schedule_in_database(j.name, j.schedule, j.command, j.database);
    ELSE
      PERFORM cron.unschedule(jobid) FROM cron.job WHERE jobname = j.name AND username = current_user;
    END IF;
  END LOOP;
END
$$;

SELECT jobname, schedule, username, command FROM cron.job WHERE starts_with(jobname, format('spine %s: ', :'database'::text)) ORDER BY jobid;
COMMIT;
