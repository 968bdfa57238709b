// Ada is hired, and the spine knows. Needs a database where the role may emit and write to a table employee.
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { emitEvent } from './event_emitter.mjs';

const organization_id = '00000000-0000-4000-8000-000000000001', actor_id = '00000000-0000-4000-8000-0000000000a1';

// The row and its event are stored together, or neither is.
async function hire(client, name, event_type = 'hcm.employee.created') {
  const entity_id = randomUUID();
  await client.query('BEGIN');
  try {
    await client.query('INSERT INTO employee (id, name) VALUES ($1, $2)', [entity_id, name]);
    await emitEvent(client, { event_type, entity_id, payload: { name }, organization_id, actor_id });
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

export async function main() {
  const client = new pg.Client(); // where PGHOST, PGDATABASE … say
  await client.connect();
  try {
    await hire(client, 'Ada');
    console.log('Ada is hired');
    await hire(client, 'Bob', 'Employee created').catch(error => console.log(`${error.code}: ${error.message}\nHINT: ${error.hint}`));
    const { rows } = await client.query('SELECT name FROM employee ORDER BY name');
    console.log(`employees: ${rows.map(row => row.name).join(', ')}`);
  } finally {
    await client.end();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
