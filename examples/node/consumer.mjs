// Consumes a subscription of people_os_spine, until it is told to stop.
//
//     const consumer = new Consumer('copier', async (client, batch) => { await client.query('INSERT INTO ...'); });
//     await consumer.run();
//
// What the handler writes by the client that it is given is committed together with the acknowledgement, so it is done exactly
// once, whatever is killed and when. What it does elsewhere may be done again: the id of an event tells.
import pg from 'pg';

/**
 * @typedef {object} StoredEvent a row of spine.events, as pg reads it: bigints are strings
 * @property {string} id
 * @property {string} event_type
 * @property {string} domain
 * @property {string} entity_type
 * @property {string} entity_id
 * @property {string} action
 * @property {string} actor_id
 * @property {string} actor_type
 * @property {string} organization_id
 * @property {string} environment
 * @property {Date} timestamp
 * @property {string} severity
 * @property {Record<string, unknown> | null} payload
 * @property {string} sequence
 * @property {string} transaction_id
 * @property {string} recorded_by
 * @property {Buffer} previous_hash
 * @property {Buffer} event_hash
 * @property {Buffer | null} payload_salt
 * @property {Buffer | null} payload_hash
 * @property {Record<string, unknown> | null} personal
 * @property {Buffer | null} personal_salt
 * @property {Buffer | null} personal_hash
 * @property {Date | null} occurred_at
 * @property {string | null} correlation_id
 * @property {string | null} causation_id
 *
 * @typedef {object} Batch
 * @property {string} number
 * @property {number} delivery 1 the first time, one more each time it is given again
 * @property {StoredEvent[]} events those of an organization in order
 *
 * @typedef {object} SetAside a batch that was given max_deliveries times: spine.retry_batch gives it back, spine.acknowledge says that it is dealt with
 * @property {string} batch
 * @property {number} events
 * @property {number} deliveries
 * @property {string[]} organizations
 *
 * @typedef {object} Report what was done since the consumer began, and how far the subscription is behind
 * @property {string} subscription
 * @property {number} batches
 * @property {number} events
 * @property {number} redeliveries batches that came with a delivery of 2 or more
 * @property {number} failures batches whose work was rolled back
 * @property {number} connections_lost or not to be had
 * @property {number} events_behind
 * @property {number} organizations_behind
 * @property {boolean} counts_all false: it is behind at least that much
 * @property {number} seconds_behind the age of the oldest event that is to come
 * @property {number} batches_outstanding
 * @property {SetAside[]} set_aside
 *
 * @typedef {object} Options
 * @property {import('pg').ClientConfig} [connection]
 * @property {number} [maxEvents]
 * @property {boolean} [takeFirst] false: a batch is taken, worked on and acknowledged in one transaction. If that fails, the batch comes
 *   again at once, and holds up its organizations until it succeeds. true: that it was taken is committed before. If the work fails, the
 *   batch comes again after the subscription's redeliver_after, and is set aside after max_deliveries.
 * @property {boolean} [listen] on channel people_os_spine between batches; not through a pooler that lends connections by transaction
 * @property {number} [pollEvery] milliseconds after which it looks, woken or not
 * @property {number} [firstWait] milliseconds after a failure or without a connection; twice as long each time, some less by chance
 * @property {number} [longestWait] and no longer than that
 * @property {(report: Report) => void} [report] is called every reportEvery, when a batch is set aside, and at the end
 * @property {number} [reportEvery] milliseconds
 * @property {(message: string, error?: unknown) => void} [log]
 *
 * @typedef {(client: import('pg').Client, batch: Batch) => Promise<unknown>} Handler
 */

// Of next_batch: nobody gets further by trying again. No such subscription, a bad maxEvents, no right, no spine.
const hopeless = new Set(['SP029', 'SP031', '42501', '3F000', '42883']);

class ConnectionLost extends Error {}
class Hopeless extends Error {}

/** Gives the batches of a subscription to handle(client, batch), one after the other. */
export class Consumer {
  #handle;
  #options;
  /** @type {Report} */
  #done;
  /** @type {Set<string>} */
  #told = new Set(); // batches that were set aside
  #reportAt = 0;
  #failed = 0; // times in a row
  #woken = false; // since it looked last
  #stopping = false;
  /** @type {(() => void) | undefined} */
  #endWait;

  /**
   * @param {string} subscription
   * @param {Handler} handle
   * @param {Options} [options]
   */
  constructor(subscription, handle, options = {}) {
    this.#handle = handle;
    this.#options = { connection: {}, maxEvents: 1000, takeFirst: false, listen: true, pollEvery: 5000, firstWait: 100, longestWait: 30000,
      report: () => {}, reportEvery: 30000, log: console.error, ...options };
    this.#done = { subscription, batches: 0, events: 0, redeliveries: 0, failures: 0, connections_lost: 0, events_behind: 0,
      organizations_behind: 0, counts_all: true, seconds_behind: 0, batches_outstanding: 0, set_aside: [] };
  }

  /** Has run resolve after the batch that it works on. */
  stop() {
    this.#stopping = true;
    this.#endWait?.();
  }

  /**
   * Consumes until stop is called, or one of the signals comes; a second one does what it does by itself. Rejects with what
   * next_batch raises where trying again is no use: there is no such subscription, or the role may not.
   * @param {{ signals?: NodeJS.Signals[] }} [options]
   */
  async run({ signals = ['SIGINT', 'SIGTERM'] } = {}) {
    const first = () => { restore(); this.stop(); };
    const restore = () => signals.forEach(name => process.off(name, first));
    signals.forEach(name => process.on(name, first));
    try {
      while (!this.#stopping) await this.#connectAndConsume();
    } finally {
      restore();
    }
  }

  async #connectAndConsume() {
    const client = new pg.Client(this.#options.connection);
    const wake = () => { this.#woken = true; this.#endWait?.(); };
    client.on('error', wake); // the next query says what it is
    client.on('notice', ({ code }) => { if (code === '01000') this.#reportAt = 0; }); // a warning: a batch was set aside
    client.on('notification', wake);
    try {
      await client.connect().catch(error => { throw new ConnectionLost(error.message, { cause: error }); });
      await this.#consume(client);
    } catch (error) {
      if (error instanceof Hopeless) throw error.cause;
      if (!(error instanceof ConnectionLost) && await isAlive(client)) throw error;
      this.#done.connections_lost++;
      this.#log('no connection', error);
      await this.#waitLongerEachTime();
    } finally {
      client.end().catch(() => {});
    }
  }

  /** @param {import('pg').Client} client */
  async #consume(client) {
    await client.query('SET default_transaction_isolation = \'read committed\'');
    if (this.#options.listen) await client.query('LISTEN people_os_spine');
    while (!this.#stopping) {
      await this.#reportIfDue(client);
      this.#woken = false;
      let found;
      try {
        found = await this.#work(client);
      } catch (error) {
        if (error instanceof Hopeless) throw error;
        if (!await isAlive(client)) throw new ConnectionLost(String(error), { cause: error });
        this.#done.failures++;
        this.#log('a batch failed and comes again', error);
        await this.#waitLongerEachTime();
        continue;
      }
      this.#failed = 0;
      if (!found && !this.#woken) await this.#wait(this.#options.pollEvery);
    }
    this.#reportAt = 0;
    await this.#reportIfDue(client);
  }

  /**
   * Deals with one batch. false: there is none. After an error the transaction is still open.
   * @param {import('pg').Client} client
   */
  async #work(client) {
    await client.query('BEGIN');
    const batch = await this.#next(client);
    if (batch && this.#options.takeFirst) {
      await client.query('COMMIT');
      await client.query('BEGIN');
    }
    if (batch) {
      await this.#handle(client, batch);
      await client.query('SELECT spine.acknowledge($1, $2)', [this.#done.subscription, batch.number]);
    }
    await client.query('COMMIT');
    if (!batch) return false;
    this.#done.batches++;
    this.#done.events += batch.events.length;
    return true;
  }

  /**
   * @param {import('pg').Client} client
   * @returns {Promise<Batch | undefined>}
   */
  async #next(client) {
    const { rows } = await client.query(
      'SELECT batch AS batch_number, delivery AS batch_delivery, (event).* FROM spine.next_batch($1, $2)',
      [this.#done.subscription, this.#options.maxEvents])
      .catch(error => { throw hopeless.has(error.code) ? new Hopeless(error.message, { cause: error }) : error; });
    if (rows.length === 0) return undefined;
    const { batch_number: number, batch_delivery: delivery } = rows[0];
    if (delivery > 1) this.#done.redeliveries++;
    return { number, delivery, events: rows.map(({ batch_number, batch_delivery, ...event }) => event) };
  }

  /** @param {import('pg').Client} client */
  async #reportIfDue(client) {
    const { report, reportEvery } = this.#options;
    if (performance.now() < this.#reportAt) return;
    this.#reportAt = performance.now() + reportEvery;
    const lag = await client.query(
      `SELECT events_behind::float8, organizations_behind::float8, counts_all, batches_outstanding::float8,
              coalesce(extract(epoch FROM clock_timestamp() - oldest_unread), 0)::float8 AS seconds_behind
         FROM spine.subscription_lag WHERE name = $1`, [this.#done.subscription]);
    const aside = await client.query(
      'SELECT batch, events::float8, deliveries, organizations FROM spine.set_aside_batches WHERE subscription = $1 ORDER BY spine.set_aside_batches.batch',
      [this.#done.subscription]);
    Object.assign(this.#done, lag.rows[0], { set_aside: aside.rows });
    for (const { batch, events, deliveries } of this.#done.set_aside)
      if (!this.#told.has(batch)) this.#log(`batch ${batch} of ${events} events is set aside after ${deliveries} deliveries`);
    this.#told = new Set(this.#done.set_aside.map(one => one.batch));
    report({ ...this.#done });
  }

  /**
   * Until a notification comes, the connection is lost, or stop is called; or so long.
   * @param {number} milliseconds
   */
  async #wait(milliseconds) {
    if (this.#stopping) return;
    await new Promise(resolve => {
      const timer = setTimeout(resolve, milliseconds);
      this.#endWait = () => { clearTimeout(timer); resolve(undefined); };
    });
    this.#endWait = undefined;
  }

  async #waitLongerEachTime() {
    const { firstWait, longestWait } = this.#options;
    await this.#wait((0.5 + Math.random() / 2) * Math.min(longestWait, firstWait * 2 ** this.#failed++));
  }

  /**
   * @param {string} message
   * @param {unknown} [error]
   */
  #log(message, error) {
    this.#options.log(`subscription ${this.#done.subscription}: ${message}`, ...error === undefined ? [] : [error]);
  }
}

/**
 * Ends what was begun. A connection that cannot is lost.
 * @param {import('pg').Client} client
 */
function isAlive(client) {
  return client.query('ROLLBACK').then(() => true, () => false);
}
