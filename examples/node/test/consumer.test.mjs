// A consumer whose server is killed and restarted copies each event exactly once. Needs what server.mjs does.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { copy } from '../consume.mjs';
import { Consumer } from '../consumer.mjs';
import { ask, backendOf, copied, emit, killBackend, restart, until } from './server.mjs';

// A subscription of organizations of its own, and what is done with it.
async function subscribe(t, { count = 3, ...options } = {}) {
  const organizations = Array.from({ length: count }, () => randomUUID());
  const name = `test_${organizations[0].replaceAll('-', '')}`;
  const client = new pg.Client({ user: 'spine_consumer' });
  await client.connect();
  const given = { organizations, ...options };
  await client.query(`SELECT spine.create_subscription($1, ${Object.keys(given).map((key, i) => `${key} => $${i + 2}`)})`, [name, ...Object.values(given)]);
  await client.end();
  t.after(() => ask('SELECT spine.drop_subscription($1)', [name]));
  const reports = [];
  return {
    name, organizations, reports,
    emit: async events => (await Promise.all(organizations.map(organization => emit(organization, events)))).flat(),
    copied: () => copied(organizations),
    consumer: (handle, more) => new Consumer(name, handle, { connection: { user: 'spine_consumer', application_name: name }, pollEvery: 100, firstWait: 10, longestWait: 100,
      report: report => reports.push(report), log: () => {}, ...more }),
  };
}

// Consumes until work is done.
async function during(consumer, work) {
  const run = consumer.run();
  try {
    await Promise.race([work(), run.then(() => { throw new Error('it ended by itself'); })]);
  } finally {
    consumer.stop();
    await run;
  }
}

function startProcess(t, { name }, mode) {
  const process_ = spawn(process.execPath, [fileURLToPath(new URL('slow.mjs', import.meta.url)), name, mode], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => process_.kill('SIGKILL'));
  process_.said = '';
  process_.stdout.on('data', data => { process_.said += data; });
  return process_;
}

async function survives(t, mode, options) {
  const feed = await subscribe(t, options);
  const emitted = await feed.emit(60);
  const first = startProcess(t, feed, mode);
  await killBackend(feed.name);
  emitted.push(...await feed.emit(20));
  await until(async () => (await feed.copied()).length > 60);
  await backendOf(feed.name);
  await restart();
  emitted.push(...await feed.emit(20));
  await until(async () => (await feed.copied()).length > 120);
  await backendOf(feed.name);
  first.kill('SIGKILL');
  emitted.push(...await feed.emit(20));
  const second = startProcess(t, feed, mode);
  const ended = once(second, 'exit');
  await killBackend(feed.name);
  await until(async () => (await feed.copied()).length >= emitted.length);
  second.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  const rows = await feed.copied();
  assert.deepEqual(rows.map(row => row[2]).sort(), emitted.sort());
  return { rows, feed };
}

test('killed and restarted, nothing is twice, nothing is lost, and all is in order', async t => {
  const { rows, feed } = await survives(t, 'together');
  for (const organization of feed.organizations) {
    const sequences = rows.filter(row => row[0] === organization).map(row => row[1]);
    assert.deepEqual(sequences, [...sequences].sort((a, b) => a - b));
  }
});

test('killed and restarted where batches are taken first', t => survives(t, 'first', { redeliver_after: '1 second', max_deliveries: 1000 }));

test('a signal has it finish its batch', async t => {
  const feed = await subscribe(t);
  await feed.emit(100);
  const process_ = startProcess(t, feed, 'together');
  const closed = once(process_, 'close');
  await until(() => process_.said);
  await backendOf(feed.name);
  process_.kill('SIGTERM');
  assert.deepEqual(await closed, [0, null]);
  const done = process_.said.trim().split('\n').reduce((sum, line) => sum + Number(line), 0);
  assert.equal((await feed.copied()).length, done);
  assert.ok(done < 300);
});

test('what fails comes again, and is rolled back', async t => {
  const feed = await subscribe(t);
  const emitted = await feed.emit(2);
  const tries = [];
  await during(feed.consumer(async (client, batch) => {
    await copy(client, batch);
    if (tries.push(batch.events.length) < 3) throw new Error('not yet');
  }), () => until(async () => (await feed.copied()).length >= 6));
  assert.deepEqual((await feed.copied()).map(row => row[2]).sort(), emitted.sort());
  const { failures, batches, events } = feed.reports.at(-1);
  assert.deepEqual([tries, failures, batches, events], [[6, 6, 6], 2, 1, 6]);
});

test('poison is set aside, reported and given back', async t => {
  const feed = await subscribe(t, { count: 1, redeliver_after: '1 microsecond', max_deliveries: 2 });
  const emitted = await feed.emit(4);
  let isPoison = true;
  await during(feed.consumer(async (client, batch) => {
    if (isPoison && batch.events[0].sequence === '2') throw new Error('poison');
    await copy(client, batch);
  }, { takeFirst: true, maxEvents: 1, reportEvery: 3600000 }), async () => {
    await until(async () => feed.reports.at(-1)?.set_aside.length && (await feed.copied()).length === 3);
    const { batch, events, deliveries, organizations } = feed.reports.at(-1).set_aside[0];
    assert.deepEqual([events, deliveries, organizations], [1, 2, feed.organizations]);
    isPoison = false;
    await ask('SELECT spine.retry_batch($1, $2)', [feed.name, batch]);
    await until(async () => (await feed.copied()).length === 4);
  });
  const { failures, redeliveries, set_aside } = feed.reports.at(-1);
  assert.deepEqual([(await feed.copied()).map(row => row[1]), failures, redeliveries, set_aside], [[1, 3, 4, 2], 2, 1, []]);
  assert.deepEqual((await feed.copied()).map(row => row[2]).sort(), emitted.sort());
});

test('the late one of two loses', async t => {
  const feed = await subscribe(t, { count: 1, redeliver_after: '1 microsecond' });
  await feed.emit(1);
  let overtaken = false;
  const other = feed.consumer(copy, { takeFirst: true, report: () => {} });
  await during(feed.consumer(async (client, batch) => {
    await copy(client, batch);
    if (overtaken) return;
    overtaken = true;
    await during(other, () => until(async () => (await feed.copied()).length));
  }, { takeFirst: true }), () => until(async () => overtaken && (await feed.copied()).length));
  assert.deepEqual([(await feed.copied()).length, feed.reports.at(-1).failures], [1, 1]);
});

test('it tells how far it is behind', async t => {
  const feed = await subscribe(t);
  await feed.emit(5);
  await during(feed.consumer(copy), () => until(async () => (await feed.copied()).length === 15));
  const [first, last] = [feed.reports[0], feed.reports.at(-1)];
  assert.deepEqual([first.events_behind, first.organizations_behind, first.events, first.counts_all], [15, 3, 0, true]);
  assert.ok(first.seconds_behind > 0);
  assert.deepEqual([last.events_behind, last.events, last.subscription], [0, 15, feed.name]);
});

test('it goes on after its connection was lost while it waited', async t => {
  const feed = await subscribe(t);
  await during(feed.consumer(copy, { pollEvery: 3600000 }), async () => {
    // Idle, and listening.
    await until(async () => (await ask('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query = \'COMMIT\'', [feed.name])).length);
    await feed.emit(2);
    await until(async () => (await feed.copied()).length === 6);
  });
  const { connections_lost, failures, events } = feed.reports.at(-1);
  assert.deepEqual([connections_lost, failures, events], [1, 0, 6]);
});

test('it is woken', async t => {
  const feed = await subscribe(t);
  await during(feed.consumer(copy, { pollEvery: 3600000 }), async () => {
    for (const number of [3, 6, 9]) {
      await feed.emit(1);
      await until(async () => (await feed.copied()).length === number);
    }
  });
});

test('nobody waits for a subscription that is not there', async () => {
  await assert.rejects(new Consumer('nowhere', copy, { connection: { user: 'spine_consumer' } }).run(), { code: 'SP029' });
});
