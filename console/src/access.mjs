// Sessions. A session is a login as a role of the database, with connections of its own: what its user may see, the
// database alone decides. Passwords are kept in memory for as long as the session lasts, for its connections.
import {createHash, randomBytes} from 'node:crypto';
import pg from 'pg';
import {Refusal} from './refusal.mjs';

const IDLE = 30 * 60_000;
const LONGEST = 12 * 60 * 60_000;
const MOST_SESSIONS = 500;
const CONNECTIONS = 4;

// Times stay texts in UTC, and large numbers stay exact.
const types = new pg.TypeOverrides();
for (const oid of [
  pg.types.builtins.TIMESTAMPTZ,
  pg.types.builtins.DATE,
  pg.types.builtins.JSON,
  pg.types.builtins.JSONB,
])
  types.setTypeParser(oid, text => text);

const SETTINGS = {
  default_transaction_read_only: 'on',
  statement_timeout: '20s',
  idle_in_transaction_session_timeout: '60s',
  jit: 'off',
  timezone: 'UTC',
  datestyle: 'ISO',
  intervalstyle: 'iso_8601',
  search_path: 'pg_catalog',
};
const options = Object.entries(SETTINGS)
  .map(([name, value]) => `-c ${name}=${value}`)
  .join(' ');

const digest = token => createHash('sha256').update(token).digest('hex');

export class Access {
  #sessions = new Map(); // digest of the token → session
  #database;
  #sweeper = setInterval(() => this.#sweep(), 60_000).unref();

  constructor(database) {
    this.#database = database;
  }

  // Logs in as that role. Gives the token that the browser keeps, and the session.
  async open(user, password) {
    this.#sweep();
    if (this.#sessions.size >= MOST_SESSIONS)
      throw new Refusal(503, 'Too many users are logged in.', 'Try again later.');
    const pool = new pg.Pool({
      ...this.#database,
      user,
      password,
      options,
      types,
      max: CONNECTIONS,
      idleTimeoutMillis: 10_000,
      connectionTimeoutMillis: 10_000,
      application_name: 'people_os_spine console',
    });
    // Loads the library, which hides the personal part from plans made after it.
    pool.on('connect', client => client.query("SELECT spine.entity_uuid('console', 'connection', '')").catch(() => {}));
    pool.on('error', () => {}); // an idle connection was cut: the next query opens another one
    try {
      const {
        rows: [about],
      } = await pool.query(`
        SELECT session_user AS "user", current_database() AS database, current_setting('people_os_spine.environment', true) AS environment,
               r.rolsuper AS superuser, to_regclass('spine.events') IS NOT NULL AS installed,
               coalesce(has_table_privilege(to_regclass('spine.events'), 'SELECT'), false) AS reads
          FROM pg_roles r WHERE r.rolname = session_user`);
      if (about.superuser) {
        throw new Refusal(
          403,
          `${user} is a superuser, for whom row security does not count.`,
          'Log in with a role that spine.grant_auditor or spine.grant_reader was given to.',
        );
      }
      if (!about.installed)
        throw new Refusal(
          403,
          `The database ${about.database} has no people_os_spine, or ${user} may not use its schema.`,
          'Ask who runs the database.',
        );
      if (!about.reads)
        throw new Refusal(
          403,
          `${user} may not read events.`,
          'A superuser gives that with spine.grant_reader or spine.grant_auditor.',
        );
      about.reads_all = (
        await pool.query("SELECT spine.may_read('ffffffff-ffff-ffff-ffff-ffffffffffff') AS may")
      ).rows[0].may;
      const token = randomBytes(32).toString('base64url');
      const session = {user, about, pool, key: digest(token), opened: Date.now(), seen: Date.now(), ends: new Set()};
      this.#sessions.set(session.key, session);
      return {token, session};
    } catch (error) {
      pool.end();
      throw error;
    }
  }

  // The session of a token, or undefined.
  find(token, now = Date.now()) {
    const session = token && this.#sessions.get(digest(token));
    if (!session || this.#expired(session, now)) return undefined;
    session.seen = now;
    return session;
  }

  // Ends a session, its connections and its streams.
  async end(session) {
    this.#sessions.delete(session.key);
    for (const end of session.ends) end();
    await session.pool.end();
  }

  async close() {
    clearInterval(this.#sweeper);
    await Promise.all([...this.#sessions.values()].map(session => this.end(session)));
  }

  // An open stream is use.
  #expired({opened, seen, ends}, now = Date.now()) {
    return (now - seen > IDLE && ends.size === 0) || now - opened > LONGEST;
  }

  #sweep() {
    for (const session of this.#sessions.values()) if (this.#expired(session)) this.end(session).catch(() => {});
  }
}
