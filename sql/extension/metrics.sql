-- Metrics

-- Who asks for some names alone pays for those alone: names are constants, and a CTE that no row needs is not run.
CREATE VIEW spine.metrics WITH (security_invoker = true) AS
  WITH chains AS MATERIALIZED (
    SELECT CASE WHEN NOT intact THEN 'faulty' WHEN events < verified_sequence THEN 'shrunken' WHEN intact IS NULL THEN 'unverified' ELSE 'intact' END AS state,
           count(*) AS chains, sum(events) AS events, sum(greatest(events - coalesce(verified_sequence, 0), 0)) AS unverified, sum(faults) AS faults,
           max(head_timestamp) AS newest, min(verified_at) AS verified_at
      FROM spine.chain_status GROUP BY 1
  ), lag AS MATERIALIZED (
    SELECT name, events_behind, oldest_unread, batches_outstanding FROM spine.subscription_lag
  ), guards AS MATERIALIZED (
    SELECT guard, ok FROM spine.verify_guards()
  ), signed AS MATERIALIZED (
    SELECT max(n.number) AS number, max(d.taken_at) AS taken_at FROM spine.checkpoint_notes n JOIN spine.directory_checkpoints d ON d.number = n.number
  )
  SELECT 'spine_chain_count'::text AS name, jsonb_build_object('state', s.state) AS labels, coalesce(c.chains, 0)::float8 AS value,
         'Chains by what their last recorded verification says: intact, faulty, shrunken (events are gone since) or unverified'::text AS help,
         'gauge'::text AS type
    FROM (VALUES ('intact'), ('faulty'), ('shrunken'), ('unverified')) AS s (state) LEFT JOIN chains c ON c.state = s.state
  UNION ALL SELECT 'spine_events_total', '{}', coalesce(sum(events), 0)::float8, 'Events of all chains, retired ones included', 'counter' FROM chains
  UNION ALL SELECT 'spine_events_unverified', '{}', coalesce(sum(unverified), 0)::float8, 'Events behind the last recorded verification of their chain', 'gauge' FROM chains
  UNION ALL SELECT 'spine_faults', '{}', coalesce(sum(faults), 0)::float8, 'Faults that the last recorded verifications found', 'gauge' FROM chains
  UNION ALL SELECT 'spine_last_event_timestamp_seconds', '{}', extract(epoch FROM max(newest))::float8, 'When the newest event was chained', 'gauge'
    FROM chains HAVING max(newest) IS NOT NULL
  UNION ALL SELECT 'spine_oldest_verification_timestamp_seconds', '{}', extract(epoch FROM min(verified_at))::float8,
         'When the last recorded verification of a chain had ended, of the chain for which that is longest ago', 'gauge'
    FROM chains HAVING min(verified_at) IS NOT NULL
  UNION ALL SELECT 'spine_events_uncounted', '{}', coalesce(sum(h.sequence - coalesce(c.sequence, 0)), 0)::float8, 'Events that spine.refresh_dashboards has not counted yet', 'gauge'
    FROM spine.read_chain_heads() h LEFT JOIN spine.counted_chains c ON c.organization_id = h.organization_id
  UNION ALL SELECT 'spine_signed_checkpoint_number', '{}', number::float8, 'The newest directory checkpoint that a notary signed', 'gauge' FROM signed WHERE number IS NOT NULL
  UNION ALL SELECT 'spine_signed_checkpoint_timestamp_seconds', '{}', extract(epoch FROM taken_at)::float8, 'When the newest signed directory checkpoint was taken', 'gauge'
    FROM signed WHERE number IS NOT NULL
  UNION ALL SELECT 'spine_guard_broken', jsonb_build_object('guard', guard), count(*) FILTER (WHERE NOT ok)::float8, 'Guards of spine.verify_guards: how many rows of that name are broken', 'gauge'
    FROM guards GROUP BY guard
  UNION ALL SELECT 'spine_subscription_events_behind', jsonb_build_object('subscription', name), events_behind::float8, 'Events behind a subscription''s positions', 'gauge' FROM lag
  UNION ALL SELECT 'spine_subscription_oldest_unread_timestamp_seconds', jsonb_build_object('subscription', name), extract(epoch FROM oldest_unread)::float8,
         'When the oldest event that a subscription has not read was chained', 'gauge' FROM lag WHERE oldest_unread IS NOT NULL
  UNION ALL SELECT 'spine_subscription_batches_outstanding', jsonb_build_object('subscription', name), batches_outstanding::float8,
         'Batches that a subscription gave out and that are not acknowledged', 'gauge' FROM lag;
COMMENT ON VIEW spine.metrics IS
  'What there is to watch, as numbers, of all that the role may see. Needs what spine.grant_auditor gives. It tells the lag of the '
  'subscriptions that the role may consume. Ask for the names that you need: others cost nothing then';
COMMENT ON COLUMN spine.metrics.name IS 'Name of the metric, as Prometheus has them';
COMMENT ON COLUMN spine.metrics.labels IS 'What tells the values of one name apart: an object of texts';
COMMENT ON COLUMN spine.metrics.value IS 'Its value now; moments are seconds since 1970';
COMMENT ON COLUMN spine.metrics.help IS 'What it means';
COMMENT ON COLUMN spine.metrics.type IS 'gauge, or counter for what never falls';
