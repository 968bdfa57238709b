// The cards of the overview. Each is asked for by itself, so that a slow or forbidden one keeps no other waiting.
import {rows} from './ask.mjs';

const DAYS = 30;
const MOST_UNCOUNTED = 20_000;

// Events a day by severity and by domain. They are exact where few events are not counted yet; else as of the last count.
export async function counts(session) {
  const [{uncounted}] = await rows(
    session,
    `SELECT count(*)::int AS uncounted FROM (SELECT FROM spine.uncounted_events LIMIT ${MOST_UNCOUNTED + 1}) u`,
  );
  const exact = uncounted <= MOST_UNCOUNTED;
  const source = exact
    ? 'spine.event_counts'
    : `(SELECT day, severity, split_part(event_type, '.', 1) AS domain, events FROM spine.daily_counts)`;
  const days = await rows(
    session,
    `
    SELECT day, severity, domain, sum(events) AS events FROM ${source} c
     WHERE day > (now() AT TIME ZONE 'UTC')::date - ${DAYS} GROUP BY GROUPING SETS ((day, severity), (day, domain)) ORDER BY day`,
  );
  const [{today}] = await rows(session, `SELECT (now() AT TIME ZONE 'UTC')::date AS today`);
  return {exact, today, span: DAYS, days};
}

export async function chains(session) {
  const [told] = await rows(
    session,
    `
    SELECT count(*)::int AS chains, count(*) FILTER (WHERE intact)::int AS intact, count(*) FILTER (WHERE NOT intact)::int AS faulty,
           count(*) FILTER (WHERE intact IS NULL)::int AS never, count(*) FILTER (WHERE events < verified_sequence)::int AS shrunken,
           count(*) FILTER (WHERE intact AND verified_at < now() - interval '7 days')::int AS old, min(verified_at) AS oldest,
           coalesce(sum(events), 0)::text AS events
      FROM spine.chain_status`,
  );
  return told;
}

export const consumers = session =>
  rows(
    session,
    `
  SELECT name, owner::text, is_filtered, events_behind, organizations_behind, oldest_unread, batches_outstanding, redeliveries,
         oldest_unread < now() - interval '1 hour' AS late
    FROM spine.subscription_lag ORDER BY events_behind DESC, name LIMIT 100`,
  );

export const guards = session =>
  rows(
    session,
    'SELECT guard, expected, found, ok, remedy FROM spine.verify_guards() WHERE ok IS NOT TRUE ORDER BY ok, guard',
  );
