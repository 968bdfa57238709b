// What the console answers to programs: who may ask, what each role sees, and that nothing is missed.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {join} from 'node:path';
import {Client, acme, ada, database, globex, password, start} from './setting.mjs';

const {Access} = await import(join(process.env.WORK, 'console/src/access.mjs'));
const {Throttle} = await import(join(process.env.WORK, 'console/src/throttle.mjs'));
const {Stream} = await import(join(process.env.WORK, 'console/src/stream.mjs'));

let db, console_, auditor, reader;
const employee = '00000000-0000-4000-8000-0000000000e1';

before(async () => {
  db = await database('console_server');
  await db.past(45_000, 3, 30);
  await db.emit(acme, 'hcm.employee.created', employee, {name: 'Ada'}, {personal: {born: '1815-12-10'}});
  await db.emit(acme, 'hcm.employee.promoted', employee, {}, {severity: 'critical'});
  await db.emit(globex, 'hcm.employee.created', employee, {secret: 'of Globex'});
  await db.role('auditor', ['grant_auditor', 'true']);
  await db.role('of_acme', ['grant_reader', `ARRAY['${acme}']::uuid[]`]);
  await db.role('of_both', ['grant_reader', `ARRAY['${acme}', '${globex}']::uuid[]`]);
  await db.role('nobody_here');
  console_ = await start(db.name);
  auditor = new Client(console_.origin);
  assert.equal((await auditor.logIn('auditor')).status, 200);
  reader = new Client(console_.origin);
  assert.equal((await reader.logIn('of_acme')).status, 200);
});

after(async () => {
  await console_?.stop();
  await db?.end();
});

// ---- Who may ask

test('nobody asks without a session', async () => {
  const stranger = new Client(console_.origin);
  assert.equal((await stranger.ask('/api/session')).body, null);
  for (const path of [
    '/overview/counts',
    '/overview/chains',
    '/overview/consumers',
    '/overview/guards',
    '/overview/findings',
    '/organizations',
    '/events',
    `/events/${acme}/1`,
    `/event/${employee}`,
    `/entities/employee/${employee}`,
    `/entities/employee/${employee}/as-of?moment=2026-01-01`,
    '/chains',
    `/chains/${acme}`,
    '/verification',
    '/findings',
    '/findings/1',
    '/risks',
    '/feed',
    '/nonsense',
  ]) {
    assert.equal((await stranger.ask(`/api${path}`)).status, 401, path);
  }
  for (const path of ['/logout', '/findings/1/close', `/chains/${acme}/evidence`])
    assert.equal((await stranger.post(`/api${path}`)).status, 401, path);
  stranger.cookie = `console=${'A'.repeat(43)}`;
  assert.equal((await stranger.ask('/api/chains')).status, 401);
});

test('passwords count, and who logs in is told the same for a wrong one and an unknown role', async () => {
  const wrong = await new Client(console_.origin).logIn('auditor', 'guess');
  const unknown = await new Client(console_.origin).logIn('there_is_none', 'guess');
  assert.equal(wrong.status, 401);
  assert.deepEqual(wrong.body, unknown.body);
  assert.equal(wrong.headers['set-cookie'], undefined);
  for (const body of [
    {},
    {user: 'auditor'},
    {user: ['auditor'], password},
    {user: '', password},
    {user: 'a\0b', password},
    [],
    '"x"',
    '{',
  ]) {
    assert.equal((await new Client(console_.origin).post('/api/login', body)).status, 400, JSON.stringify(body));
  }
  assert.equal((await auditor.get('/session')).user, 'auditor');
});

test('superusers and roles that read no events are refused', async () => {
  const {status, body} = await new Client(console_.origin).logIn(process.env.PGUSER, '');
  assert.equal(status, 403);
  assert.match(body.error, /is a superuser/);
  assert.match(body.hint, /grant_auditor/);
  assert.equal((await new Client(console_.origin).logIn('nobody_here')).status, 403);
});

test("the cookie is no script's, and goes to this site alone", async () => {
  const {headers} = await new Client(console_.origin).logIn('auditor');
  assert.match(headers['set-cookie'][0], /^console=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
});

test('behind https the cookie is for https alone', async () => {
  const port = 20000 + (process.pid % 20000);
  const secure = await start(db.name, '--origin', 'https://console.example', '--listen', `127.0.0.1:${port}`);
  try {
    const client = new Client(`http://127.0.0.1:${port}`);
    const {status, headers} = await client.post(
      '/api/login',
      {user: 'auditor', password},
      {Host: 'console.example', Origin: 'https://console.example'},
    );
    assert.equal(status, 200);
    assert.match(headers['set-cookie'][0], /^__Host-console=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
    assert.equal(headers['strict-transport-security'], 'max-age=31536000');
  } finally {
    await secure.stop();
  }
});

test('it listens to the loopback address alone, where browsers are not told to come by https', async () => {
  await assert.rejects(start(db.name, '--listen', '0.0.0.0:0'), /not the loopback address/);
  await assert.rejects(start(db.name, '--listen', '0.0.0.0:0', '--origin', 'http://console.example'), /must be https/);
  await assert.rejects(
    start(db.name, '--database', `postgresql://somebody:secret@localhost/${db.name}`),
    /names a user/,
  );
});

test("another site's page can do nothing", async () => {
  const evil = {Origin: 'http://evil.example'};
  assert.equal((await auditor.post('/api/logout', {}, evil)).status, 403);
  assert.equal((await auditor.post('/api/login', {user: 'auditor', password}, evil)).status, 403);
  assert.equal((await auditor.post('/api/logout', {}, {Origin: 'null'})).status, 403);
  assert.equal(
    (await auditor.ask('/api/logout', {method: 'POST', headers: {'Content-Type': 'text/plain'}, body: '{}'})).status,
    415,
  );
  assert.equal(
    (await auditor.ask('/api/logout', {method: 'DELETE', headers: {Origin: 'http://evil.example'}})).status,
    403,
  );
  // Neither by a name that points here.
  for (const path of ['/', '/api/session', '/assets/console.mjs'])
    assert.equal((await auditor.ask(path, {headers: {Host: 'evil.example'}})).status, 421, path);
  assert.equal((await auditor.get('/session')).user, 'auditor');
});

test('every answer forbids what the pages do not need', async () => {
  for (const path of [
    '/',
    '/events',
    '/assets/console.mjs',
    '/assets/uplot/uPlot.esm.js',
    '/api/session',
    '/nonsense',
  ]) {
    const {headers} = await auditor.ask(path);
    const policy = headers['content-security-policy'];
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "frame-ancestors 'none'",
      "form-action 'none'",
      "base-uri 'none'",
      "require-trusted-types-for 'script'",
    ]) {
      assert.ok(policy.split('; ').includes(rule), `${path}: ${rule}`);
    }
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-powered-by'], undefined);
    assert.equal(headers['access-control-allow-origin'], undefined);
  }
  assert.equal((await auditor.ask('/api/chains')).headers['cache-control'], 'no-store');
  for (const path of [
    '/assets/../server.mjs',
    '/assets/%2e%2e/server.mjs',
    '/assets/..%2fserver.mjs',
    '/server.mjs',
    '/node_modules/pg/package.json',
  ]) {
    assert.notEqual((await auditor.ask(path)).status, 200, path);
  }
});

test('who guesses passwords has to wait', async () => {
  const own = await start(db.name);
  try {
    const answers = [];
    for (let i = 0; i < 8; i++) answers.push(await new Client(own.origin).logIn('auditor', `guess ${i}`));
    assert.deepEqual(answers.map(({status}) => status).slice(0, 5), [401, 401, 401, 401, 401]);
    const last = answers.at(-1);
    assert.equal(last.status, 429);
    assert.ok(Number(last.headers['retry-after']) >= 1);
    assert.equal((await new Client(own.origin).logIn('auditor')).status, 429, 'the right one as well');
  } finally {
    await own.stop();
  }
  const throttle = new Throttle();
  const keys = ['user x', 'address y'];
  for (let i = 0; i < 5; i++) throttle.begin(keys, 0);
  assert.equal(throttle.wait(keys, 0), 1);
  assert.equal(throttle.wait(['user x'], 0), 1);
  assert.equal(throttle.wait(['user z', 'address y'], 0), 1);
  assert.equal(throttle.wait(['user z'], 0), 0);
  for (let i = 0; i < 30; i++) throttle.begin(keys, 0);
  assert.equal(throttle.wait(keys, 0), 900);
  throttle.succeed(keys);
  assert.equal(throttle.wait(keys, 0), 0);
  for (let i = 0; i < 30_000; i++) throttle.begin([`user ${i}`], 0);
  assert.equal(throttle.wait(['user 29999'], 0), 0);
});

test('a session ends when its user says so, and when the role goes', async () => {
  const client = new Client(console_.origin);
  await client.logIn('auditor');
  const {cookie} = client;
  assert.equal((await client.post('/api/logout')).status, 200);
  client.cookie = cookie;
  assert.equal((await client.ask('/api/chains')).status, 401);

  await db.role('for_a_while', ['grant_reader']);
  await client.logIn('for_a_while');
  assert.equal((await client.ask('/api/chains')).status, 200);
  await db.sql("SELECT spine.revoke_all('for_a_while')");
  const {status, body} = await client.ask('/api/chains');
  assert.equal(status, 403, 'rights count from the next query on');
  assert.match(body.error, /Your role may not/);
});

test('sessions end by themselves', async () => {
  const access = new Access({host: process.env.PGHOST, port: process.env.PGPORT, database: db.name});
  const minutes = 60_000;
  let now = Date.now();
  const {token, session} = await access.open('auditor', password);
  assert.equal(access.find(token, now), session);
  assert.equal(access.find(`${token}x`, now), undefined);
  assert.equal(access.find(token, now + 29 * minutes), session);
  assert.equal(access.find(token, now + 60 * minutes), undefined);
  const used = await access.open('auditor', password);
  for (let i = 0; i < 35; i++) assert.equal(access.find(used.token, (now += 20 * minutes)), used.session);
  assert.equal(access.find(used.token, now + 21 * minutes), undefined, 'also those in use, at last');
  // An open feed is use, too.
  now = Date.now();
  const watching = await access.open('auditor', password);
  watching.session.ends.add(() => {});
  assert.equal(access.find(watching.token, now + 60 * minutes), watching.session);
  await access.close();
});

test('the database is asked to write nothing', async () => {
  const access = new Access({host: process.env.PGHOST, port: process.env.PGPORT, database: db.name});
  const {session} = await access.open('auditor', password);
  await assert.rejects(session.pool.query('CREATE TEMPORARY TABLE t AS SELECT 1'), {code: '25006'});
  await assert.rejects(session.pool.query('SELECT spine.refresh_dashboards()'), {code: '25006'});
  await access.close();
  const {status, body} = await auditor.post(`/api/chains/${acme}/evidence`, {reason: 'audit'});
  assert.equal(status, 403);
  assert.match(body.error, /only reads/);
});

// ---- What each role sees

test('a role sees what the database shows it', async () => {
  assert.equal((await reader.get('/session')).reads_all, false);
  assert.deepEqual(
    (await reader.get('/organizations')).map(({organization_id}) => organization_id),
    [acme],
  );
  assert.deepEqual(
    (await reader.get('/chains')).chains.map(({organization_id}) => organization_id),
    [acme],
  );
  assert.equal((await reader.get('/overview/chains')).chains, 1);
  assert.deepEqual(
    [...new Set((await reader.get('/overview/counts')).days.map(({domain}) => domain).filter(Boolean))],
    ['hcm'],
  );
  for (const path of [`/events/${globex}/1`, `/chains/${globex}`])
    await assert.rejects(reader.get(path), {status: 404});
  assert.deepEqual((await reader.get(`/events?organization=${globex}`)).events, []);
  assert.deepEqual(
    (await reader.get(`/events?entity=${employee}`)).events.map(({organization_id}) => organization_id),
    [acme, acme],
  );
  assert.equal((await reader.get(`/entities/employee/${employee}`)).events.length, 2);
  assert.equal((await auditor.get(`/entities/employee/${employee}`)).events.length, 3);
  const id = (await db.sql('SELECT id FROM spine.events WHERE organization_id = $1', [globex]))[0].id;
  await assert.rejects(reader.get(`/event/${id}`), {status: 404});
  assert.equal((await auditor.get(`/event/${id}`)).sequence, '1');
  await assert.rejects(reader.get('/overview/guards'), {status: 403});
  await assert.rejects(reader.get('/events'), {status: 400});
  const seen = [];
  await reader.stream('/api/verification', ({event, data}) => {
    if (event === 'done') seen.push(...data.chains);
  });
  assert.deepEqual(
    seen.map(({organization_id, intact}) => [organization_id, intact]),
    [[acme, true]],
  );
});

test('the personal part is shown to roles that were given it', async () => {
  const own = await reader.get(`/events/${acme}/1`);
  assert.equal(own.personal_gone, true);
  assert.doesNotMatch(own.line, /1815/);
  assert.match((await auditor.get(`/events/${acme}/1`)).line, /1815/);
  assert.equal(own.digest, own.event_hash);
});

test('nonsense is refused and named', async () => {
  for (const path of [
    '/events?organization=x',
    '/events?entity=1',
    "/events?actor=' OR 1=1",
    '/events?type=A.b',
    '/events?type=a.b.c.d',
    '/events?severity=huge',
    '/events?from=yesterday',
    '/events?cursor=x',
    `/events?organization=${acme}&cursor=-1`,
    '/events/x/1',
    `/events/${acme}/99999999999999999999`,
    '/entities/x%27/1',
    `/entities/employee/${employee}/as-of?moment=x`,
    '/chains/x',
    '/chains?cursor=x',
    '/event/1',
    '/feed?severity=x',
    '/feed?after=x',
    '/feed?organization=x',
    '/verification?organization=x',
  ]) {
    const {status, body} = await auditor.ask(`/api${path}`);
    assert.equal(status, 400, path);
    assert.ok(body.error.length > 10, path);
  }
  assert.equal((await auditor.ask('/api/nonsense')).status, 404);
  assert.equal((await auditor.ask('/nonsense')).status, 404);
});

// ---- Searching

async function searchAll(parameters) {
  const events = [];
  let requests = 0;
  for (let cursor; cursor !== null; requests++) {
    const told = await auditor.get(`/events?${new URLSearchParams({...parameters, ...(cursor && {cursor})})}`);
    assert.ok(told.events.length <= 50);
    events.push(...told.events);
    cursor = told.cursor;
    assert.ok(requests < 2000);
  }
  return {events, requests};
}

const one = 'aaaaaaa1-0000-4000-8000-000000000001';
for (const [name, parameters, where] of [
  ['of all organizations', {severity: 'high'}, "severity >= 'high'"],
  ['that are seldom', {severity: 'critical'}, "severity >= 'critical'"],
  ['of a domain', {type: 'access', severity: 'high'}, "domain = 'access' AND severity >= 'high'"],
  [
    'of a type of one organization',
    {organization: one, type: 'payroll.run.approved'},
    `organization_id = '${one}' AND event_type = 'payroll.run.approved'`,
  ],
  [
    'of an actor',
    {organization: one, actor: '00000000-0000-4000-8000-000000000007'},
    `organization_id = '${one}' AND actor_id = '00000000-0000-4000-8000-000000000007'`,
  ],
  ['about an entity', {entity: employee}, `entity_id = '${employee}'`],
  [
    'about an entity, in one organization',
    {entity: employee, organization: acme},
    `entity_id = '${employee}' AND organization_id = '${acme}'`,
  ],
  [
    'of a stretch of time',
    {from: 'FROM', to: 'TO', severity: 'medium'},
    `"timestamp" BETWEEN 'FROM' AND 'TO' AND severity >= 'medium'`,
  ],
  [
    'of a stretch of time of one organization',
    {from: 'FROM', to: 'TO', organization: one},
    `"timestamp" BETWEEN 'FROM' AND 'TO' AND organization_id = '${one}'`,
  ],
]) {
  test(`a search finds all events ${name}, each once`, async () => {
    const day = days => new Date(Date.now() - days * 86400_000).toISOString().slice(0, 16);
    const [from, to] = [day(9), day(8)];
    for (const key of ['from', 'to']) if (parameters[key]) parameters[key] = {from, to}[key];
    const expected = await db.sql(
      `SELECT id FROM spine.events WHERE ${where.replace('FROM', `${from}Z`).replace('TO', `${to}Z`)}`,
    );
    assert.ok(expected.length > 0, 'there are some');
    const {events} = await searchAll(parameters);
    assert.deepEqual(events.map(({id}) => id).sort(), expected.map(({id}) => id).sort());
    const order =
      parameters.organization || parameters.entity
        ? events.map(({sequence}) => BigInt(sequence))
        : events.map(({id}) => id);
    for (let i = 1; i < order.length; i++) assert.ok(order[i] <= order[i - 1], 'the newest come first');
  });
}

test('a search looks through so much at a time, and says how far it came', async () => {
  const first = await auditor.get('/events?type=nothing.of.that');
  assert.deepEqual(first.events, []);
  assert.ok(first.searched);
  assert.ok(first.cursor);
  assert.equal((await searchAll({type: 'nothing.of.that'})).requests, 3);
});

// ---- The feed

test('a feed goes on where it ended, whoever commits when', async () => {
  const long = await db.connect();
  await long.query("SET people_os_spine.environment = 'test'");
  const emit = (client, organization, name) =>
    client.query('SELECT spine.emit_event($1, entity_id => $2, organization_id => $3, actor_id => $4)', [
      `feed.test.${name}`,
      employee,
      organization,
      ada,
    ]);
  const seen = new Map();
  let last = null;
  const follow = until =>
    auditor.stream(
      '/api/feed',
      ({event, id, data}) => {
        last = id;
        if (event === 'event') seen.set(`${data.organization_id} ${data.sequence}`, data.event_type);
        return until(event, data);
      },
      last === null ? {} : {'Last-Event-ID': last},
    );

  await follow(event => event === 'begin');
  // This one has its transaction before the others, and commits last.
  await long.query('BEGIN');
  await emit(long, acme, 'late');
  for (let i = 0; i < 450; i++) await emit(db.client, globex, `n${i}`);
  // It breaks off in the middle.
  let taken = 0;
  await follow(event => event === 'event' && ++taken === 300);
  await long.query('COMMIT');
  await emit(db.client, globex, 'last');
  const names = () => new Set(seen.values());
  await follow(() => names().has('feed.test.late') && names().has('feed.test.last'));
  await long.end();
  const expected = await db.sql(
    "SELECT organization_id || ' ' || sequence AS key FROM spine.events WHERE domain = 'feed'",
  );
  assert.equal(expected.length, 452);
  assert.deepEqual(
    [...seen.keys()].filter(key => names() && seen.get(key).startsWith('feed.')).sort(),
    expected.map(({key}) => key).sort(),
  );
});

test('a feed of one organization, and of what matters', async () => {
  const [{head}] = await db.sql('SELECT max(sequence) AS head FROM spine.events WHERE organization_id = $1', [acme]);
  await db.emit(acme, 'feed.one.low', employee);
  await db.emit(globex, 'feed.one.elsewhere', employee, {}, {severity: 'critical'});
  await db.emit(acme, 'feed.one.critical', employee, {}, {severity: 'critical'});
  const seen = [];
  await auditor.stream(`/api/feed?organization=${acme}&severity=high&after=${head}`, ({event, id, data}) => {
    if (event !== 'event') return false;
    seen.push([data.event_type, id]);
    return true;
  });
  assert.deepEqual(seen, [['feed.one.critical', String(BigInt(head) + 2n)]]);
});

test('a browser that does not take what it is sent keeps the feed waiting', async () => {
  const listeners = new Map();
  const response = {
    writableNeedDrain: true,
    on(name, run) {
      listeners.set(name, run);
    },
    once(name, run) {
      listeners.set(name, run);
    },
    set() {},
    flushHeaders() {},
    write() {},
    end() {},
  };
  const stream = new Stream({socket: {setNoDelay() {}}}, response, {ends: new Set()});
  let taken = false;
  const waits = stream.taken().then(() => {
    taken = true;
  });
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(taken, false);
  response.writableNeedDrain = false;
  listeners.get('drain')();
  await waits;
  response.writableNeedDrain = true;
  const ends = stream.taken();
  listeners.get('close')();
  await ends;
  assert.equal(stream.ended, true);
});

// ---- Verifying

test('one verification a session; who goes away cancels it', async () => {
  const client = new Client(console_.origin);
  await client.logIn('auditor');
  // Nobody reads a table that is locked, so it waits.
  const locker = await db.connect();
  await locker.query('BEGIN; LOCK TABLE spine.events IN ACCESS EXCLUSIVE MODE');
  const running = async () =>
    (
      await db.sql(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%spine.verify_chain%' AND application_name LIKE '%console' AND state = 'active'",
      )
    )[0].n;
  const until = async wanted => {
    for (let i = 0; i < 200 && (await running()) !== wanted; i++) await new Promise(resolve => setTimeout(resolve, 50));
    assert.equal(await running(), wanted);
  };
  const leave = new AbortController();
  const gone = fetch(`${console_.origin}/api/verification`, {headers: {Cookie: client.cookie}, signal: leave.signal});
  await until(1);
  assert.equal((await client.ask('/api/verification')).status, 409);
  leave.abort();
  await gone.catch(() => {});
  await until(0);
  await locker.query('ROLLBACK');
  await locker.end();
  const told = [];
  await client.stream('/api/verification', ({event, data}) => {
    told.push([event, data.chains?.every(({intact}) => intact)]);
  });
  assert.deepEqual(told.at(-1), ['done', true]);
});
