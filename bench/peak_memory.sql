-- Watches the verification that another session, named verified, runs: the private memory of all its processes, above
-- that of a fresh backend, in MiB, and how many processes they were.
CREATE OR REPLACE FUNCTION private_memory(process integer) RETURNS bigint LANGUAGE sql AS $$
  SELECT (regexp_match(pg_read_file('/proc/' || process || '/status', 0, 100000, true), 'RssAnon:\s+(\d+)'))[1]::bigint
$$;
CREATE OR REPLACE FUNCTION peak_memory(fresh bigint, OUT mib numeric, OUT processes bigint) LANGUAGE plpgsql AS $$
DECLARE
  verified integer;
  now_kb bigint;
  now_processes bigint;
  most bigint := 0;
BEGIN
  processes := 0;
  LOOP
    PERFORM pg_sleep(0.02), pg_stat_clear_snapshot();
    SELECT pid INTO verified FROM pg_stat_activity WHERE application_name = 'verified' AND state = 'active' AND leader_pid IS NULL;
    IF verified IS NULL AND most > 0 THEN EXIT; END IF;
    SELECT coalesce(sum(greatest(private_memory(pid) - fresh, 0)), 0), count(*) INTO now_kb, now_processes
      FROM pg_stat_activity WHERE pid = verified OR leader_pid = verified;
    most := greatest(most, now_kb);
    processes := greatest(processes, now_processes);
  END LOOP;
  mib := round(most / 1024.0, 1);
END $$;
\connect
SELECT private_memory(pg_backend_pid()) AS fresh \gset
SELECT mib, processes FROM peak_memory(:fresh);
