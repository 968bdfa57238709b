// What the watch found, and the risk that it makes.
import {rows, transaction, uuid} from './ask.mjs';
import {Refusal} from './refusal.mjs';

const PAGE = 50;
const VERDICTS = ['confirmed', 'dismissed', 'closed'];
const COLUMNS = `id, organization_id, rule, rule_version, severity, raised_at, sequence, title, sentence, repeats, last_repeat, verdict, closed_at, closed_by, reason`;

export async function summary(session) {
  return {
    open: await rows(
      session,
      'SELECT severity, count(*) AS findings FROM spine.findings WHERE verdict IS NULL GROUP BY 1 ORDER BY 1 DESC',
    ),
  };
}

// The organizations of the highest risk; of one that is named, its actions.
export async function risks(session, {organization}) {
  return {
    risks: await rows(
      session,
      `SELECT of_organization AS organization, key, round(risk)::integer AS risk, findings FROM spine.measure_risk($1, $2) r
        ORDER BY r.risk DESC, key LIMIT 10`,
      [organization ? uuid(organization, 'organization') : null, organization ? 'action' : 'organization'],
    ),
  };
}

// The newest first; of those that are open, or of all.
export async function list(session, {all, organization, cursor}) {
  const [raised, id] = (cursor ?? '').split('/');
  if (cursor && !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$/.test(raised))
    throw new Refusal(400, `The place is none: ${cursor}`);
  const findings = await rows(
    session,
    `
    SELECT ${COLUMNS} FROM spine.findings
     WHERE ($1 OR verdict IS NULL) AND ($2::uuid IS NULL OR organization_id = $2) AND ($3::timestamptz IS NULL OR (raised_at, id) < ($3, $4::uuid))
     ORDER BY raised_at DESC, id DESC LIMIT ${PAGE + 1}`,
    [
      all === 'yes',
      organization ? uuid(organization, 'organization') : null,
      cursor ? raised : null,
      cursor ? uuid(id, 'place') : null,
    ],
  );
  const more = findings.length > PAGE;
  if (more) findings.pop();
  return {findings, cursor: more ? `${findings.at(-1).raised_at}/${findings.at(-1).id}` : null};
}

// A finding with the events that it rests on, as they are stored now.
export async function page(session, {id}) {
  const finding = uuid(id, 'finding');
  const [[told], events, [{actor}]] = await Promise.all([
    rows(session, `SELECT ${COLUMNS}, spine.canonical_json(numbers) AS numbers FROM spine.findings WHERE id = $1`, [
      finding,
    ]),
    rows(
      session,
      `
      SELECT sequence, event_id, event_type, recorded_at, actor_id, entity_id, spine.canonical_json(payload) AS payload, is_unchanged
        FROM spine.explain_finding($1) LIMIT 200`,
      [finding],
    ),
    rows(session, "SELECT current_setting('people_os_spine.actor_id', true) AS actor"),
  ]);
  if (!told) throw new Refusal(404, 'There is no such finding that your role may read.');
  return {...told, events, actor: actor || null, verdicts: VERDICTS};
}

// Says what became of a finding. It is an event of the chain, by the person whose actor id it has.
export async function close(session, {id, verdict, reason, actor}, response) {
  const finding = uuid(id, 'finding');
  if (!VERDICTS.includes(verdict)) throw new Refusal(400, `There is no verdict ${verdict}.`);
  if (typeof reason !== 'string' || reason.trim() === '') throw new Refusal(400, 'Say why.');
  const settings = actor
    ? {'people_os_spine.actor_id': uuid(actor, 'actor'), 'people_os_spine.actor_type': 'human'}
    : {};
  const event = await transaction(
    session,
    {writes: true, settings},
    async client =>
      (await client.query('SELECT spine.close_finding($1, $2, $3) AS event', [finding, verdict, reason.trim()])).rows[0]
        .event,
  );
  response.json({event});
}
