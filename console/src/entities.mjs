// What happened to an entity, and how its row was.
import {moment, rows, uuid, whole} from './ask.mjs';
import {Refusal} from './refusal.mjs';

const PAGE = 100;

function entityType(text) {
  if (!/^([a-z][a-z0-9_]{0,62}\.)?[a-z][a-z0-9_]{0,62}$/.test(text))
    throw new Refusal(400, `The entity type is none: ${text}`);
  return text.split('.').reverse();
}

// The events about an entity, newest first, with their payloads as exact text.
export async function history(session, {type, id, organization, cursor}) {
  const [kind, domain] = entityType(type);
  const [before, chain] = (cursor ?? '').split(' ');
  const events = await rows(
    session,
    `
    SELECT e.id, e.organization_id, e.sequence, e."timestamp", e.occurred_at, e.event_type, e.severity, e.actor_type, e.actor_id, e.recorded_by,
           spine.canonical_json(e.payload) AS payload, spine.canonical_json(e.personal) AS personal,
           e.payload_hash IS NOT NULL AS payload_gone, e.personal_hash IS NOT NULL AS personal_gone
      FROM spine.events e
     WHERE e.entity_id = $1 AND e.entity_type = $2 AND ($3::text IS NULL OR e.domain = $3) AND ($4::uuid IS NULL OR e.organization_id = $4)
       AND ($5::bigint IS NULL OR (e.sequence, e.organization_id) < ($5, $6::uuid)) AND ($5::bigint IS NULL OR e.sequence <= $5)
     ORDER BY e.sequence DESC, e.organization_id DESC LIMIT ${PAGE + 1}`,
    [
      uuid(id, 'entity'),
      kind,
      domain ?? null,
      organization ? uuid(organization, 'organization') : null,
      cursor ? whole(before, 'place') : null,
      cursor ? uuid(chain, 'place') : null,
    ],
  );
  const more = events.length > PAGE;
  if (more) events.pop();
  const last = events.at(-1);
  return {events, cursor: more ? `${last.sequence} ${last.organization_id}` : null};
}

// The row of a captured table at that moment, as exact text; null: there was none.
export async function asOf(session, {type, id, moment: at}) {
  entityType(type);
  try {
    const [{row}] = await rows(session, 'SELECT spine.canonical_json(spine.entity_as_of($1, $2, $3)) AS row', [
      type,
      uuid(id, 'entity'),
      moment(at ?? '', 'moment'),
    ]);
    return {row};
  } catch (error) {
    // That the events do not tell it is an answer.
    if (!/^SP06[12]$|^SP076$/.test(error.code ?? '')) throw error;
    return {row: null, untold: error.message, hint: error.hint};
  }
}
