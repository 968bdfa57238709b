// monitoring/ end to end, with Debian's exporter and Prometheus.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {execFileSync, spawn} from 'node:child_process';
import {createServer} from 'node:net';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

const {WORK: work, MONITORING: monitoring, PGHOST: host, PGPORT: port} = process.env;
const database = 'metrics_end_to_end';
const acme = 'aaaaaaaa-0000-4000-8000-000000000001';

const psql = (query, name = database) =>
  execFileSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', name], {
    input: query,
    encoding: 'utf8',
  }).trim();
const promtool = (...words) =>
  execFileSync('promtool', words, {encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], input: ''});
const freePort = () =>
  new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const {port: free} = server.address();
      server.close(() => resolve(free));
    });
  });

const children = [];
function start(command, words, environment = {}) {
  const child = spawn(command, words, {env: {...process.env, ...environment}});
  child.said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', data => {
      child.said += data;
    });
  children.push(child);
  return child;
}

// Asks until the answer is what is wanted.
async function until(ask, wanted, what) {
  let told;
  for (let i = 0; i < 600; i++) {
    told = await ask().catch(error => error);
    if (wanted(told)) return told;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  return assert.fail(
    `${what}: ${String(told).slice(0, 2000)} ${children.map(({said}) => said.slice(-2000)).join('\n')}`,
  );
}

let exporter, prometheus;
const scrape = async () => (await fetch(`${exporter}/metrics`)).text();
const api = async path => await (await fetch(`${prometheus}/api/v1/${path}`)).json();
const valueOf = (text, name, labels = '') =>
  Number(
    new RegExp(`^${name}${labels ? `\\{(?:.*,)?${labels}(?:,.*)?\\}` : '(?:\\{[^}]*\\})?'} (\\S+)$`, 'm').exec(
      text,
    )?.[1],
  );

before(async () => {
  psql(`CREATE DATABASE ${database}`, 'postgres');
  psql(`CREATE EXTENSION people_os_spine; ALTER DATABASE ${database} SET people_os_spine.environment = 'test'`);
  psql(`SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
    SELECT count(spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(), organization_id => '${acme}')) FROM generate_series(1, 25);
    CREATE ROLE consumers; CREATE ROLE metrics_end_to_end LOGIN IN ROLE consumers;
    SELECT spine.grant_auditor('metrics_end_to_end'), spine.grant_reader('consumers');
    SET ROLE consumers; SELECT spine.create_subscription('bank "1"');
    RESET ROLE; SELECT count(*) FROM spine.record_verification()`);
  const [exporterPort, prometheusPort] = [await freePort(), await freePort()];
  exporter = `http://127.0.0.1:${exporterPort}`;
  prometheus = `http://127.0.0.1:${prometheusPort}`;
  // The cache would keep the test waiting.
  writeFileSync(
    join(work, 'queries.yml'),
    readFileSync(join(monitoring, 'postgres_exporter.yml'), 'utf8').replace(/cache_seconds: \d+/, 'cache_seconds: 0'),
  );
  start(
    'prometheus-postgres-exporter',
    [
      '--disable-default-metrics',
      '--disable-settings-metrics',
      `--extend.query-path=${join(work, 'queries.yml')}`,
      `--web.listen-address=127.0.0.1:${exporterPort}`,
    ],
    {DATA_SOURCE_NAME: `host=${host} port=${port} user=metrics_end_to_end dbname=${database} sslmode=disable`},
  );
  await until(scrape, text => /^spine_events_total/m.test(text), 'the exporter serves the metrics');
  mkdirSync(join(work, 'data'));
  writeFileSync(
    join(work, 'prometheus.yml'),
    JSON.stringify({
      global: {scrape_interval: '1s', evaluation_interval: '1s'},
      rule_files: [join(monitoring, 'alerts.yml')],
      scrape_configs: [{job_name: 'spine', static_configs: [{targets: [`127.0.0.1:${exporterPort}`]}]}],
    }),
  );
  start('prometheus', [
    `--config.file=${join(work, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(work, 'data')}`,
    `--web.listen-address=127.0.0.1:${prometheusPort}`,
  ]);
});

after(async () => {
  await Promise.all(
    children.map(
      child =>
        new Promise(resolve => {
          if (child.exitCode !== null) return resolve();
          child.on('exit', resolve).kill('SIGTERM');
        }),
    ),
  );
});

test('the exporter serves each metric of the view, with its value, help and type', async () => {
  const text = await scrape();
  const rows = JSON.parse(
    psql(
      "SELECT jsonb_agg(jsonb_build_array(name, labels, value, help, type)) FROM spine.metrics WHERE name NOT LIKE 'spine_subscription%'",
    ),
  );
  rows.push(
    ...JSON.parse(
      psql(
        "SET ROLE metrics_end_to_end; SELECT jsonb_agg(jsonb_build_array(name, labels, value, help, type)) FROM spine.metrics WHERE name LIKE 'spine_subscription%'",
      ),
    ),
  );
  assert.ok(rows.length > 40);
  for (const [name, labels, value, help, type] of rows) {
    const label = Object.entries(labels)
      .map(([key, text]) => `${key}="${text.replace(/["\\]/g, '\\$&')}"`.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join(',');
    const told = valueOf(text, name, label);
    assert.ok(
      Math.abs(told - value) <= Math.abs(value) * 1e-6,
      `${name} ${JSON.stringify(labels)}: ${told} for ${value}`,
    );
    assert.ok(text.includes(`# HELP ${name} ${help}\n`), `${name}: its help`);
    assert.ok(text.includes(`# TYPE ${name} ${type}\n`), `${name}: its type`);
  }
  assert.equal(
    valueOf(text, 'spine_subscription_events_behind', 'subscription="bank \\\\"1\\\\""'),
    25 +
      Number(psql("SELECT count(*) FROM spine.events WHERE organization_id = '00000000-0000-0000-0000-000000000000'")),
  );
  // Nothing that the exporter has besides is missing in the view.
  const known = new Set(rows.map(([name]) => name));
  for (const [, name] of text.matchAll(/^# TYPE (spine_\w+) /gm))
    assert.ok(known.has(name) || /signed_checkpoint/.test(name), name);
});

test('the rules are right, and do what their tests say', () => {
  assert.match(promtool('check', 'rules', join(monitoring, 'alerts.yml')), /9 rules found/);
  assert.match(promtool('test', 'rules', join(monitoring, 'alerts_test.yml')), /SUCCESS/);
});

test('the dashboard is one', async () => {
  const dashboard = JSON.parse(readFileSync(join(monitoring, 'dashboard.json'), 'utf8'));
  for (const [key, kind] of Object.entries({
    uid: 'string',
    title: 'string',
    schemaVersion: 'number',
    version: 'number',
    refresh: 'string',
    time: 'object',
    templating: 'object',
    panels: 'object',
    annotations: 'object',
  })) {
    assert.equal(typeof dashboard[key], kind, key);
  }
  assert.deepEqual(
    dashboard.templating.list.map(({name, type}) => [name, type]),
    [
      ['datasource', 'datasource'],
      ['instance', 'query'],
    ],
  );
  assert.equal(new Set(dashboard.panels.map(({id}) => id)).size, dashboard.panels.length);
  const cells = new Set();
  for (const {
    title,
    type,
    gridPos: {x, y, w, h},
    targets,
    datasource,
    fieldConfig,
  } of dashboard.panels) {
    assert.ok(title && ['stat', 'timeseries', 'table'].includes(type), title);
    assert.ok(x >= 0 && w > 0 && x + w <= 24 && h > 0, title);
    for (let i = x; i < x + w; i++)
      for (let j = y; j < y + h; j++) {
        assert.ok(!cells.has(`${i} ${j}`), `${title} lies upon another`);
        cells.add(`${i} ${j}`);
      }
    assert.deepEqual(datasource, {type: 'prometheus', uid: '${datasource}'});
    assert.equal(typeof fieldConfig.defaults.unit, 'string');
    assert.equal(new Set(targets.map(({refId}) => refId)).size, targets.length);
    for (const {expr} of targets) {
      const {status, data} = await until(
        () => api(`query?query=${encodeURIComponent(expr.replace('$instance', '.*').replaceAll('[5m]', '[1m]'))}`),
        ({status}) => status,
        expr,
      );
      assert.equal(status, 'success', expr);
      if (!/> 0$|signed_checkpoint|rate\(/.test(expr))
        await until(
          () => api(`query?query=${encodeURIComponent(expr.replace('$instance', '.*'))}`),
          ({data}) => data?.result.length > 0,
          `${title} shows something`,
        );
      assert.ok(data);
    }
  }
});

test('a tampered chain raises the alert', async () => {
  const firing = name => async () =>
    (await api('alerts')).data.alerts.filter(({labels, state}) => labels.alertname === name && state === 'firing');
  await until(
    () => api('query?query=spine_events_total'),
    ({data}) => data?.result.length === 1,
    'Prometheus has scraped',
  );
  await until(
    async () =>
      (await api('rules')).data.groups[0].rules.every(({lastEvaluation}) => !lastEvaluation.startsWith('0001')),
    all => all === true,
    'the rules were evaluated',
  );
  assert.deepEqual([await firing('SpineChainFaulty')(), await firing('SpineGuardBroken')()], [[], []]);
  const triggers = "tgrelid IN ('spine.events'::regclass, 'spine.events_default'::regclass)";
  psql(`UPDATE pg_trigger SET tgenabled = 'D' WHERE ${triggers}`);
  psql(`UPDATE spine.events SET payload = '{"salary": 1}' WHERE organization_id = '${acme}' AND sequence = 7`);
  const [{labels}] = await until(
    firing('SpineGuardBroken'),
    alerts => alerts.length > 0,
    'the broken guards raise theirs',
  );
  assert.equal(labels.severity, 'critical');
  psql(`UPDATE pg_trigger SET tgenabled = 'A' WHERE ${triggers}`);
  psql('SELECT count(*) FROM spine.record_verification()');
  const [alert] = await until(firing('SpineChainFaulty'), alerts => alerts.length > 0, 'the chain raises its alert');
  assert.match(alert.annotations.summary, /^1 chains of 127\.0\.0\.1:\d+ have faults$/);
  await until(firing('SpineGuardBroken'), alerts => alerts.length === 0, 'the guards are in force again');
});
