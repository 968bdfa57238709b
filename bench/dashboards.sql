-- So many events (variable events) of a year, of so many organizations (variable organizations) of which few are large, of 20 types and
-- with 20 actors an organization. They are stored with no guard and no trigger in the way, and their hashes are none: nobody checks them here.
SET people_os_spine.unguard = 'the bench stores what nobody emitted';
UPDATE pg_extension SET extname = 'hidden' WHERE extname = 'people_os_spine';
RESET people_os_spine.unguard;
ALTER TABLE spine.events DISABLE TRIGGER ALL;
SET work_mem = '256MB';
INSERT INTO spine.events
SELECT (lpad(to_hex(extract(epoch FROM at)::bigint * 1000 + i % 1000), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 3) || substr(hash, 8, 12))::uuid,
       domain || '.' || entity || '.' || action, domain, entity, md5((i % 100000)::text)::uuid, action, md5(o || ' ' || i % 20)::uuid, 'human',
       md5('organization ' || o)::uuid, 'prod', at, (ARRAY['low', 'low', 'low', 'medium', 'high', 'low', 'low', 'critical', 'low', 'low'])[1 + i % 10]::spine.severity,
       jsonb_build_object('n', i, 'text', hash), row_number() OVER (PARTITION BY o ORDER BY i), '771', 'bench', decode(repeat('00', 32), 'hex'), sha256(hash::bytea),
       decode(repeat('00', 16), 'hex')
  FROM (SELECT i, floor(:organizations * power(random(), 3))::int AS o, '2025-01-01 00:00Z'::timestamptz + i * ('365 days'::interval / :events) AS at, md5(i::text) AS hash,
               (ARRAY['hcm', 'payroll', 'access', 'learning', 'legal'])[1 + i % 5] AS domain, (ARRAY['employee', 'contract'])[1 + i % 2] AS entity,
               (ARRAY['created', 'updated', 'deleted', 'approved'])[1 + i % 4] AS action
          FROM generate_series(0::bigint, :events - 1) i) made
 ORDER BY i;
ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event, ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change;
UPDATE pg_extension SET extname = 'people_os_spine' WHERE extname = 'hidden';
VACUUM ANALYZE spine.events;
