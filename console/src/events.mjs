// Searching events, and an event's page.
import {moment, rows, transaction, uuid, whole} from './ask.mjs';
import {Refusal} from './refusal.mjs';

const PAGE = 50;
// How many events one request looks through. So its time is bounded whatever the table holds and however seldom something
// matches; the browser asks again from where it ended.
const STRIDE = 20_000;
const DAY = 86_400_000;

const COLUMNS = `id, organization_id, sequence, "timestamp", event_type, severity, actor_type, actor_id, entity_type, entity_id, domain, recorded_by,
  payload_hash IS NOT NULL AS payload_gone, personal_hash IS NOT NULL AS personal_gone`;

// The largest UUID of version 7 of that moment.
const lastId = time =>
  `${time
    .toString(16)
    .padStart(12, '0')
    .replace(/^(.{8})/, '$1-')}-7fff-bfff-ffffffffffff`;

// The last sequence of a chain whose event was chained at that moment or before, by halving: timestamps never fall within a
// chain. Where events are missing, the next one that is there tells. "middle" is a column, for row security lets no expression
// that might fail into an index.
async function sequenceAt(session, organization, time) {
  const [{sequence}] = await rows(
    session,
    `
    WITH RECURSIVE span (low, high, middle) AS (
      SELECT low, high, (low + high + 1) / 2 FROM (SELECT coalesce(min(sequence) - 1, 0), coalesce(max(sequence), 0) FROM spine.events WHERE organization_id = $1) e (low, high)
      UNION ALL
      SELECT n.low, n.high, (n.low + n.high + 1) / 2
        FROM span
       CROSS JOIN LATERAL (SELECT "timestamp" <= $2 AS before FROM spine.events WHERE organization_id = $1 AND sequence >= middle ORDER BY sequence LIMIT 1) at
       CROSS JOIN LATERAL (SELECT CASE WHEN at.before THEN middle ELSE span.low END, CASE WHEN at.before THEN span.high ELSE middle - 1 END) n (low, high)
       WHERE span.low < span.high)
    SELECT low AS sequence FROM span WHERE low >= high LIMIT 1`,
    [organization, time],
  );
  return sequence;
}

// Events that match, newest first. `cursor` is what the page before gave.
// Of one entity or one organization they come by sequence; of all, by id, which rises with the moment of emitting.
export async function search(session, {organization, entity, actor, type, severity, from, to, cursor}) {
  const values = [];
  const bind = value => `$${values.push(value)}`;
  const matches = ['true'];
  if (actor) matches.push(`actor_id = ${bind(uuid(actor, 'actor'))}`);
  if (severity) matches.push(`severity >= ${bind(severity)}::spine.severity`);
  if (type) {
    // A name, or its first parts: hcm, hcm.employee, hcm.employee.created.
    const parts = type.trim().split('.');
    if (parts.length > 3 || !parts.every(part => /^[a-z][a-z0-9_]{0,62}$/.test(part)))
      throw new Refusal(
        400,
        `The type is no name or beginning of one: ${type}`,
        'Write hcm, hcm.employee or hcm.employee.created.',
      );
    for (const [i, column] of ['domain', 'entity_type', 'action'].entries())
      if (parts[i]) matches.push(`${column} = ${bind(parts[i])}`);
  }
  const [after, before] = [from && moment(from, 'beginning'), to && moment(to, 'end')];
  if (after) matches.push(`"timestamp" >= ${bind(after)}`);
  if (before) matches.push(`"timestamp" <= ${bind(before)}`);
  if (severity && !['low', 'medium', 'high', 'critical'].includes(severity))
    throw new Refusal(400, `There is no severity ${severity}.`);

  const place = [];
  let order, key, ended;
  if (entity || organization) {
    if (organization) place.push(`organization_id = ${bind(uuid(organization, 'organization'))}`);
    if (entity) place.push(`entity_id = ${bind(uuid(entity, 'entity'))}`);
    const next = (cursor ?? '').split(' ');
    if (entity && !organization) {
      // Events of one entity lie in several chains where organizations share it.
      order = 'sequence DESC, organization_id DESC';
      key = row => `${row.sequence} ${row.organization_id}`;
      if (cursor)
        place.push(
          `(sequence, organization_id) < (${bind(whole(next[0], 'place'))}, ${bind(uuid(next[1], 'place'))})`,
          `sequence <= ${bind(next[0])}`,
        );
    } else {
      order = 'sequence DESC';
      key = row => row.sequence;
      if (cursor) place.push(`sequence < ${bind(whole(next[0], 'place'))}`);
      else if (before)
        place.push(`sequence <= ${bind(await sequenceAt(session, uuid(organization, 'organization'), before))}`);
      ended = after && (row => row.timestamp < after.replace('T', ' '));
    }
  } else if (!session.about.reads_all) {
    // By ids it would read past all that others have.
    throw new Refusal(400, 'Choose an organization, or an entity.');
  } else {
    order = 'id DESC';
    key = row => row.id;
    if (cursor) place.push(`id < ${bind(uuid(cursor, 'place'))}`);
    // Nothing is chained before it is emitted.
    else if (before) place.push(`id <= ${bind(lastId(Date.parse(before)))}`);
    // It may have waited for its transaction, but not for a day.
    if (after) place.push(`id >= ${bind(lastId(Date.parse(after) - DAY))}`);
  }
  // The settings have the index give the order: whoever sorts reads all events of the organization. A page that is full ends
  // the query; the last one of the stride is looked for where it is not.
  const {rows: found} = await transaction(session, {settings: {enable_sort: 'off', enable_bitmapscan: 'off'}}, client =>
    client.query(
      `
    WITH stride AS MATERIALIZED (SELECT ${COLUMNS}, action FROM spine.events WHERE ${place.join(' AND ') || 'true'} ORDER BY ${order} LIMIT ${STRIDE})
    SELECT * FROM (
      (SELECT *, false AS is_last FROM stride WHERE ${matches.join(' AND ')} LIMIT ${PAGE})
      UNION ALL
      (SELECT *, true FROM stride OFFSET ${STRIDE - 1} LIMIT 1)) found LIMIT ${PAGE}`,
      values,
    ),
  );
  const last = found.find(row => row.is_last);
  const events = found.filter(row => !row.is_last).map(({is_last, ...event}) => event);
  const end = last ?? (events.length === PAGE ? events[PAGE - 1] : undefined);
  return {
    events,
    cursor: end && !(ended && ended(end)) ? key(end) : null,
    // Until when it was searched, where that is further than the events tell.
    searched: last ? last.timestamp : null,
  };
}

const WHERE_EVENT = 'WHERE organization_id = $1 AND sequence = $2';

// An event with what the browser needs to compute its hashes, and what the server says of them. The line has its parts and
// salts as the role may see them.
export async function page(session, {organization, sequence}) {
  const key = [uuid(organization, 'organization'), whole(sequence, 'sequence')];
  const [told] = await rows(
    session,
    `
    SELECT ${COLUMNS}, environment, action, occurred_at, correlation_id, causation_id, transaction_id, encode(event_hash, 'hex') AS event_hash,
           encode(previous_hash, 'hex') AS previous_hash, encode(payload_hash, 'hex') AS payload_hash, encode(personal_hash, 'hex') AS personal_hash
      FROM spine.events ${WHERE_EVENT} LIMIT 1`,
    key,
  );
  if (!told) throw new Refusal(404, `There is no event ${sequence} of this organization that your role may read.`);
  // Each by itself: of a damaged event the rest is still shown.
  const tell = async text => {
    try {
      return (await rows(session, text, key))[0];
    } catch (error) {
      return {trouble: error.message};
    }
  };
  const [line, digest, around, erasures] = await Promise.all([
    tell(`SELECT spine.event_line(e, true, true) AS line FROM spine.events e ${WHERE_EVENT} LIMIT 1`),
    tell(`SELECT encode(spine.event_digest(e), 'hex') AS digest FROM spine.events e ${WHERE_EVENT} LIMIT 1`),
    rows(
      session,
      `
      SELECT sequence, event_type, "timestamp", severity, encode(event_hash, 'hex') AS event_hash, encode(previous_hash, 'hex') AS previous_hash
        FROM spine.events WHERE organization_id = $1 AND sequence BETWEEN $2::bigint - 4 AND $2::bigint + 3 ORDER BY sequence`,
      key,
    ),
    told.payload_gone || told.personal_gone ? erasuresOf(session, key) : [],
  ]);
  return {...told, ...line, ...digest, around, erasures};
}

// The erasures of its chain that name the event. All erasures of an organization are about one entity, by which they are
// found. Who may not read the personal part is shown a hash in its place, too, and there is no erasure.
const erasuresOf = (session, key) =>
  rows(
    session,
    `
  SELECT e.sequence, e."timestamp", e.actor_id, e.payload ->> 'reason' AS reason, p.part
    FROM spine.events e CROSS JOIN LATERAL jsonb_each(e.payload -> 'erased') AS p(part, events)
   WHERE e.entity_id = spine.entity_uuid('platform', 'personal', $1::uuid::text) AND e.organization_id = $1::uuid AND e.sequence > $2::bigint
     AND e.event_type = 'platform.personal.erased' AND p.events @> jsonb_build_array(jsonb_build_object('sequence', $2::bigint))
   ORDER BY e.sequence LIMIT 10`,
    key,
  );

// Where the event of that id is.
export async function locate(session, {id}) {
  const [found] = await rows(session, 'SELECT organization_id, sequence FROM spine.events WHERE id = $1 LIMIT 1', [
    uuid(id, 'id'),
  ]);
  if (!found) throw new Refusal(404, 'There is no event of that id that your role may read.');
  return found;
}
