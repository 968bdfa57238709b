// Chains: where they end, what was verified and signed of them, verifying them now, and evidence.
import {rows, transaction, uuid, whole} from './ask.mjs';
import {Refusal} from './refusal.mjs';
import {Stream} from './stream.mjs';

const PAGE = 50;
const MOST_FAULTS = 500;

// For choosing one: the organizations that the role may read, the busiest first.
export const organizations = session =>
  rows(
    session,
    `
  SELECT organization_id, sequence AS events FROM spine.read_chain_heads() ORDER BY sequence DESC, organization_id LIMIT 1000`,
  );

export async function list(session, {cursor, waiting}) {
  const chains = await rows(
    session,
    `
    SELECT organization_id, events, encode(head_hash, 'hex') AS head_hash, head_timestamp, verified_at, verified_by, intact, verified_sequence, faults
      FROM spine.chain_status
     WHERE ($1::uuid IS NULL OR organization_id > $1) AND (NOT $2 OR intact IS NOT TRUE OR events < verified_sequence OR verified_at < now() - interval '7 days')
     ORDER BY organization_id LIMIT ${PAGE + 1}`,
    [cursor ? uuid(cursor, 'place') : null, waiting === 'yes'],
  );
  const more = chains.length > PAGE;
  if (more) chains.pop();
  return {chains, cursor: more ? chains.at(-1).organization_id : null};
}

export async function page(session, {organization}) {
  const id = uuid(organization, 'organization');
  const [[chain], checkpoints, [rights], holds] = await Promise.all([
    rows(
      session,
      `
      SELECT organization_id, events, encode(head_hash, 'hex') AS head_hash, head_timestamp, verified_at, verified_by, intact, verified_sequence, faults
        FROM spine.chain_status WHERE organization_id = $1`,
      [id],
    ),
    rows(
      session,
      `
      SELECT size, encode(root, 'hex') AS root, directory_number, taken_at FROM spine.checkpoints WHERE organization_id = $1 ORDER BY size DESC LIMIT 20`,
      [id],
    ),
    rows(
      session,
      `
      SELECT has_table_privilege('spine.checkpoint_notes', 'SELECT') AS notes,
             has_function_privilege('spine.export_evidence(uuid,uuid[],text,text,uuid,bigint,bigint,text,boolean,boolean,text)', 'EXECUTE') AS exports`,
    ),
    rows(
      session,
      `
      SELECT id, domain, entity_type, entity_id, reason, placed_at, placed_by FROM spine.legal_holds
       WHERE organization_id = $1 AND released_at IS NULL ORDER BY placed_at DESC LIMIT 50`,
      [id],
    ),
  ]);
  if (!chain) throw new Refusal(404, 'There is no chain of this organization that your role may read.');
  // A note of a later directory checkpoint covers what an earlier one does.
  const notes =
    rights.notes && checkpoints.length > 0
      ? await rows(
          session,
          'SELECT number, origin, note, stored_at FROM spine.checkpoint_notes WHERE number >= $1 ORDER BY number DESC LIMIT 20',
          [checkpoints.at(-1).directory_number],
        )
      : [];
  return {chain, checkpoints, notes, sees_notes: rights.notes, exports: rights.exports, holds};
}

// Verifies one chain, or all that the role may read, and streams how far it is, the verdicts and the faults. Who closes the
// stream cancels the verification.
export async function verify(request, response) {
  const {session} = request;
  const organization = request.query.organization ? uuid(request.query.organization, 'organization') : null;
  if (session.verifying)
    throw new Refusal(409, 'A verification of yours is running.', 'Wait for its end, or cancel it.');
  session.verifying = true;
  const client = await session.pool.connect().catch(error => {
    session.verifying = false;
    throw error;
  });
  const stream = new Stream(request, response, session);
  let running = true;
  const watching = {timer: null};
  try {
    const {
      rows: [{pid}],
    } = await client.query('SELECT pg_backend_pid() AS pid');
    await client.query('SET statement_timeout = 0');
    stream.onEnd(() => running && session.pool.query('SELECT pg_cancel_backend($1)', [pid]).catch(() => {}));
    if (stream.ended) return;
    const look = async () => {
      const [progress] = await rows(
        session,
        `
        SELECT share, events_done, events_per_second, seconds_left FROM spine.verify_progress WHERE pid = $1`,
        [pid],
      ).catch(() => []);
      if (!running) return;
      if (progress) stream.send('progress', progress);
      watching.timer = setTimeout(look, 500);
    };
    watching.timer = setTimeout(look, 200);
    const {rows: chains} = await client.query(
      `
      SELECT organization_id, intact, events, first_sequence, last_sequence, encode(head_hash, 'hex') AS head_hash, faults, first_fault_sequence, first_fault
        FROM spine.verify_chain($1)`,
      [organization],
    );
    let faults = [];
    if (chains.some(chain => chain.faults !== '0')) {
      stream.send('finding', {});
      ({rows: faults} = await client.query(
        `
        SELECT organization_id, sequence, event_id, fault, encode(expected, 'hex') AS expected, encode(found, 'hex') AS found, detail
          FROM spine.find_chain_faults($1) LIMIT ${MOST_FAULTS}`,
        [organization],
      ));
    }
    running = false;
    stream.send('done', {
      chains: chains.filter(chain => organization || !chain.intact || chains.length <= 1000),
      total: chains.length,
      events: chains.reduce((sum, {events}) => sum + BigInt(events), 0n).toString(),
      faults,
      most: MOST_FAULTS,
    });
  } catch (error) {
    stream.fail(error);
  } finally {
    running = false;
    session.verifying = false;
    clearTimeout(watching.timer);
    client.release(true);
    stream.end();
  }
}

// Sends an evidence bundle. Its last line is sent when the event that tells of the export is committed, so a whole file is
// one that the chain tells of.
export async function evidence(session, {organization, reason, from, to, payload, personal}, response) {
  const id = uuid(organization, 'organization');
  if (typeof reason !== 'string' || reason.trim() === '') throw new Refusal(400, 'Say why the evidence is taken out.');
  const [first, last] = [from ? whole(from, 'first sequence') : null, to ? whole(to, 'last sequence') : null];
  let held = null;
  const send = async text => {
    if (!response.headersSent) {
      response.set({
        'Content-Type': 'application/x-ndjson; charset=utf-8',
        'Content-Disposition': `attachment; filename="evidence-${id}.ndjson"`,
      });
    }
    if (response.destroyed) throw new Refusal(499, 'The browser has gone.');
    if (!response.write(text)) await new Promise(resolve => response.once('drain', resolve).once('close', resolve));
  };
  await transaction(session, {writes: true, settings: {statement_timeout: '0'}}, async client => {
    await client.query(
      `DECLARE bundle NO SCROLL CURSOR FOR SELECT line FROM spine.export_evidence($1, reason => $2, from_sequence => $3, to_sequence => $4,
      payload => $5, personal => $6) line`,
      [id, reason.trim(), first, last, payload === true, personal === true],
    );
    for (;;) {
      const {rows: lines} = await client.query('FETCH 500 FROM bundle');
      for (const {line} of lines) {
        if (held !== null) await send(held);
        held = `${line}\n`;
      }
      if (lines.length === 0) break;
    }
  });
  if (held !== null) await send(held);
  response.end();
}
