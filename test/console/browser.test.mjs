// The console in real Chromium: that its pages show what they should, that nothing in the database is ever run, and that
// people can use it.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {mkdirSync, readFileSync, readdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import axe from 'axe-core';
import puppeteer from 'puppeteer-core';
import {acme, ada, database, globex, hostile, password, start} from './setting.mjs';

const work = process.env.WORK;
const employee = '00000000-0000-4000-8000-0000000000e1';
const captured = '00000000-0000-4000-8000-0000000000e2';
const cruel = '00000000-0000-4000-8000-0000000000e3';
const hostileRole = '<img src=x onerror=alert(3)>';

let db, console_, browser, tab;
const outside = []; // requests to anywhere but the console
const troubles = []; // errors and dialogs in the page

before(async () => {
  db = await database('console_browser');
  await db.past(900, 3, 30);
  await db.role('auditor', ['grant_auditor', 'true']);
  await db.role('clerk', ['grant_reader', `ARRAY['${acme}']::uuid[]`]);
  await db.emit(
    acme,
    'hcm.employee.created',
    employee,
    {name: 'Ada', salary: 120000.5, big: 1},
    {personal: {born: '1815-12-10'}},
  );
  await db.emit(
    acme,
    'hcm.employee.promoted',
    employee,
    {grade: 7},
    {severity: 'critical', actor: '00000000-0000-4000-8000-0000000000b2'},
  );
  await db.sql(
    `SELECT spine.emit_event('hcm.employee.weighed', entity_id => $1, organization_id => $2, actor_id => $3,
    payload => '{"exact": 12345678901234567890.0000000000001, "z": {"b": [1.0, 2e3], "a": "é"}, "10": 1, "9": 2}')`,
    [employee, acme, ada],
  );

  // A captured table.
  await db.sql('CREATE TABLE employee (id uuid PRIMARY KEY, organization_id uuid, name text, salary numeric)');
  await db.sql(
    "SELECT spine.capture_changes('employee', 'hcm', 'employee', 'id', 'organization_id', personal => '{name}')",
  );
  await db.sql(`SET people_os_spine.actor_id = '${ada}'`);
  await db.sql('INSERT INTO employee VALUES ($1, $2, $3, 100)', [captured, acme, 'Bob']);
  await db.sql("UPDATE employee SET salary = 250 WHERE name = 'Bob'");
  await db.sql("UPDATE employee SET name = 'Rob' WHERE name = 'Bob'");

  // What means harm, wherever a text can stand.
  await db.emit(
    acme,
    'hcm.cruel.said',
    cruel,
    {
      [hostile.replaceAll('\u0007', '')]: hostile.replaceAll('\u0007', ''),
      __proto__x: 1,
      list: [hostile.replaceAll('\u0007', '')],
      nested: {deep: {[`${hostile.slice(0, 20)}`]: 'x'}},
      long: 'x'.repeat(60_000),
    },
    {personal: {name: hostile.replaceAll('\u0007', '')}},
  );
  await db.sql(
    `SELECT spine.emit_event('hcm.cruel.said', entity_id => $1, organization_id => $2, actor_id => $3, payload => '{"__proto__": {"polluted": true}, "constructor": "x", "toString": "y"}')`,
    [cruel, acme, ada],
  );
  await db.role(hostileRole);
  await db.sql(`ALTER ROLE "${hostileRole}" SUPERUSER`);
  const other = await db.connect({user: hostileRole, password});
  await other.query('SELECT spine.emit_event($1, entity_id => $2, organization_id => $3, actor_id => $4)', [
    'hcm.cruel.logged',
    cruel,
    acme,
    ada,
  ]);
  await other.query(`SELECT spine.create_subscription($1, from_now => true)`, [`sub ${hostileRole}`]);
  await other.end();
  await db.sql(`GRANT "${hostileRole}" TO auditor`);
  await db.role('legal_office', ['grant_hold_keeper']);
  await db.sql("SELECT spine.grant_eraser('legal_office')");
  await db.sql('SELECT spine.place_hold($1, $2, domain => $3)', [
    acme,
    `case ${hostile.replaceAll('\u0007', '')}`,
    'finance',
  ]);

  // Something is erased.
  const id = await db.emit(acme, 'hcm.employee.visited', employee, {room: 7}, {personal: {doctor: 'Dr. No'}});
  await db.sql("SELECT spine.erase_events($1, ARRAY[$2]::uuid[], $3, '{payload,personal}')", [
    acme,
    id,
    `request ${hostile.replaceAll('\u0007', '')}`,
  ]);
  await db.sql('SELECT spine.refresh_dashboards()');
  await db.sql('SELECT count(*) FROM spine.record_verification()');

  console_ = await start(db.name, '--writes');
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    protocolTimeout: 300_000,
    // The suite may run as root or without namespaces, where Chromium has no sandbox; the pages are the test's own.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
    userDataDir: join(work, 'profile'),
  });
  await openTab();
  await logIn('auditor');
});

after(async () => {
  await browser?.close();
  await console_?.stop();
  await db?.end();
});

async function openTab(viewport = {width: 1200, height: 900}) {
  await tab?.close();
  tab = await browser.newPage();
  await tab.setViewport(viewport);
  await tab.bringToFront();
  tab.on('pageerror', error => troubles.push(`error: ${error.message}`));
  tab.on('console', message => {
    if (message.type() === 'error' && !/status of (4|5)\d\d/.test(message.text()))
      troubles.push(`console: ${message.text()}`);
  });
  tab.on('dialog', dialog => {
    troubles.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  tab.on('request', request => {
    if (!request.url().startsWith(`${console_.origin}/`) && !/^(data|blob):/.test(request.url()))
      outside.push(request.url());
  });
}

async function logIn(user) {
  await tab.goto(`${console_.origin}/`);
  await tab.waitForSelector('#user');
  await tab.type('#user', user);
  await tab.type('#password', password);
  await tab.keyboard.press('Enter');
  await ready();
  await tab.waitForSelector('#top:not([hidden])');
}

const ready = () => tab.waitForSelector('main[data-state=ready]', {timeout: 60_000});

async function open(path) {
  await tab.goto(console_.origin + path);
  await ready();
}

const text = (selector = 'main') => tab.$eval(selector, element => element.innerText);
const texts = selector => tab.$$eval(selector, elements => elements.map(element => element.innerText.trim()));
// By the clock: a tab that is not in front draws nothing. A condition that throws is never asked again: the page may be empty.
const until = (condition, ...values) =>
  tab.waitForFunction(condition, {timeout: 60_000, polling: 50}, ...values).catch(async error => {
    const page = await tab.evaluate(
      () =>
        `${location.href}, at ${document.activeElement.outerHTML.slice(0, 200)}: ${document.body.innerText.slice(0, 2000)}`,
    );
    throw new Error(`${error.message}: ${condition}: ${page}`);
  });

// Follows a link or presses a button by its text.
async function press(name, within = 'main') {
  const found = await tab.evaluateHandle(
    (name, within) =>
      [...document.querySelectorAll(`${within} a, ${within} button, ${within} summary`)].find(
        element => element.innerText.trim() === name && !element.disabled,
      ),
    name,
    within,
  );
  assert.ok(found.asElement(), `there is ${name} to press`);
  await found.asElement().click();
}

const sequenceOf = async (type, where = 'true') =>
  (
    await db.sql(
      `SELECT sequence FROM spine.events WHERE event_type = $1 AND ${where} ORDER BY sequence DESC LIMIT 1`,
      [type],
    )
  )[0].sequence;

// ---- The pages

test('who logs in wrongly is told so, and comes to the overview with the right password', async () => {
  await openTab();
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.goto(`${console_.origin}/chains`);
  await page.waitForSelector('#user');
  await page.type('#user', 'auditor');
  await page.type('#password', 'wrong');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.trouble');
  assert.match(await page.$eval('.trouble', element => element.innerText), /does not take this user and password/);
  await page.type('#password', password);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('h1')?.innerText === 'Chains');
  // No script reaches the cookie, and nothing else is kept.
  assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]), [
    '',
    0,
    0,
  ]);
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.session], [true, 'Strict', true]);
  await page.evaluate(() =>
    [...document.querySelectorAll('button')].find(({innerText}) => innerText === 'Log out').click(),
  );
  await page.waitForSelector('#user');
  await context.close();
});

test('one look at the overview tells what waits', async () => {
  await open('/');
  await until(() => document.querySelector('.banner .big')?.innerText.includes('Looking') === false);
  assert.match(await text('.banner'), /All is well/);
  const told = await text();
  assert.match(told, /intact when last verified/);
  assert.match(told, /All guards are in force/);
  assert.match(told, /No open finding/);
  assert.equal((await tab.$$('.plot canvas')).length, 2);
  const sum = (await texts('.legend li'))
    .slice(0, 4)
    .reduce((all, line) => all + Number(/[\d,]+$/.exec(line)?.[0].replaceAll(',', '') ?? 0), 0);
  const [{events}] = await db.sql(
    'SELECT count(*)::int AS events FROM spine.events WHERE "timestamp" >= (now() AT TIME ZONE \'UTC\')::date - 29',
  );
  assert.equal(sum, events, 'the plot counts every event');

  await db.emit(globex, 'hcm.employee.created', employee);
  await open('/');
  await until(() => /waits/.test(document.querySelector('.banner .big')?.innerText));
  assert.match(await text('.banner'), /1 thing waits for an answer/);
  await press('Look at the chains');
  await until(() => document.querySelector('h1')?.innerText === 'Chains');
  await ready();
  assert.match(await text('.card:nth-of-type(2)'), /never verified/);
  assert.equal((await tab.$$('table.chains tbody tr')).length, 1);
});

test('the audit log is searched and turned', async () => {
  await open('/events');
  assert.equal((await tab.$$('main table tbody tr')).length, 50);
  await press('Older events');
  await until(() => document.querySelectorAll('main table tbody tr').length === 100);
  assert.equal(
    await tab.evaluate(() => document.activeElement.closest('tr') !== null),
    true,
    'the focus goes to the first new one',
  );
  const links = await tab.$$eval('main table tbody th a', all => all.map(({href}) => href));
  assert.equal(new Set(links).size, 100);

  await tab.select('#severity', 'critical');
  await tab.type('#type', 'hcm.employee');
  await tab.select('#organization', acme);
  await press('Search');
  await until(() => location.search.includes('severity=critical'));
  await ready();
  assert.deepEqual(await texts('main table tbody th'), ['hcm.employee.promoted']);
  assert.equal(await tab.$eval('#severity', ({value}) => value), 'critical');
  await tab.goBack();
  await until(() => location.search === '');
  await ready();
  assert.equal((await tab.$$('main table tbody tr')).length, 50, 'back is back');

  await open('/events?type=nothing.of.that');
  assert.match(await text(), /No event matches/);
  await open('/events?actor=x');
  assert.match(await text('.trouble'), /no UUID/);
  await open(`/events?from=2020-01-01T00:00&to=2020-01-02T00:00`);
  assert.match(await text(), /No event matches/);
});

test("an event's hashes are computed in the browser, and are right", async () => {
  for (const type of ['hcm.employee.created', 'hcm.employee.promoted', 'hcm.employee.weighed', 'hcm.cruel.said']) {
    await open(`/events/${acme}/${await sequenceOf(type, `organization_id = '${acme}'`)}`);
    assert.equal(await tab.$eval('#hashes', ({dataset}) => dataset.right), 'yes', type);
    assert.match(await text('#hashes'), /computed the hashes anew/);
    assert.ok(
      (await texts('#hashes .mark')).slice(1).every(mark => mark === '✓ equal'),
      type,
    );
  }
  await open(`/events/${acme}/${await sequenceOf('hcm.employee.weighed')}`);
  assert.match(await text(), /12345678901234567890\.0000000000001/, 'no digit is lost');
  const around = await texts('table.neighbours tbody tr');
  assert.ok(around.every(row => /holds the hash of the one before|the first event/.test(row)));
  await tab.click('table.neighbours tbody th a');
  await until(() => (document.querySelector('h1')?.innerText ?? 'hcm.employee.weighed') !== 'hcm.employee.weighed');
});

test('what was erased, and what is withheld, is shown as such, and the hashes are right all the same', async () => {
  await open(`/events/${acme}/${await sequenceOf('hcm.employee.visited')}`);
  const told = await text();
  assert.match(told, /Erased on/);
  assert.match(told, /Reason: request </);
  assert.doesNotMatch(told, /Dr\. No|room/);
  assert.equal(await tab.$eval('#hashes', ({dataset}) => dataset.right), 'yes');
  const context = await browser.createBrowserContext();
  const [mine, page] = [tab, await context.newPage()];
  tab = page;
  await logIn('clerk');
  await open(`/events/${acme}/1`);
  assert.match(await text(), /Withheld/);
  assert.doesNotMatch(await text(), /1815/);
  assert.equal(await tab.$eval('#hashes', ({dataset}) => dataset.right), 'yes');
  // A clerk sees one organization, which is chosen.
  await open('/events');
  assert.deepEqual(await tab.$$eval('#organization option', options => options.map(({value}) => value)), [acme]);
  assert.ok((await tab.$$('main table tbody tr')).length > 5);
  await open('/');
  await until(() => document.querySelector('.banner .big')?.innerText.includes('Looking') === false);
  assert.match(await text('.banner'), /as far as you may see|wait/);
  assert.match(await text('.trouble'), /Your role may not see or do this/);
  tab = mine;
  await context.close();
});

test('an entity has its timeline, its changes, and its row at each moment', async () => {
  await open('/entities');
  await tab.type('#type', 'hcm.employee');
  await tab.type('#id', captured.toUpperCase());
  await press('Show its history');
  await until(() => document.querySelectorAll('ol.timeline > li').length === 3);
  await until(() => /Rob/.test(document.querySelector('table.row')?.innerText));
  const changes = await texts('table.changes');
  assert.match(changes[0], /name\s+Bob\s+Rob/);
  assert.match(changes[1], /salary\s+100\s+250/);
  assert.match(changes[2], /name\s+–\s+Bob/);
  await tab.focus('#moment');
  await tab.keyboard.press('Home');
  await until(
    () =>
      /Bob/.test(document.querySelector('table.row')?.innerText) &&
      /100/.test(document.querySelector('table.row')?.innerText),
  );
  await tab.keyboard.press('ArrowRight');
  await until(
    () =>
      /Bob/.test(document.querySelector('table.row')?.innerText) &&
      /250/.test(document.querySelector('tr.changed')?.innerText),
  );
  assert.match(
    await tab.$eval('#moment', range => range.getAttribute('aria-valuetext')),
    /UTC, hcm\.employee\.updated/,
  );
  await open(`/entities/hcm.employee/${employee}`);
  assert.match(await text(), /there is no row to show/);
  await open(`/entities/hcm.employee/${'0'.repeat(8)}-0000-4000-8000-000000000000`);
  assert.match(await text(), /no event about it/);
});

test('chains are verified live, and faults are named', async () => {
  await open('/chains');
  await press('Verify all chains now');
  await until(() => (document.querySelector('#verdict')?.innerText ?? '') !== '');
  assert.match(await text('#verdict'), /All 6 chains are intact: [\d,]+ events verified/);
  // Somebody alters an event behind the library's back.
  const sequence = await sequenceOf('hcm.employee.promoted');
  const intruder = await db.connect();
  const triggers = "tgrelid IN ('spine.events'::regclass, 'spine.events_default'::regclass)";
  await intruder.query(`UPDATE pg_trigger SET tgenabled = 'D' WHERE ${triggers}`);
  await intruder.end();
  const second = await db.connect();
  await second.query(`UPDATE spine.events SET payload = '{"grade": 9}' WHERE organization_id = $1 AND sequence = $2`, [
    acme,
    sequence,
  ]);
  await second.query(`UPDATE pg_trigger SET tgenabled = 'A' WHERE ${triggers}`);
  await second.end();
  await open(`/chains/${acme}`);
  await press('Verify this chain now');
  await until(() => (document.querySelector('#verdict')?.innerText ?? '') !== '');
  assert.match(await text('#verdict'), /1 chain of 1 has faults/);
  assert.match(await text('table.faults'), /content_altered/);
  await press(`no. ${sequence}`, '#verdict');
  await until(() => document.querySelector('#hashes'));
  assert.equal(await tab.$eval('#hashes', ({dataset}) => dataset.right), 'no');
  assert.match(await text('#hashes'), /the event was altered/);
  await tab.goBack();
  await ready();
});

test('evidence is downloaded, and the chain tells of it', async () => {
  await db.sql('SELECT * FROM spine.take_checkpoint()').catch(() => {});
  await db.sql(`SELECT spine.store_note(format(E'spine.example/payroll\\n%s\\n%s\\n\\n— spine.example/payroll %s\\n', number, encode(root, 'base64'),
    replace(encode('\\x01020304' || sha256('a') || sha256('b'), 'base64'), E'\\n', ''))) FROM spine.directory_checkpoints ORDER BY number DESC LIMIT 1`);
  const folder = join(work, 'downloads');
  rmSync(folder, {recursive: true, force: true});
  mkdirSync(folder);
  const session = await browser.target().createCDPSession();
  await session.send('Browser.setDownloadBehavior', {behavior: 'allow', downloadPath: folder});
  await open(`/chains/${globex}`);
  assert.match(await text('table.checkpoints'), /spine\.example\/payroll/);
  await press('Download the evidence');
  assert.equal(await tab.$eval('#reason', ({validity}) => validity.valid), false, 'a reason is required');
  await tab.type('#reason', 'audit 2026');
  await press('Download the evidence');
  await until(
    () =>
      /The bundle has|broke off/.test(document.querySelector('main')?.innerText) || document.querySelector('.trouble'),
  );
  assert.match(await text(), /The bundle has/);
  let names = [];
  for (let i = 0; i < 100 && !names.some(name => name.endsWith('.ndjson')); i++) {
    await new Promise(resolve => setTimeout(resolve, 50));
    names = readdirSync(folder);
  }
  const lines = readFileSync(join(folder, `evidence-${globex}.ndjson`), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line));
  assert.ok('evidence' in lines[0] && 'end' in lines.at(-1));
  const told = await db.sql(
    "SELECT payload ->> 'reason' AS reason, recorded_by FROM spine.events WHERE event_type = 'platform.evidence.exported'",
  );
  assert.deepEqual(told, [{reason: 'audit 2026', recorded_by: 'auditor'}]);
  // The verifier page is there, with its own policy.
  await tab.goto(`${console_.origin}/verifier`);
  assert.equal(await text('h1'), 'Check an evidence file');
});

test('the feed is live, and goes on after a pause without a gap', async () => {
  await open('/feed');
  await until(() => /Live/.test(document.querySelector('#state')?.innerText));
  const keys = () => tab.$$eval('#feed > li', items => items.map(({dataset}) => dataset.key));
  await db.emit(globex, 'feed.test.first', employee);
  await until(() => document.querySelectorAll('#feed > li').length === 1);
  await press('Pause');
  for (let i = 0; i < 5; i++) await db.emit(i % 2 ? acme : globex, 'feed.test.meanwhile', employee);
  await press('Go on');
  await until(() => document.querySelectorAll('#feed > li').length === 6);
  assert.equal(new Set(await keys()).size, 6);
  await tab.select('#severity', 'critical');
  await until(() => /^✓ Live$/.test(document.querySelector('#state')?.innerText?.trim()));
  await db.emit(globex, 'feed.test.low', employee);
  await db.emit(globex, 'feed.test.grave', employee, {}, {severity: 'critical'});
  await until(() => /feed\.test\.grave/.test(document.querySelector('#feed')?.innerText));
  assert.doesNotMatch(await text('#feed'), /feed\.test\.low/);
});

test('where the watch found nothing, the page of findings says so', async () => {
  await open('/findings');
  assert.match(await text(), /No finding is open\./);
  await open('/nonsense-that-is-none').catch(() => {});
});

test('findings are explained, closed with a reason, and make a risk', async () => {
  const own = await database('console_findings');
  const rule = {
    title: 'Who made it approved it <b>',
    level: 'high',
    detection: {s: {event_type: 'payroll.run.approved', 'payload.by|exists': true}, condition: 's'},
  };
  const tests = ['payroll.run.approved', 'payroll.run.created'].map((event_type, i) => ({
    name: event_type,
    finds: 1 - i,
    events: [{event_type, payload: {by: 'Ada'}}],
  }));
  await own.sql(`SET people_os_spine.actor_id = '${ada}'`);
  await own.sql('SELECT spine.set_rule($1, $2, $3, $4)', ['maker', JSON.stringify(rule), JSON.stringify(tests), 'a test']);
  await own.emit(acme, 'payroll.run.approved', employee, {by: 'Ada'});
  await own.emit(globex, 'payroll.run.approved', employee, {});
  assert.deepEqual(await own.sql('SELECT findings FROM spine.run_watch()'), [{findings: '1'}]);
  await own.role('auditor', ['grant_auditor', 'true']);
  const watching = await start(own.name, '--writes');
  const [mine, here, context] = [tab, console_, await browser.createBrowserContext()];
  console_ = watching;
  tab = await context.newPage();
  try {
    await logIn('auditor');
    await open('/');
    await until(() => /waits? for/.test(document.querySelector('.banner .big')?.innerText));
    assert.match(await text(), /1 high finding open/);
    await press('Look at the findings');
    await until(() => document.querySelector('h1')?.innerText === 'Findings');
    await ready();
    assert.match(await text('table.findings'), /Who made it approved it <b>: event 1/);
    assert.match(await text('table.risks'), /28\s+1/);
    assert.deepEqual(await axeFinds(), []);
    await open(`/findings?organization=${acme}`);
    assert.match(await text('table.risks'), /payroll\.run\.approved\s+28\s+1/);
    await press('Who made it approved it <b>');
    await until(() => document.querySelector('h1')?.innerText === 'Who made it approved it <b>');
    assert.match(await text('table.events'), /payroll\.run\.approved[^]*by\s+Ada[^]*unchanged/);
    assert.deepEqual(await axeFinds(), []);
    await tab.select('#verdict', 'dismissed');
    await tab.type('#reason', 'She had nobody else');
    await press('Close the finding');
    assert.equal(await tab.$eval('#actor', ({validity}) => validity.valid), false, 'a person answers for it');
    await tab.type('#actor', ada);
    await press('Close the finding');
    await until(() => /She had nobody else/.test(document.querySelector('main')?.innerText));
    assert.deepEqual(await own.sql('SELECT verdict, reason, closed_by FROM spine.findings'), [
      {verdict: 'dismissed', reason: 'She had nobody else', closed_by: ada},
    ]);
    await open('/findings');
    assert.match(await text(), /No finding is open/);
    assert.match(await text(), /there is no risk to tell/);
    await open('/findings?all=yes');
    assert.match(await text('table.findings'), /dismissed/);
  } finally {
    [tab, console_] = [mine, here];
    await context.close();
    await watching.stop();
    await own.end();
  }
});

test('a session that has ended asks to log in again, where one was', async () => {
  const context = await browser.createBrowserContext();
  const [mine, page] = [tab, await context.newPage()];
  tab = page;
  await logIn('clerk');
  await open('/chains');
  await context.deleteCookie(...(await context.cookies()));
  await press('Events', '#top');
  await tab.waitForSelector('#user');
  assert.match(await text(), /Your session has ended/);
  await tab.type('#user', 'clerk');
  await tab.type('#password', password);
  await tab.keyboard.press('Enter');
  await until(() => document.querySelector('h1')?.innerText === 'Events');
  tab = mine;
  await context.close();
});

// ---- Harm

test('nothing that stands in the database is more than text', async () => {
  troubles.length = 0;
  const said = await db.sql('SELECT sequence FROM spine.events WHERE entity_id = $1 ORDER BY sequence', [cruel]);
  const erasure = await sequenceOf('platform.personal.erased');
  const pages = [
    '/',
    '/events',
    `/events?entity=${cruel}`,
    ...said.map(({sequence}) => `/events/${acme}/${sequence}`),
    `/events/${acme}/${erasure}`,
    `/entities/hcm.cruel/${cruel}`,
    '/chains',
    `/chains/${acme}`,
    '/feed',
    `/events?type=${encodeURIComponent(hostile)}`,
    `/events?organization=${encodeURIComponent(hostile)}`,
    `/entities/${encodeURIComponent(hostile)}/x`,
    `/chains/${encodeURIComponent(hostile)}`,
    `/findings/${encodeURIComponent(hostile)}`,
  ];
  for (const path of pages) {
    await open(path);
    await tab.$$eval('main details', all =>
      all.forEach(details => {
        details.open = true;
      }),
    );
    const strange = await tab.evaluate(() =>
      [
        ...document.querySelectorAll(
          'main img, main script, main iframe, main svg, main style, main [onerror], main a[href^="javascript:"], main object',
        ),
      ].map(({outerHTML}) => outerHTML),
    );
    assert.deepEqual(strange, [], path);
    assert.equal(await tab.evaluate(() => ({}).polluted), undefined, path);
  }
  await open(`/events/${acme}/${said[0].sequence}`);
  const shown = await text();
  assert.ok(
    shown.includes('<img src=x onerror="alert(1)"><script>alert(2)</script>{{7*7}}⟨U+202E⟩'),
    'it is shown as it is, and what turns the text around by its number',
  );
  await open(`/events/${acme}/${said[2].sequence}`);
  assert.ok((await text()).includes(hostileRole));
  await open(`/events/${acme}/${said[1].sequence}`);
  assert.match(await text(), /__proto__/);
  assert.equal(await tab.$eval('#hashes', ({dataset}) => dataset.right), 'yes');
  assert.deepEqual(troubles, []);
  assert.deepEqual(outside, []);
});

test('the policy holds, were something inserted all the same', async () => {
  await open('/');
  const before = troubles.length;
  const ran = await tab.evaluate(async () => {
    const tries = [];
    const script = document.createElement('script');
    const image = document.createElement('img');
    document.querySelector('main').append(script, image);
    for (const run of [
      () => {
        document.querySelector('main').innerHTML = '<b>x</b>';
      },
      () => {
        script.text = 'document.title = "ran"';
      },
      () => setTimeout('document.title = "ran"'),
      () => fetch('http://evil.example/'),
      () =>
        new Promise((resolve, reject) =>
          Object.assign(image, {onload: resolve, onerror: reject, src: 'http://evil.example/x.png'}),
        ),
    ]) {
      try {
        await run();
        tries.push('ran');
      } catch {
        tries.push('refused');
      }
    }
    return [...tries, document.title];
  });
  assert.deepEqual(ran, ['refused', 'refused', 'refused', 'refused', 'refused', 'Overview – console']);
  assert.deepEqual(
    outside.filter(url => !url.includes('evil.example')),
    [],
  );
  troubles.length = before;
});

// ---- People

const rules = {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']};

async function axeFinds() {
  // The page's policy keeps the test's script out, too, so it runs beside the page's scripts, in a world of its own.
  const session = await tab.createCDPSession();
  const {frameTree} = await session.send('Page.getFrameTree');
  const {executionContextId} = await session.send('Page.createIsolatedWorld', {
    frameId: frameTree.frame.id,
    worldName: 'axe',
  });
  const evaluate = async expression => {
    const {result, exceptionDetails} = await session.send('Runtime.evaluate', {
      expression,
      contextId: executionContextId,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  await evaluate(`${axe.source}; 0`);
  const {violations, passes} = await evaluate(
    `axe.run(document, ${JSON.stringify(rules)}).then(({violations, passes}) => ({passes: passes.length, violations: violations.map(({id, nodes}) => ({id, nodes: nodes.slice(0, 3).map(({html, failureSummary}) => html.slice(0, 150) + ' ' + failureSummary)}))}))`,
  );
  await session.detach();
  assert.ok(passes > 15);
  return violations;
}

const shots = process.env.SHOTS;

for (const [device, viewport] of [
  ['desk', {width: 1200, height: 900}],
  ['phone', {width: 320, height: 640, isMobile: true, hasTouch: true}],
]) {
  for (const scheme of ['light', 'dark']) {
    test(`people can use it: ${device}, ${scheme}`, async () => {
      await openTab(viewport);
      await tab.emulateMediaFeatures([{name: 'prefers-color-scheme', value: scheme}]);
      const look = async name => {
        assert.deepEqual(await axeFinds(), [], name);
        assert.ok(
          await tab.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth),
          `${name} scrolls sideways`,
        );
        if (!shots) return;
        mkdirSync(shots, {recursive: true});
        await tab.screenshot({path: join(shots, `${name}-${device}-${scheme}.png`), fullPage: true});
      };
      const said = await sequenceOf('hcm.cruel.said');
      for (const [name, path] of Object.entries({
        overview: '/',
        events: '/events',
        nothing: '/events?type=nothing.of.that',
        trouble: '/events?actor=x',
        event: `/events/${acme}/1`,
        erased: `/events/${acme}/${await sequenceOf('hcm.employee.visited')}`,
        cruel: `/events/${acme}/${said - 1}`,
        entities: '/entities',
        entity: `/entities/hcm.employee/${captured}`,
        chains: '/chains',
        chain: `/chains/${acme}`,
        findings: '/findings',
      })) {
        await open(path);
        if (name === 'overview') {
          await until(() => document.querySelector('.banner .big')?.innerText.includes('Looking') === false);
          await tab.$$eval('details', all =>
            all.forEach(details => {
              details.open = true;
            }),
          );
        }
        await look(name);
      }
      await press('Verify this chain now').catch(async () => {
        await open(`/chains/${acme}`);
        await press('Verify this chain now');
      });
      await until(() => (document.querySelector('#verdict')?.innerText ?? '') !== '');
      await look('verified');
      await open('/feed');
      await db.emit(globex, 'feed.test.look', employee, {}, {severity: 'high'});
      await until(() => document.querySelectorAll('#feed > li').length > 0);
      await look('feed');
      const context = await browser.createBrowserContext();
      const mine = tab;
      tab = await context.newPage();
      await tab.setViewport(viewport);
      await tab.emulateMediaFeatures([{name: 'prefers-color-scheme', value: scheme}]);
      await tab.goto(`${console_.origin}/`);
      await tab.waitForSelector('#user');
      await look('login');
      tab = mine;
      await context.close();
    });
  }
}

test('the keyboard reaches all of it', async () => {
  await openTab();
  await open('/events');
  const focused = () =>
    tab.evaluate(() => {
      const {id, innerText, tagName} = document.activeElement;
      return id || innerText.trim() || tagName;
    });
  await tab.keyboard.press('Tab');
  assert.equal(await focused(), 'Skip to the content');
  const order = [];
  for (let i = 0; i < 18; i++) {
    await tab.keyboard.press('Tab');
    order.push(await focused());
    assert.ok(
      await tab.evaluate(() => {
        const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
        return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
      }),
      `the focus shows on ${order.at(-1)}`,
    );
  }
  assert.deepEqual([...new Set(order)].slice(0, 12), [
    'Overview',
    'Events',
    'Entities',
    'Chains',
    'Findings',
    'Feed',
    'Log out',
    'organization',
    'entity',
    'actor',
    'type',
    'severity',
  ]);
  await tab.focus('#type');
  await tab.keyboard.type('hcm.employee.promoted');
  await tab.keyboard.press('Enter');
  await until(() => location.search.includes('promoted'));
  await ready();
  assert.equal(await tab.evaluate(() => document.activeElement.tagName), 'H1', "the reader is at the page's title");
  await tab.focus('main table tbody th a');
  await tab.keyboard.press('Enter');
  await until(() => document.querySelector('h1')?.innerText === 'hcm.employee.promoted');
  assert.equal(await tab.evaluate(() => document.activeElement.tagName), 'H1');
  assert.match(await tab.title(), /hcm\.employee\.promoted no\. \d+ – console/);
});
