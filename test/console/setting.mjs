// What the console's tests stand on: a database with events, roles, a console beside it, and a client of the console.
import {spawn} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {request} from 'node:http';

const {WORK: work, PGHOST: host, PGPORT: port} = process.env;
// The console's own: the tests need no second one.
const pg = createRequire(join(work, 'console/'))('pg');
pg.types.setTypeParser(pg.types.builtins.INT8, text => text);

export const acme = 'aaaaaaaa-0000-4000-8000-000000000001';
export const globex = 'bbbbbbbb-0000-4000-8000-000000000002';
export const ada = '00000000-0000-4000-8000-0000000000a1';
export const password = 'correct horse';

// What must never be more than text, whoever says it.
export const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>{{7*7}}\u202e\u0007"\'`';

export async function database(name) {
  const superuser = new pg.Client({host, port, user: process.env.PGUSER, database: 'postgres'});
  await superuser.connect();
  await superuser.query(`CREATE DATABASE ${name}`);
  const {
    rows: [{hba}],
  } = await superuser.query("SELECT current_setting('hba_file') AS hba");
  const rules = readFileSync(hba, 'utf8');
  if (!rules.startsWith('# console')) {
    // Passwords count, but for the superuser who makes the tests' data.
    writeFileSync(hba, `# console\nlocal all ${process.env.PGUSER} trust\nlocal all all scram-sha-256\n${rules}`);
    await superuser.query('SELECT pg_reload_conf()');
  }
  await superuser.end();
  const client = new pg.Client({host, port, user: process.env.PGUSER, database: name});
  await client.connect();
  await client.query(
    `SET client_min_messages = warning; CREATE EXTENSION people_os_spine; ALTER DATABASE ${name} SET people_os_spine.environment = 'test'`,
  );
  await client.query("SET people_os_spine.environment = 'test'");
  const sql = async (text, values = []) => (await client.query(text, values)).rows;
  const role = async (user, grant = null) => {
    await sql(
      `DO $do$ BEGIN CREATE ROLE ${pg.escapeIdentifier(user)} LOGIN PASSWORD '${password}'; EXCEPTION WHEN duplicate_object THEN NULL; END $do$`,
    );
    if (grant)
      await sql(
        `SELECT spine.${grant[0]}(${pg.escapeLiteral(pg.escapeIdentifier(user))}::regrole${grant
          .slice(1)
          .map(text => `, ${text}`)
          .join('')})`,
      );
  };
  const emit = (organization, type, entity, payload = {}, more = {}) =>
    sql(
      `SELECT spine.emit_event($2, entity_id => $3, payload => $4, organization_id => $1, actor_id => $5, severity => $6, personal => $7) AS id`,
      [
        organization,
        type,
        entity,
        JSON.stringify(payload),
        more.actor ?? ada,
        more.severity ?? 'low',
        more.personal ? JSON.stringify(more.personal) : null,
      ],
    ).then(([{id}]) => id);
  const past = async (events, organizations, days) => {
    const text = readFileSync(join(work, 'test/past.sql'), 'utf8')
      .replaceAll(':events', events)
      .replaceAll(':organizations', organizations)
      .replaceAll(':days', days);
    await client.query(text);
  };
  const connect = async (settings = {}) => {
    const other = new pg.Client({host, port, user: process.env.PGUSER, database: name, ...settings});
    await other.connect();
    return other;
  };
  return {name, sql, role, emit, past, connect, client, end: () => client.end()};
}

// Starts a console of that database, and says where it is.
export async function start(name, ...options) {
  const child = spawn(process.execPath, [
    join(work, 'console/server.mjs'),
    '--database',
    `postgresql:///${name}?host=${host}&port=${port}`,
    '--listen',
    '127.0.0.1:0',
    ...options,
  ]);
  const said = [];
  const origin = await new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', data => {
        said.push(String(data));
        const match = /^console of .*: (\S+)\/$/m.exec(said.join(''));
        if (match) resolve(match[1]);
      });
    }
    child.on('exit', code => reject(new Error(`the console ended with ${code}: ${said.join('')}`)));
  });
  return {origin, pid: child.pid, said, stop: () => new Promise(resolve => child.on('exit', resolve).kill('SIGTERM'))};
}

// Asks a console as a program does, with any headers. Gives status, headers, body.
export class Client {
  cookie = null;

  constructor(origin) {
    this.origin = origin;
  }

  ask(path, {method = 'GET', body = undefined, headers = {}} = {}) {
    return new Promise((resolve, reject) => {
      const asked = request(
        this.origin + path,
        {
          method,
          headers: {
            ...(this.cookie && {Cookie: this.cookie}),
            ...(method !== 'GET' && {Origin: this.origin, 'Content-Type': 'application/json'}),
            ...headers,
          },
        },
        response => {
          const parts = [];
          response
            .on('data', part => parts.push(part))
            .on('error', reject)
            .on('end', () => {
              const text = Buffer.concat(parts).toString();
              const given = response.headers['set-cookie']?.[0];
              if (given && !headers.Cookie) this.cookie = given.split(';')[0];
              resolve({
                status: response.statusCode,
                headers: response.headers,
                text,
                body: /json/.test(response.headers['content-type']) && text ? JSON.parse(text) : null,
              });
            });
        },
      );
      asked
        .on('error', reject)
        .end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
    });
  }

  post(path, body = {}, headers = {}) {
    return this.ask(path, {method: 'POST', body, headers});
  }

  async logIn(user, secret = password) {
    return this.post('/api/login', {user, password: secret});
  }

  async get(path) {
    const {status, body, text} = await this.ask(`/api${path}`);
    if (status !== 200) throw Object.assign(new Error(`${path}: ${status} ${text}`), {status, body});
    return body;
  }

  // Server-sent events: calls take({event, id, data}) for each until it gives true, or the stream ends.
  stream(path, take, headers = {}) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${path}: what was waited for did not come`)), 120_000);
      late.unref();
      const asked = request(this.origin + path, {headers: {Cookie: this.cookie, ...headers}}, response => {
        if (response.statusCode !== 200) {
          response.resume();
          return reject(new Error(`${path}: ${response.statusCode}`));
        }
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', part => {
            text += part;
            for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
              const message = Object.fromEntries(
                text
                  .slice(0, end)
                  .split('\n')
                  .map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
              );
              if (take({...message, data: JSON.parse(message.data)}) === true) {
                resolve();
                return asked.destroy();
              }
            }
          })
          .on('end', resolve)
          .on('error', () => resolve());
      });
      asked.on('error', error => (error.code === 'ECONNRESET' ? resolve() : reject(error))).end();
    });
  }
}
