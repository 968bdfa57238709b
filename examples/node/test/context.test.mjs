// The context of a request. Needs what event_emitter.test.mjs does.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import pg from 'pg';
import { runWithContext, transaction } from '../context.mjs';
import { emitEvent } from '../event_emitter.mjs';
import { promote, sayWhoActs } from '../web.mjs';
import { ask } from './server.mjs';

const pool = new pg.Pool({ max: 2 });
after(() => pool.end());
const stored = (organization, columns = 'actor_id') =>
  ask(`SELECT ${columns} FROM spine.events WHERE organization_id = $1 ORDER BY sequence`, [organization]);
const emit = client => emitEvent(client, { event_type: 'hcm.employee.created', entity_id: randomUUID() });
const isNobody = error => ['SP004', 'SP005'].includes(error.code);

test('each request has its own, on the same connections at the same time', async () => {
  const organization_id = randomUUID();
  const actors = Array.from({ length: 20 }, () => randomUUID());
  const ids = await Promise.all(actors.map(actor_id => new Promise((resolve, reject) => {
    const request = { user: { organization_id, actor_id }, headers: { 'x-request-id': actor_id } };
    sayWhoActs(request, {}, async () => {
      await transaction(pool, emit).catch(reject);
      promote(pool, actor_id, 7).then(resolve, reject);
    });
  })));
  const rows = await stored(organization_id, 'actor_id, correlation_id, id, entity_id');
  assert.equal(rows.length, 40);
  assert.ok(rows.every(row => row[0] === row[1]));
  const promoted = rows.filter(row => ids.includes(row[2]));
  assert.deepEqual(promoted.map(row => row[3]).sort(), [...actors].sort());
  await assert.rejects(transaction(pool, emit), isNobody);
});

test('what throws is rolled back, and what it returns comes back', async () => {
  const organization_id = randomUUID();
  await runWithContext({ organization_id, actor_id: randomUUID() }, async () => {
    await assert.rejects(transaction(pool, async client => { await emit(client); throw new Error('no'); }), /^Error: no$/);
    assert.match(await transaction(pool, emit), /^[0-9a-f-]{36}$/);
  });
  assert.equal((await stored(organization_id)).length, 1);
});

test('a failure that is caught in there is not taken for a commit', async () => {
  const organization_id = randomUUID();
  await runWithContext({ organization_id, actor_id: randomUUID() }, () =>
    assert.rejects(transaction(pool, async client => { await emit(client); await client.query('SELECT 1/0').catch(() => {}); }), /rolled back/));
  assert.deepEqual(await stored(organization_id), []);
});

test('a connection that is lost meanwhile is not lent again', async () => {
  const lost = transaction(pool, async client => {
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
    await Promise.all([new Promise(resolve => { client.once('end', resolve); }), ask('SELECT pg_terminate_backend($1)', [rows[0].pid])]);
  });
  await assert.rejects(lost);
  await Promise.all([1, 2, 3].map(() => transaction(pool, client => client.query('SELECT 1'))));
});
