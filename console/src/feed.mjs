// The live feed. An organization's sequences have no gap and are in commit order, so whoever has sequence n and asks for what
// follows misses nothing. Of a feed over all organizations, the id of a message is the oldest transaction that may still have
// been open when the heads were read: an event that was not committed then has that transaction_id or a later one. So the
// unread end of each chain is found again from the id alone. A few events before it may come twice; the browser knows them.
import {rows, uuid, whole} from './ask.mjs';
import {Refusal} from './refusal.mjs';
import {Stream} from './stream.mjs';

const EVERY = 1000;
const HEARTBEAT = 15_000;
const BATCH = 200;
const SEVERITIES = ['low', 'medium', 'high', 'critical'];

const heads = async (session, organization) =>
  organization
    ? rows(
        session,
        'SELECT organization_id, max(sequence) AS sequence FROM spine.events WHERE organization_id = $1 GROUP BY 1',
        [organization],
      )
    : rows(session, 'SELECT organization_id, sequence FROM spine.read_chain_heads()');

// Must be asked before the heads are.
const horizon = async session =>
  (await rows(session, 'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon'))[0].horizon;

// The last event of each chain that was committed for sure when that transaction was the oldest.
const positionsAt = (session, transaction) =>
  rows(
    session,
    `
  SELECT h.organization_id, coalesce((SELECT e.sequence FROM spine.events e
      WHERE e.organization_id = h.organization_id AND e.sequence <= h.sequence AND e.transaction_id < $1::xid8 ORDER BY e.sequence DESC LIMIT 1), 0)::text AS sequence
    FROM spine.read_chain_heads() h`,
    [transaction],
  );

export async function feed(request, response) {
  const {session} = request;
  const organization = request.query.organization ? uuid(request.query.organization, 'organization') : null;
  const severity = SEVERITIES.indexOf(request.query.severity || 'low');
  if (severity < 0) throw new Refusal(400, `There is no severity ${request.query.severity}.`);
  // A browser that reconnects says by this header what it had last; a page that goes on says it in the address.
  const given = request.headers['last-event-id'] || request.query.after;
  const place = given ? whole(given, 'place') : null;

  const positions = new Map();
  let mark = organization ? null : (place ?? (await horizon(session)));
  if (organization && place !== null) positions.set(organization, BigInt(place));
  else
    for (const row of place === null ? await heads(session, organization) : await positionsAt(session, place))
      positions.set(row.organization_id, BigInt(row.sequence));
  if (organization && !positions.has(organization)) positions.set(organization, 0n);

  const stream = new Stream(request, response, session);
  const at = () => (organization ? positions.get(organization).toString() : mark);
  stream.send('begin', {}, at());

  // Sends what came since in one chain, as fast as the browser takes it. `id` is what holds until all chains are done.
  const sendChain = async (chain, id) => {
    for (;;) {
      const events = await rows(
        session,
        `
        SELECT id, organization_id, sequence, "timestamp", event_type, severity, actor_type, actor_id, entity_type, entity_id, domain, recorded_by
          FROM spine.read_events($1, $2, $3)`,
        [chain, positions.get(chain).toString(), BATCH],
      );
      for (const event of events) {
        positions.set(chain, BigInt(event.sequence));
        if (SEVERITIES.indexOf(event.severity) >= severity) stream.send('event', event, id());
      }
      await stream.taken();
      if (stream.ended || events.length < BATCH) return;
    }
  };

  let timer = null;
  let spoken = Date.now();
  stream.onEnd(() => clearTimeout(timer));
  const look = async () => {
    try {
      if (organization) {
        const before = positions.get(organization);
        await sendChain(organization, at);
        if (positions.get(organization) !== before) spoken = Date.now();
      } else {
        const next = await horizon(session);
        const behind = (await heads(session, null)).filter(
          ({organization_id: chain, sequence}) => (positions.get(chain) ?? 0n) < BigInt(sequence),
        );
        for (const {organization_id: chain} of behind) {
          if (!positions.has(chain)) positions.set(chain, 0n);
          await sendChain(chain, at);
          if (stream.ended) return;
        }
        mark = next;
        if (behind.length > 0) {
          stream.send('place', {}, mark);
          spoken = Date.now();
        }
      }
      if (Date.now() - spoken > HEARTBEAT) {
        stream.send('place', {}, at());
        spoken = Date.now();
      }
    } catch (error) {
      stream.fail(error);
      stream.end();
    }
    if (!stream.ended) timer = setTimeout(look, EVERY);
  };
  look();
}
