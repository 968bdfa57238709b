// Who acts in a request, said once at its beginning: each transaction of the request has it.
import { AsyncLocalStorage } from 'node:async_hooks';
import { setContext } from './event_emitter.mjs';

/** @typedef {import('./event_emitter.mjs').Context} Context */

/** @type {AsyncLocalStorage<Context>} */
const storage = new AsyncLocalStorage();

/**
 * Calls work, and returns what it does. The transactions that it begins, and all that it awaits or starts, have the context.
 * @template T
 * @param {Context} context
 * @param {() => T} work
 * @returns {T}
 */
export function runWithContext(context, work) {
  return storage.run(context, work);
}

/**
 * Calls work with a client of the pool, in a transaction, and resolves to what it does. The transaction has the context of
 * the request; without one, what is emitted says all by itself. What work throws rolls it back.
 * @template T
 * @param {import('pg').Pool} pool
 * @param {(client: import('pg').PoolClient) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function transaction(pool, work) {
  const client = await pool.connect();
  const ignore = () => {}; // of a lost connection: its next query says it, and the pool does not lend it again
  client.on('error', ignore);
  try {
    await client.query('BEGIN');
    const context = storage.getStore();
    if (context) await setContext(client, context);
    const result = await work(client);
    const { command } = await client.query('COMMIT');
    // The server does so where a statement failed, and work did not tell.
    if (command !== 'COMMIT') throw new Error('the transaction was rolled back: a statement in it had failed, and its error was caught');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(ignore);
    throw error;
  } finally {
    client.off('error', ignore);
    client.release();
  }
}
