// What questions have in common: reading what the browser says, and asking the database.
import {Refusal} from './refusal.mjs';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function uuid(text, name) {
  const lower = String(text ?? '')
    .trim()
    .toLowerCase();
  if (!UUID.test(lower)) throw new Refusal(400, `The ${name} is no UUID: ${text}`);
  return lower;
}

export function whole(text, name, most = 2n ** 63n - 1n) {
  if (!/^\d{1,19}$/.test(text ?? '') || BigInt(text) > most)
    throw new Refusal(400, `The ${name} is no number: ${text}`);
  return text;
}

// A moment as ISO 8601 has it, in UTC where no zone is said.
export function moment(text, name) {
  const date = new Date(
    /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?)?$/.test(text)
      ? `${text.length === 10 ? `${text}T00:00` : text}Z`
      : text,
  );
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1 || date.getUTCFullYear() > 9999)
    throw new Refusal(400, `The ${name} is no time: ${text}`);
  return /\.\d{4,6}/.test(text) ? text : date.toISOString();
}

export const rows = async (session, text, values = []) => (await session.pool.query(text, values)).rows;

// Runs a function with one connection of the session, in a transaction that may write if that is said.
export async function transaction(session, {writes = false, settings = {}}, run) {
  const client = await session.pool.connect();
  let failed = true;
  try {
    await client.query(writes ? 'BEGIN READ WRITE' : 'BEGIN READ ONLY');
    const names = Object.keys(settings);
    if (names.length > 0)
      await client.query(
        `SELECT ${names.map((name, i) => `set_config('${name}', $${i + 1}, true)`)}`,
        Object.values(settings),
      );
    const answer = await run(client);
    await client.query('COMMIT');
    failed = false;
    return answer;
  } catch (error) {
    if (error.severity !== undefined)
      failed = !(await client.query('ROLLBACK').then(
        () => true,
        () => false,
      ));
    throw error;
  } finally {
    client.release(failed);
  }
}
