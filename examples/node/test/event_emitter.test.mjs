// Needs a database that PGHOST, PGDATABASE … name, with the extension and a role that may emit for all; test/clients/run makes it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { emitEvent, setContext } from '../event_emitter.mjs';

const client = new pg.Client();
const admin = new pg.Client({ user: process.env.ADMIN });
const actor_id = randomUUID();
before(() => Promise.all([client.connect(), admin.connect()]));
after(() => Promise.all([client.end(), admin.end()]));

const hire = organization_id => ({ event_type: 'hcm.employee.created', entity_id: randomUUID(), organization_id, actor_id });
const stored = async (organization, columns) =>
  (await admin.query({ text: `SELECT ${columns} FROM spine.events WHERE organization_id = $1 ORDER BY sequence`, values: [organization], rowMode: 'array' })).rows;

test('a business write and an event are rolled back together and committed together', async () => {
  const organization = randomUUID();
  const both = async payload => {
    await client.query('BEGIN');
    await client.query('INSERT INTO employee (id, name) VALUES ($1, $2)', [organization, 'Ada']);
    return emitEvent(client, { ...hire(organization), payload });
  };
  const hired = async () => (await admin.query('SELECT FROM employee WHERE id = $1', [organization])).rowCount;
  await both();
  await client.query('ROLLBACK');
  assert.deepEqual([await hired(), await stored(organization, 'id')], [0, []]);
  const id = await both({ name: 'Ada' });
  assert.deepEqual([await hired(), await stored(organization, 'id')], [0, []]);
  await client.query('COMMIT');
  assert.deepEqual([await hired(), await stored(organization, 'id, payload, sequence')], [1, [[id, { name: 'Ada' }, '1']]]);
});

test('every argument arrives', async () => {
  const organization = randomUUID();
  const event = { ...hire(organization), entity_type: 'employee', action: 'created', actor_type: 'pipeline', severity: 'high', environment: 'test', payload: { a: [1, null, 'é😀'] } };
  await emitEvent(client, event);
  await emitEvent(client, { ...hire(organization), entity_id: event.entity_id, payload: null, severity: undefined });
  const row = [event.event_type, event.entity_id, actor_id, 'pipeline', 'high', event.payload, 'spine_client'];
  assert.deepEqual(await stored(organization, 'event_type, entity_id, actor_id, actor_type, severity, payload, recorded_by'),
    [row, [...row.slice(0, 3), 'human', 'low', {}, 'spine_client']]);
});

test('what speaks of persons, when it occurred, what it belongs to and what caused it', async () => {
  const organization = randomUUID();
  const [correlation_id, causation_id] = [randomUUID(), randomUUID()];
  const occurred_at = new Date('2026-01-18T09:30:00.123Z');
  await emitEvent(client, { ...hire(organization), personal: { name: 'Ada' }, occurred_at, correlation_id, causation_id });
  await client.query('BEGIN');
  await setContext(client, { organization_id: organization, actor_id, correlation_id });
  await emitEvent(client, { event_type: 'hcm.employee.created', entity_id: randomUUID(), personal: '{"n": 12345678901234567890}', occurred_at: '2026-01-18T10:30:00.123+01' });
  await client.query('COMMIT');
  assert.deepEqual(await stored(organization, 'personal::text, occurred_at, correlation_id, causation_id'),
    [['{"name": "Ada"}', occurred_at, correlation_id, causation_id], ['{"n": 12345678901234567890}', occurred_at, correlation_id, null]]);
  await assert.rejects(emitEvent(client, { ...hire(organization), personal: { n: NaN } }), /the personal holds NaN under "n"/);
});

test('a string is JSON already, and keeps all digits', async () => {
  const organization = randomUUID();
  await emitEvent(client, { ...hire(organization), payload: '{"n": 12345678901234567890, "salary": 120000.10}' });
  assert.deepEqual(await stored(organization, 'payload::text'), [['{"n": 12345678901234567890, "salary": 120000.10}']]);
});

test('what JSON cannot hold, an argument of another name and a pool are refused', async () => {
  const organization = randomUUID();
  await client.query('BEGIN');
  for (const value of [1n, NaN, Infinity, [-Infinity]]) await assert.rejects(emitEvent(client, { ...hire(organization), payload: { value } }), TypeError);
  await assert.rejects(emitEvent(client, { ...hire(organization), entityId: randomUUID() }), TypeError);
  const pool = new pg.Pool();
  await assert.rejects(emitEvent(pool, hire(organization)), TypeError);
  const pooled = await pool.connect();
  await emitEvent(pooled, hire(organization));
  pooled.release();
  await pool.end();
  await emitEvent(client, hire(organization)); // the transaction goes on
  await client.query('COMMIT');
  assert.equal((await stored(organization, 'id')).length, 2);
});

test('errors keep their SQLSTATE', async () => {
  const organization = randomUUID();
  for (const [given, code] of [[{ event_type: 'Employee created' }, 'SP001'], [{ payload: [] }, 'SP008'], [{ environment: 'prod' }, 'SP007']])
    await assert.rejects(emitEvent(client, { ...hire(organization), ...given }), error => error.code === code && error.hint !== undefined);
  assert.deepEqual(await stored(organization, 'id'), []);
});

test('the context lasts for its transaction', async () => {
  const organization_id = randomUUID();
  const event = { event_type: 'hcm.employee.created', entity_id: randomUUID() };
  await client.query('BEGIN');
  await setContext(client, { organization_id, actor_id, actor_type: 'system' });
  await emitEvent(client, event);
  await client.query('COMMIT');
  await assert.rejects(emitEvent(client, event), error => ['SP004', 'SP005'].includes(error.code));
  assert.deepEqual(await stored(organization_id, 'actor_id, actor_type'), [[actor_id, 'system']]);
});

test('the story', () => {
  const run = spawnSync(process.execPath, [fileURLToPath(new URL('../story.mjs', import.meta.url))], { encoding: 'utf8' });
  assert.match(run.stdout, /^Ada is hired\nSP001: "Employee created" [^\n]+\nHINT: [^\n]+\nemployees: (Ada, )*Ada\n$/);
});
