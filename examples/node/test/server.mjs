// What the tests do to the server that PGHOST and PGPORT name. ADMIN is a superuser; test/clients/run makes the database.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export const actor_id = randomUUID();

// What it gives, as soon as that is something; a minute is too long.
export async function until(condition) {
  for (const end = performance.now() + 60000; performance.now() < end; await sleep(20)) {
    const given = await condition();
    if (given) return given;
  }
  throw new Error('nothing for a minute');
}

// The rows that a statement of a superuser gives, whose server may have to recover first.
export function ask(text, values = []) {
  return until(async () => {
    // What it emits wakes those who listen.
    const client = new pg.Client({ user: process.env.ADMIN, options: '-c people_os_spine.notify=on' });
    client.on('error', () => {});
    try {
      await client.connect();
      return (await client.query({ text, values, rowMode: 'array' })).rows;
    } catch (error) {
      if (error.severity === 'ERROR') throw error;
      return undefined;
    } finally {
      await client.end().catch(() => {});
    }
  });
}

// Emits so many events, and gives their ids.
export async function emit(organization_id, count) {
  const event = { event_type: 'hcm.employee.created', entity_id: randomUUID(), actor_id, organization_id };
  return (await ask('SELECT spine.emit_events($1)', [JSON.stringify(Array(count).fill(event))])).flat();
}

// What consumers copied of them, in the order in which they did.
export const copied = organizations =>
  ask('SELECT organization_id, sequence::int, id FROM copied WHERE organization_id = ANY ($1) ORDER BY n', [organizations]);

// The process that works for an application, in the middle: it has copied, and sleeps before it acknowledges.
export const backendOf = application => until(async () =>
  (await ask('SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event = \'PgSleep\'', [application]))[0]?.[0]);

// Kills a backend, and with it all sessions: the server recovers.
export const killBackend = application => until(async () => {
  try { return process.kill(await backendOf(application), 'SIGKILL'); } catch (error) { if (error.code !== 'ESRCH') throw error; }
});

// The server goes as if its power went, and comes again.
export async function restart() {
  const [[data]] = await ask('SHOW data_directory');
  execFileSync('pg_ctl', ['-D', data, '-l', join(dirname(data), 'log'), '-m', 'immediate', '-w', 'restart'], { stdio: 'ignore' });
}
