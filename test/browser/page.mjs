// Tests tools/spine-verify.html (PAGE) in real Chromium: what it says of files that bundle.mjs writes, good and bad ones;
// that nothing in a file is ever run or sent anywhere; and that people can use it.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdirSync, openSync, readFileSync, writeFileSync, writeSync, closeSync} from 'node:fs';
import {createServer} from 'node:http';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import axe from 'axe-core';
import puppeteer from 'puppeteer-core';
import {Digits, Key, bundle, canonical, chain, event, fileOf, hugeChain, sha256, uuid} from './bundle.mjs';

const work = process.env.WORK;
const pagePath = process.env.PAGE;
const tools = process.env.SPINE_TOOLS;
const html = readFileSync(pagePath, 'utf8');

// ---- The browser

let browser, tab, server, origin;
const requests = [];   // what anything asked of the server, which stands for the whole network
const troubles = [];   // errors and dialogs in the page

before(async () => {
  server = createServer((request, response) => {
    requests.push(request.url);
    response.end();
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${server.address().port}`;
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', protocolTimeout: 600000,
    // The suite may run as root or without namespaces, where Chromium has no sandbox; the files are the test's own.
    args: ['--no-sandbox', '--disable-dev-shm-usage', `--host-resolver-rules=MAP * 127.0.0.1:${server.address().port}`], userDataDir: join(work, 'profile'),
  });
  await openTab();
});

after(async () => {
  await browser?.close();
  server?.close();
});

async function openTab(viewport = {width: 1200, height: 900}) {
  await tab?.close();
  tab = await browser.newPage();
  await tab.setViewport(viewport);
  tab.on('pageerror', error => troubles.push(`error: ${error.message}`));
  tab.on('dialog', dialog => {
    troubles.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  await tab.setRequestInterception(true);
  tab.on('request', request => {
    // A frame that is refused shows pictures of the browser's own as data.
    if (/^(file|blob|data):/.test(request.url())) return request.continue();
    requests.push(request.url());
    return request.abort();
  });
  await tab.goto(pathToFileURL(pagePath).href);
}

let written = 0;
function write(content) {
  const path = join(work, `${++written}.ndjson`);
  writeFileSync(path, content);
  return path;
}

async function setTrust(text) {
  await tab.$eval('#trust', (field, value) => {
    field.value = value;
    field.dispatchEvent(new Event('input'));
  }, text);
}

// Opens a file (its path, its text, or its lines) with that trust, and tells what the page says.
async function judge(file, trust = '') {
  const path = Array.isArray(file) ? write(fileOf(file)) : file.startsWith('/') ? file : write(file);
  await tab.$eval('#trust', (field, value) => { field.value = value; }, trust);
  await tab.$eval('#result', result => { result.hidden = true; });
  await tab.$eval('#events', list => list.replaceChildren());
  await (await tab.$('#file')).uploadFile(path);
  const answer = await settled();
  compare(path, trust, answer);
  return answer;
}

// Where spine-verify was built (SPINE_TOOLS is its folder), each file that the page judges is judged by it, too: two
// programs that were written apart must say the same.
const compared = {files: 0, events: 0};
function compare(path, trust, answer) {
  if (!tools || trust.trim() === '' || answer.fault !== null || answer.page.includes(' of ') && !answer.page.endsWith(` of ${answer.events.length}`)) return;
  const policyPath = join(work, 'policy');
  writeFileSync(policyPath, /[ \t\n]/.test(trust.trim()) ? trust : `log ${trust.trim()}\nquorum none\n`);
  const run = spawnSync(join(tools, 'spine-verify'), ['--json', '--events', '--policy', policyPath, path], {encoding: 'utf8', maxBuffer: 1 << 28});
  const said = run.stdout.split('\n').slice(0, -1).map(line => JSON.parse(line.replace(/"sequence":(\d+)/g, '"sequence":"$1"')));
  const all = kind => said.filter(line => line[kind]).map(line => line[kind]);
  const [result] = all('result');
  const context = () => `${path}: spine-verify says ${run.stdout.slice(0, 3000)}${run.stderr} and the page ${JSON.stringify(answer).slice(0, 3000)}`;
  assert.equal({proved: 'good', failed: 'bad', not_all_proved: 'none', unreadable: 'bad'}[result?.outcome], answer.state, context());
  const proved = all('event').map(({sequence, verdict}) => `${sequence} ${verdict === 'proved'}`);
  assert.deepEqual(answer.events.map(({text, state}) => `${/No\. (\d+)/.exec(text)[1]} ${state === 'good'}`), proved, context());
  const reasons = [...answer.checkReasons, ...answer.events.flatMap(event => event.reasons.split(' '))]
    .filter(reason => reason !== '');
  if (result.outcome !== 'unreadable') assert.deepEqual([...new Set(reasons)].sort(), [...new Set(all('failure').map(({reason}) => reason))].sort(), context());
  compared.files++;
  compared.events += proved.length;
}

async function settled() {
  await tab.waitForFunction(() => (!document.getElementById('result').hidden && document.getElementById('page').textContent !== ''
    && document.activeElement.id === 'banner') || /^Something failed/.test(document.getElementById('status').textContent), {timeout: 300000});
  return told();
}

const told = () => tab.evaluate(() => {
  const text = element => element.innerText.trim();
  const at = id => document.getElementById(id);
  const state = element => ['good', 'bad', 'none'].find(name => element.classList.contains(name));
  return {
    state: state(at('banner')), title: text(at('banner-title')), text: text(at('banner-text')), reason: at('banner').dataset.reason, status: text(at('status')),
    checks: [...document.querySelectorAll('#checks > li')].map(item => state(item.querySelector('.mark'))).join(' '),
    checkReasons: [...document.querySelectorAll('#checks > li')].map(item => item.dataset.reason),
    events: [...document.querySelectorAll('#events > li')].map(item => ({state: state(item), reasons: item.dataset.reasons, text: text(item.querySelector('summary'))})),
    fault: at('trust-fault').hidden ? null : text(at('trust-fault')), page: text(at('page')),
  };
});

// Opens the n-th event that is shown, and gives its text.
async function openEvent(number) {
  const item = `#events > li:nth-child(${number})`;
  await tab.$eval(`${item} > details`, details => { details.open = true; });
  await tab.waitForSelector(`${item} .opened h3`);
  return tab.$eval(`${item} .opened`, body => body.innerText);
}

const states = answer => answer.events.map(({state}) => state).join(' ');

// ---- What is judged

const here = 'aaaaaaaa-0000-4000-8000-000000000001';
const there = 'bbbbbbbb-0000-4000-8000-000000000002';
const log = new Key('spine.example.com/hr');
const other = new Key('spine.example.com/hr', 1, 'somebody else');
const witnesses = ['w1.example.org', 'w2.example.org', 'w3.example.org'].map(name => new Key(name, 4));
const policy = `log ${log.vkey}\nquorum none\n`;

function database() {
  const list = Array.from({length: 13}, (_, i) => ({payload: {department: 'd-7', grade: i}, personal: {name: 'Ada', city: 'Łódź'}}));
  list[1] = {payload: {department: 'd-7'}, occurred_at: '2026-01-18T08:00:00.000000Z', correlation_id: uuid('c', 1)};
  list[7] = {event_type: 'platform.personal.erased', severity: 'high', payload: {by: 'privacy_office', erased: {personal: [{id: uuid('d', 3), sequence: 3}]}, reason: 'request 7'}};
  return [chain(here, list), chain(there, list.slice(0, 5)), chain('cccccccc-0000-4000-8000-000000000003', list.slice(0, 1))];
}
const chains = database();
const hide = sequence => sequence === 3n ? ['personal'] : sequence === 4n ? ['payload', 'personal'] : [];
const good = (more = {}) => bundle({chains, log, show: {[here]: [{stretch: [2, 9], hide}, {single: 11}, {single: 13}], [there]: [{stretch: [1, 5]}]}, ...more});
const allGood = 'good good good good good';

test('a good bundle is proved, and says so in one look', async () => {
  const answer = await judge(good(), policy);
  assert.equal(answer.state, 'good');
  assert.equal(answer.title, 'All 15 events are proved');
  assert.match(answer.text, /"spine\.example\.com\/hr" signed the state of 2026-01-19 10:30:00 UTC/);
  assert.equal(answer.checks, allGood);
  assert.equal(states(answer), Array(15).fill('good').join(' '));
});

test('an event is readable: what, about what, who, when, its values', async () => {
  const answer = await judge(good(), policy);
  assert.match(answer.events[0].text, /hcm\.employee\.created[^]*employee 00000000-0000-4000-8000-e00000000002[^]*2026-01-19 09:32:00 UTC[^]*severity low · by human/);
  const text = await openEvent(1);
  for (const part of ['Recorded at (timestamp)\t2026-01-19T09:32:00.000000Z', 'Who acted (actor_id)\t00000000-0000-4000-8000-a00000000001', 'Database role that recorded it (recorded_by)\tpayroll',
    'Happened at (occurred_at)\t2026-01-18T08:00:00.000000Z', 'department\td-7', `Hash of the event (event_hash)\t${chains[0].events[1].hash.toString('hex')}`]) {
    assert.ok(text.includes(part), `${part} in ${text}`);
  }
  assert.doesNotMatch(text, /Personal part/);
  assert.match(await openEvent(5), /Personal part: what it says of persons\ncity\tŁódź\nname\tAda/);
});

test('hashes are computed anew beside the claimed ones', async () => {
  await judge(good(), policy);
  const text = await openEvent(5);
  assert.equal(text.match(/✓ same/g).length, 5, text);
  assert.doesNotMatch(text, /different|not compared/);
  assert.match(await openEvent(9), /that event is not in the file/);
});

test('erased and withheld parts are told apart', async () => {
  const answer = await judge(good(), policy);
  assert.match(answer.events[1].text, /No\. 3[^]*personal part erased/);
  assert.match(answer.events[2].text, /No\. 4[^]*payload withheld, personal part withheld/);
  assert.doesNotMatch(answer.events[3].text, /erased|withheld/);
  assert.match(await openEvent(2), /Erased: event No\. 8 of this chain tells of it/);
  assert.match(await openEvent(3), /Withheld: whoever made this file left it out/);
  // Without the erasing event, or where it does not show what it says, nothing says that the part was erased.
  for (const show of [[{stretch: [2, 5], hide}], [{stretch: [2, 9], hide: sequence => sequence === 8n ? ['payload'] : hide(sequence)}]]) {
    assert.match((await judge(good({show: {[here]: show}}), policy)).events[1].text, /personal part withheld/);
  }
  // An erasure in another chain does not count.
  const elsewhere = await judge(good({show: {[here]: [{stretch: [2, 5], hide}], [there]: [{stretch: [1, 5]}]}}), policy);
  assert.match(elsewhere.events[1].text, /personal part withheld/);
});

test('an erasure that is not proved erases nothing', async () => {
  const lines = good();
  const at = lines.findIndex(line => line.includes('platform.personal.erased'));
  lines[at] = lines[at].replace('"sequence":3}', '"sequence":4}');
  const answer = await judge(lines, policy);
  assert.equal(answer.events[6].reasons, 'part_altered');
  assert.match(answer.events[1].text, /personal part withheld/);
  assert.match(answer.events[2].text, /personal part withheld/);
});

test('bundles of every place in trees of many sizes', async () => {
  for (let size = 1; size <= 17; size++) {
    const one = chain(here, Array(size).fill({}));
    for (const show of [[{stretch: [1, size]}], [{stretch: [size, size]}], [{stretch: [Math.ceil(size / 2), size]}], Array.from({length: size}, (_, i) => ({single: i + 1}))]) {
      const answer = await judge(bundle({chains: [one, ...chains.slice(1, 1 + size % 3)], log, show: {[here]: show}, earlier: size % 5, later: size % 4}), policy);
      assert.equal(answer.state, 'good', `${size}: ${JSON.stringify(show)}: ${answer.title} ${answer.text}`);
    }
  }
});

test('sizes and sequences beyond 2^53', async () => {
  const first = 9007199254740993n;
  for (const size of [first + 4n, 2n ** 60n + 12345n, 9223372036854775807n]) {
    const huge = hugeChain(here, size, first, Array(5).fill({payload: {number: 1}}));
    const lines = bundle({chains: [huge, ...chains.slice(1)], log, show: {[here]: [{stretch: true}]}});
    const answer = await judge(lines, policy);
    assert.equal(answer.title, 'All 5 events are proved', `${size}: ${answer.text}`);
    assert.match(answer.events[0].text, /No\. 9007199254740993/);
    // 9007199254740992 is the same double.
    const near = lines.map(line => line.startsWith('{"chain"') ? line.replace(String(size), String(size - 1n)) : line);
    assert.equal((await judge(near, policy)).state, 'bad');
    const shifted = lines.map(line => line.startsWith('{"stretch"') ? line.replace(`"first":${first}`, `"first":${first - 1n}`) : line);
    assert.equal((await judge(shifted, policy)).state, 'bad');
  }
  const beyond = good().map(line => line.startsWith('{"chain"') ? line.replace(/"size":\d+/, '"size":9223372036854775808') : line);
  const refused = await judge(beyond, policy);
  assert.equal(refused.reason, 'line_unexpected');
  assert.match(refused.text, /no whole number from 0 to 9223372036854775807/);
});

test('numbers that no double holds are hashed and shown digit by digit', async () => {
  const payload = {a: new Digits('12345678901234567890'), b: new Digits('0.1000000000000000055'), c: new Digits('1.5e-7'), d: new Digits('1e+21'), e: new Digits('-0.000001'), f: new Digits('100000000000000000000')};
  const lines = bundle({chains: [chain(here, [{payload}])], log, show: {[here]: [{stretch: [1, 1]}]}});
  assert.equal((await judge(lines, policy)).state, 'good');
  assert.match(await openEvent(1), /a\t12345678901234567890\nb\t0\.1000000000000000055\nc\t1\.5e-7\nd\t1e\+21\ne\t-0\.000001\nf\t100000000000000000000/);
  const answer = await judge(lines.map(line => line.replace('12345678901234567890', '12345678901234567891')), policy);
  assert.deepEqual(answer.events.map(({reasons}) => reasons), ['part_altered']);
});

test('texts of every kind are hashed as they stand', async () => {
  const payload = {'': '', '\u{1f600}': '\u{10ffff}', '\ufb01': '\ufffe', 'é': 'e\u0301', quote: '"\\/\b\f\n\r\t\u0001\u007f\u2028', deep: JSON.parse('['.repeat(200) + ']'.repeat(200))};
  const answer = await judge(bundle({chains: [chain(here, [{payload, event_type: 'hcm.employee.moved'}])], log, show: {[here]: [{single: 1}]}}), policy);
  assert.equal(answer.state, 'good', answer.text);
  assert.match(await openEvent(1), /⟨U\+FFFE⟩/);
});

// ---- Whom one trusts

test('without a policy nothing is judged, and a policy may come later', async () => {
  const answer = await judge(good());
  assert.equal(answer.title, 'Not judged yet');
  assert.equal(answer.checks, 'good none good good none');
  assert.equal(states(answer), Array(15).fill('none').join(' '));
  await setTrust(log.vkey);
  await tab.waitForSelector('#banner.good');
  assert.equal((await told()).checks, allGood);
  await setTrust('');
  await tab.waitForSelector('#banner.none');
});

test('a key alone is a policy', async () => {
  assert.equal((await judge(good(), ` ${log.vkey}\n`)).state, 'good');
});

test('a wrong key, another origin, a signature that was changed', async () => {
  for (const [lines, trust, text] of [
    [good(), other.vkey, /not signed by the key that you trust for "spine\.example\.com\/hr"/],
    [good({log: other}), log.vkey, /not signed by the key/],
    [good(), new Key('spine.example.com/elsewhere').vkey, /is of the log "spine\.example\.com\/hr"\. You trust "spine\.example\.com\/elsewhere"/],
    [good({origin: 'spine.example.com/elsewhere'}), log.vkey, /is of the log "spine\.example\.com\/elsewhere"/],
    [good().map(line => line.startsWith('{"checkpoint"') ? line.replace('\\n3\\n', '\\n4\\n') : line), log.vkey, /A signature that bears the name of a key you trust is wrong/],
    [good({log: Object.assign(new Key(log.name, 1, 'forger'), {id: log.id})}), log.vkey, /A signature that bears the name of a key you trust is wrong/],
    // A cosignature by the log's own name is not its signature.
    [good({log: new Key(log.name, 4)}), log.vkey, /not signed by the key/],
  ]) {
    const answer = await judge(lines, trust);
    assert.equal(answer.state, 'bad');
    assert.equal(answer.title, 'Nothing in this file is proved');
    assert.match(answer.text, text);
    assert.equal(answer.reason, 'checkpoint_untrusted');
    assert.doesNotMatch(states(answer), /good|none/);
  }
});

test('signatures of keys that are not known do not count, nor do they harm', async () => {
  assert.equal((await judge(good({witnesses: [other, new Key('x.example.net', 4)]}), policy)).state, 'good');
  assert.equal((await judge(good({extra: 'an extension line\n'}), policy)).state, 'good');
});

test('the quorum of witnesses', async () => {
  const [one, two, three] = witnesses;
  const lines = names => `# whom we trust\nlog ${log.vkey} https://log.example.com/\n${witnesses.map((key, i) => `witness\tw${i + 1} ${key.vkey}`).join('\n')}\n${names}\n`;
  for (const [signers, rule, state] of [
    [[one], 'quorum w1', 'good'], [[two], 'quorum w1', 'bad'], [[], 'quorum none', 'good'], [[two, one], 'group g all w1 w2\nquorum g', 'good'], [[two], 'group g all w1 w2\nquorum g', 'bad'],
    [[three], 'group g any w1 w2 w3\nquorum g', 'good'], [[], 'group g any w1 w2 w3\nquorum g', 'bad'], [[three, one], 'group g 2 w1 w2 w3\nquorum g', 'good'], [[three, three], 'group g 2 w1 w2 w3\nquorum g', 'bad'],
    [[two, three], 'group a any w1 w2\ngroup b all a w3\nquorum b', 'good'], [[one, two], 'group a any w1 w2\ngroup b all a w3\nquorum b', 'bad'],
  ]) {
    const answer = await judge(good({witnesses: signers}), lines(rule));
    assert.equal(answer.state, state, `${signers.map(({name}) => name)}: ${rule}: ${answer.fault ?? answer.text}`);
    assert.equal(answer.reason, state === 'bad' ? 'quorum_missing' : '');
  }
  const forged = Object.assign(new Key(one.name, 4, 'forger'), {id: one.id});
  assert.equal((await judge(good({witnesses: [forged]}), lines('quorum none'))).reason, 'checkpoint_untrusted');
});

test('policies that are none are refused, with the line and the reason', async () => {
  await judge(good(), policy);
  const changed = log.vkey.replace(/\+[0-9a-f]{8}\+/, '+00000000+');
  const mldsa = `ml.example.com+00000000+${Buffer.concat([Buffer.of(6), Buffer.alloc(1312)]).toString('base64')}`;
  for (const [text, why] of [
    ['quorum none', /names no log/], [`log ${log.vkey}`, /no quorum line/], [`log ${log.vkey}\nquorum none\nquorum none`, /Line 3: there is a quorum line/], [changed, /a part of the key was changed/],
    [`log ${log.vkey}\nlog ${log.vkey}\nquorum none`, /Line 2: this key is there already/], [`log ${witnesses[0].vkey}\nquorum none`, /key of a witness/],
    [`log ${log.vkey}\nwitness w ${other.vkey}\nquorum w`, /key of a log/], [`log ${log.vkey}\nquorum w`, /no witness or group "w"/], [`log ${log.vkey}\nwitness none ${witnesses[0].vkey}\nquorum none`, /is taken/],
    [`log ${log.vkey}\nwitness w ${witnesses[0].vkey}\ngroup g 2 w\nquorum g`, /from 1 to how many/], [`log ${log.vkey}\nwitness w ${witnesses[0].vkey}\ngroup g any w\ngroup h any w\nquorum g`, /a member already/],
    [`logs ${log.vkey}`, /no line of a policy/], ['nonsense', /no public key/], [`log ${log.vkey}\u0007\nquorum none`, /control character/], ['<b>log</b> x', /no line of a policy/],
  ]) {
    await setTrust(text);
    await tab.waitForFunction(source => {
      const fault = document.getElementById('trust-fault');
      return !fault.hidden && new RegExp(source).test(fault.textContent);
    }, {timeout: 10000}, why.source).catch(async () => assert.fail(`${text}: ${JSON.stringify(await told())}`));
    assert.equal((await told()).state, 'none', text);
  }
  // A key of a kind that the page does not know never counts, and does not spoil the others.
  assert.equal((await judge(good(), `log ${mldsa}\n${policy}`)).state, 'good');
});

// ---- What was altered

// Another text of the same kind for a value.
const altered = text => text.replace(/[0-9a-zA-Z](?=[^0-9a-zA-Z]*$)/, character => character === '1' ? '2' : character === 'e' ? 'f' : '1');

test('an alteration of any member of any line shows', async () => {
  const lines = bundle({chains, log, show: {[here]: [{stretch: [2, 3]}, {single: 5}]}});
  assert.equal((await judge(lines, policy)).state, 'good');
  let tried = 0;
  for (const [number, line] of lines.entries()) {
    const members = [...line.matchAll(/"(\w+)":("(?:[^"\\]|\\.)*"|\d+|\["[^\]]*\])/g)];
    for (const {index, 0: whole, 1: name, 2: value} of members) {
      // What the file says of itself is a claim. A reader may not lean on it.
      if (number === 0 && name !== 'format') continue;
      const changed = [...lines];
      changed[number] = line.slice(0, index) + `"${name}":${altered(value)}` + line.slice(index + whole.length);
      assert.notEqual(changed[number], line);
      const answer = await judge(changed, policy);
      assert.notEqual(answer.state, 'good', `line ${number + 1}, ${name}: ${changed[number]}`);
      assert.equal(answer.state, 'bad', `line ${number + 1}, ${name}`);
      tried++;
    }
  }
  assert.ok(tried > 75, `${tried}`);
});

test('the reason names what was altered, and the others stay proved', async () => {
  const at = (lines, sequence) => lines.findIndex(line => line.startsWith('{"event"') && line.includes(`"sequence":${sequence},`));
  const change = (sequence, from, to) => {
    const lines = good();
    const line = at(lines, sequence);
    assert.ok(lines[line].includes(from));
    lines[line] = lines[line].replace(from, to);
    return lines;
  };
  for (const [lines, reasons] of [
    [change(2, '"severity":"low"', '"severity":"high"'), 'content_altered'],
    [change(2, '"department":"d-7"', '"department":"d-8"'), 'part_altered'],
    [change(5, '"name":"Ada"', '"name":"Bob"'), 'part_altered'],
    [change(2, '"action":"created"', '"action":"deleted"'), 'content_altered event_malformed'],
  ]) {
    const answer = await judge(lines, policy);
    const bad = answer.events.filter(({state}) => state === 'bad');
    assert.deepEqual(bad.map(event => event.reasons), [reasons]);
    assert.equal(answer.title, '1 of 15 events is not proved');
    assert.equal(answer.checks, 'good good good good bad');
  }
  assert.match(await openEvent(1), /What is wrong[^]*content_altered[^]*✗ different/);
  await judge(change(2, '"department":"d-7"', '"department":"d-8"'), policy);
  assert.match(await openEvent(1), /Do not rely on this: it is not what was recorded\.\s*department\td-8/);
  // Of the 15, the 8 of the stretch lean on each other.
  const hash = chains[0].events[4].hash.toString('hex');
  const stretch = await judge(change(5, `"event_hash":"${hash}"`, `"event_hash":"${altered(hash)}"`), policy);
  assert.equal(stretch.title, '8 of 15 events are not proved');
  assert.equal(stretch.events[3].reasons, 'content_altered stretch_not_in_chain');
  assert.equal(stretch.events[4].reasons, 'link_broken stretch_not_in_chain');
  const single = await judge(change(11, `"proof":["`, `"proof":["${'0'.repeat(64)}","`), policy);
  assert.equal(single.events.find(({state}) => state === 'bad').reasons, 'event_not_in_chain');
});

test('events that were really signed but do not follow each other are told of', async () => {
  // A dishonest writer whose hashes all fit: only the rules of the chain find it.
  const broken = given => {
    const events = [event(here, 1n, Buffer.alloc(32))];
    events.push(event(here, 2n, given.previous ?? events[0].hash, given.columns));
    const {tree} = chain(here, [{}, {}]);
    Object.assign(tree, {leaves: events.map(({hash}) => sha256(Buffer.of(0), hash)), perfect: new Map()});
    return {organization: here, events, tree, size: 2n, root: tree.root(), head: given.head ?? events[1].hash};
  };
  for (const [given, reasons] of [
    [{previous: sha256('x')}, 'link_broken'], [{columns: {timestamp: '2026-01-19T09:30:59.999999Z'}}, 'order_violated'], [{head: sha256('x')}, 'head_differs'],
    [{columns: {entity_type: 'x', event_type: 'hcm.employee.created'}}, 'event_malformed'], [{columns: {event_type: 'Hcm.employee.created'}}, 'event_malformed'], [{columns: {event_type: `hcm.${'x'.repeat(64)}.y`}}, 'event_malformed'],
  ]) {
    const answer = await judge(bundle({chains: [broken(given)], log, show: {[here]: [{stretch: [1, 2]}]}}), policy);
    assert.deepEqual(answer.events.map(event => event.reasons), ['', reasons]);
  }
  const beyond = good().map(line => line.startsWith('{"event"') && line.includes('"sequence":13,') ? line.replace('"sequence":13', '"sequence":14') : line);
  assert.match((await judge(beyond, policy)).text, /the chain has no such event/);
  const foreign = await judge(bundle({chains: [broken({columns: {organization_id: there}})], log, show: {[here]: [{stretch: [1, 2]}]}}), policy);
  assert.equal(foreign.reason, 'line_unexpected');
  assert.match(foreign.text, /another organization than its chain/);
  const first = chain(here, [{previous_hash: '1'.repeat(64)}]);
  assert.equal((await judge(bundle({chains: [first], log, show: {[here]: [{single: 1}]}}), policy)).events[0].reasons, 'link_broken');
});

test('proofs of the directory and of a chain that do not lead there', async () => {
  const cases = [
    ['directory', /"proof":\[[^\]]*\]/, '"proof":[]', 'entry_not_in_log', 'good good bad good none'], ['directory', '"index":2', '"index":1', 'entry_malformed', 'good good bad good none'],
    ['directory', 'people_os_spine directory v1', 'people_os_spine directory v2', 'entry_malformed', 'good good bad none none'],
    ['chain', /"proof":\[[^\]]*\]/, '"proof":[]', 'chain_not_in_directory', 'good good good bad none'], ['chain', '"index":0', '"index":7', 'chain_not_in_directory', 'good good good bad none'],
    ['chain', /"size":\d+/, '"size":14', 'chain_not_in_directory', 'good good good bad bad'],
    ['directory', '7412345678901234567 1 ', '7412345678901234567 4294967296 ', 'entry_malformed', 'good good bad none none'],
    ['directory', '7412345678901234567 1 ', '18446744073709551616 1 ', 'entry_malformed', 'good good bad none none'],
  ];
  for (const [kind, from, to, reason, checks] of cases) {
    const show = {[here]: [{stretch: [1, 13]}]};
    const lines = bundle({chains, log, show}).map(line => line.startsWith(`{"${kind}"`) ? line.replace(from, to) : line);
    if (to === '"size":14') lines[4] = lines[4].replace('"after":[]', `"after":["${'0'.repeat(64)}"]`);
    const answer = await judge(lines, policy);
    assert.equal(answer.checks, checks, `${kind} ${to}: ${answer.text}`);
    assert.ok(answer.events.every(({reasons}) => reasons.includes(reason)), `${kind} ${to}: ${answer.events[0].reasons}`);
  }
});

test('a proof is bound to its place, and not to its root alone', async () => {
  const four = [...chains, chain('dddddddd-0000-4000-8000-000000000004', [{}])];
  for (const [all, organization, from, to] of [
    // The last of three has a proof of one hash, as no other place of that tree; leaf 4 of four would go the way of leaf 0.
    [chains, chains[2].organization, 2, 1], [four, here, 0, 4],
  ]) {
    const lines = bundle({chains: all, log, show: {[organization]: [{single: 1}]}});
    assert.equal((await judge(lines, policy)).state, 'good');
    const moved = lines.map(line => line.startsWith('{"chain"') ? line.replace(`"index":${from}`, `"index":${to}`) : line);
    assert.equal((await judge(moved, policy)).events[0].reasons, 'chain_not_in_directory');
  }
});

test('chains that are not sorted are refused, also where the tree has them so', async () => {
  const lines = bundle({chains: [chains[1], chains[0]], unsorted: true, log, show: {[here]: [{single: 1}], [there]: [{single: 1}]}});
  const answer = await judge(lines, policy);
  assert.equal(answer.reason, 'line_unexpected');
  assert.match(answer.text, /chains must be sorted/);
});

test('a bundle that is cut off anywhere is incomplete', async () => {
  const lines = good();
  for (let kept = 0; kept < lines.length; kept++) {
    for (const text of [fileOf(lines.slice(0, kept)), fileOf(lines.slice(0, kept)) + lines[kept].slice(0, lines[kept].length / 2), fileOf(lines.slice(0, kept)) + lines[kept]]) {
      const answer = await judge(text === '' ? write('') : text, policy);
      assert.equal(answer.state, 'bad', `${kept} lines`);
      assert.equal(answer.reason, 'truncated');
      assert.match(answer.title, /The file is incomplete|This is no evidence file/);
    }
  }
  // What was proved before the cut is, and what was not is not.
  const answer = await judge(lines.slice(0, 14), policy);
  assert.equal(answer.text, 'Line 15: the file ends before its last line, which says how many events there are. 9 events before that are proved all the same.');
  assert.ok((await judge(lines.slice(0, 8), policy)).events.every(({reasons}) => reasons === 'truncated'));
  assert.ok((await judge([...lines.slice(0, 8), ...lines.slice(13)], policy)).events.every(({reasons}) => reasons === 'line_unexpected'));
});

test('a line left out, one too many, or at another place', async () => {
  const lines = good();
  for (let i = 0; i < lines.length; i++) {
    assert.equal((await judge(lines.filter((_, line) => line !== i), policy)).state, 'bad', `without line ${i + 1}`);
    assert.equal((await judge(lines.flatMap((line, at) => at === i ? [line, line] : [line]), policy)).state, 'bad', `line ${i + 1} twice`);
    const swapped = [...lines];
    [swapped[i], swapped[i + 1]] = [swapped[i + 1], swapped[i]];
    if (i + 1 < lines.length) assert.equal((await judge(swapped, policy)).state, 'bad', `line ${i + 1} after the next`);
  }
  assert.equal((await judge([...lines, ''], policy)).reason, 'line_unexpected');
  assert.equal((await judge(lines.map(line => line.replace('"events":15', '"events":16')), policy)).reason, 'count_wrong');
  assert.equal((await judge(lines.map(line => line.replace('"format":1', '"format":2')), policy)).reason, 'format_unknown');
  const later = bundle({chains: [chain(here, [{format: 2}])], log, show: {[here]: [{single: 1}]}});
  assert.equal((await judge(later, policy)).reason, 'format_unknown');
});

test('what is not canonical JSON, or not in its form, is refused', async () => {
  const lines = good();
  const line = 4 + 1;   // the first event
  const tries = [
    ['line_malformed', /comes twice or out of order/, '"action":"created"', '"action":"created","action":"created"'], ['line_malformed', /comes twice or out of order/, '"department":"d-7"', '"department":"d-7","department":"d-7"'],
    ['line_malformed', /out of order/, '"domain":"hcm"', '"aaa":1,"domain":"hcm"'], ['line_malformed', /canonical/, '"action":"created"', '"action": "created"'], ['line_malformed', /escape/, '"hcm"', '"\\u0068cm"'],
    ['line_malformed', /escape/, 'created"', 'created\\/"'], ['line_malformed', /canonical/, '"sequence":2', '"sequence":2.0'], ['line_malformed', /canonical/, '"sequence":2', '"sequence":02'],
    ['line_malformed', /canonical/, '"sequence":2', '"sequence":2e0'], ['line_malformed', /control character/, 'created', 'crea\tted'], ['line_malformed', /behind the object/, /$/, ' '], ['line_malformed', /behind the object/, /$/, '\r'],
    ['line_malformed', /byte 1/, /^/, ' '], ['line_malformed', /byte 1/, /^/, '\ufeff'], ['line_malformed', /nested more than 256/, '"d-7"', '['.repeat(254) + ']'.repeat(254)],
    ['line_unexpected', /sequence is no whole number/, '"sequence":2', '"sequence":"2"'], ['line_unexpected', /sequence is no whole number/, '"sequence":2', '"sequence":-2'],
    ['line_unexpected', /event with sequence 2 must stand here/, '"sequence":2', '"sequence":3'], ['line_unexpected', /event_hash/, /"event_hash":"../, '"event_hash":"AA'],
    ['line_unexpected', /payload_salt/, /"payload_salt":"../, '"payload_salt":"'], ['line_unexpected', /come together/, /"payload_salt":"[^"]*",/, ''], ['line_unexpected', /timestamp/, /"timestamp":"2/, '"timestamp":"+2'],
    ['line_unexpected', /without its hash/, '"previous_hash"', '"personal":{},"personal_salt":"00000000000000000000000000000000","previous_hash"'], ['line_unexpected', /members must be event/, /}$/, ',"extra":1}'],
    ['line_unexpected', /previous_hash is missing/, /"previous_hash":"[^"]*",/, ''],
  ];
  for (const [reason, text, from, to] of tries) {
    const changed = [...lines];
    changed[line] = lines[line].replace(from, to);
    assert.notEqual(changed[line], lines[line], `${from}`);
    const answer = await judge(changed, policy);
    assert.equal(answer.reason, reason, `${from} → ${to.slice(0, 40)}: ${answer.text}`);
    assert.match(answer.text, text);
    assert.match(answer.text, /^Line 6: /);
  }
  // At the limit itself nothing is wrong but the part.
  const changed = [...lines];
  changed[line] = lines[line].replace('"d-7"', '['.repeat(253) + ']'.repeat(253));
  assert.equal((await judge(changed, policy)).events[0].reasons, 'part_altered');
  const bytes = Buffer.from(fileOf(lines));
  bytes[bytes.indexOf('d-7')] = 0xff;
  writeFileSync(join(work, 'bytes'), bytes);
  assert.match((await judge(join(work, 'bytes'), policy)).text, /it is not UTF-8/);
  for (const text of ['\n', 'hello\n', '[]\n', '{}\n', 'null\n', '{"evidence":1}\n', '\0\n', '{"evidence":{}}\n', '{"evidence":{"format":1}}\n']) {
    const answer = await judge(text, policy);
    assert.equal(answer.state, 'bad', text);
    assert.equal(answer.title, text.includes('format') ? 'The file is incomplete' : 'This is no evidence file', text);
  }
});

test('proofs and ranges that are too long are refused', async () => {
  const hashes = count => `[${Array(count).fill(`"${'0'.repeat(64)}"`)}]`;
  for (const [kind, from, count, reason] of [
    ['directory', /"proof":\[[^\]]*\]/, 64, 'line_unexpected'], ['chain', /"proof":\[[^\]]*\]/, 64, 'line_unexpected'], ['chain', /"proof":\[[^\]]*\]/, 63, ''], ['chain', /"proof":\[[^\]]*\]/, 100000, 'line_unexpected'],
    ['stretch', /"before":\[[^\]]*\]/, 64, 'line_unexpected'], ['stretch', /"after":\[[^\]]*\]/, 125, 'line_unexpected'], ['stretch', /"after":\[[^\]]*\]/, 5, 'line_unexpected'], ['stretch', /"before":\[[^\]]*\]/, 0, 'line_unexpected'],
  ]) {
    const lines = good();
    const at = lines.findIndex(line => line.startsWith(`{"${kind}"`));
    lines[at] = lines[at].replace(from, text => `${text.split(':')[0]}:${hashes(count)}`);
    const answer = await judge(lines, policy);
    assert.equal(answer.state, 'bad');
    assert.equal(answer.reason, reason, `${kind} ${count}: ${answer.text}`);
  }
  const lines = good();
  const at = lines.findIndex(line => line.includes('"proof"') && line.startsWith('{"event"'));
  lines[at] = lines[at].replace(/"proof":\[[^\]]*\]/, `"proof":${hashes(64)}`);
  assert.equal((await judge(lines, policy)).reason, 'line_unexpected');
});

test('a checkpoint that is none', async () => {
  const note = text => good().map(line => line.startsWith('{"checkpoint"') ? canonical({checkpoint: text}) : line);
  const root = Buffer.alloc(32).toString('base64');
  const signed = text => `${text}\n${log.line(text)}`;
  for (const text of ['', 'x', 'x\n', 'x\n\n', 'a\nb\nc\n\n', signed(`${log.name}\n03\n${root}\n`), signed(`${log.name}\n3\n${root.slice(1)}\n`), signed(`${log.name}\n3\n`), signed(`${log.name}\n3\n${root}\n`).replace('—', '-'),
    signed(`${log.name}\n3\n${root}\n`).slice(0, -1), signed(`${log.name}\n3\n${root}\n\u0001\n`), signed(`${log.name}\n9223372036854775808\n${root}\n`), `${log.name}\n3\n${root}\n\n${`— x ${root}\n`.repeat(101)}`,
    signed(`\n3\n${root}\n`), `${log.name}\n3\n${root}\n\n${'x'.repeat(1100000)}\n`]) {
    const answer = await judge(note(text), policy);
    assert.equal(answer.reason, 'checkpoint_untrusted', text.slice(0, 100));
    assert.doesNotMatch(states(answer), /good|none/);
  }
});

// ---- Hostile files

const attack = number => `<script>window.struck=${number}</script><img src=x onerror="window.struck=${number}"><svg/onload=window.struck=${number}><iframe srcdoc="<script>top.struck=${number}</script>"></iframe>` +
  `"'><a href="javascript:window.struck=${number}">x</a><link rel=stylesheet href=${origin}/style><img src=${origin}/image?${number}>&lt;b&gt;&#x202e;{{7*7}}\${alert(1)}\u202e\u0000\u200b`;

function hostileChain() {
  const columns = Object.fromEntries(['actor_type', 'environment', 'severity', 'recorded_by', 'transaction_id', 'entity_id', 'actor_id', 'occurred_at', 'correlation_id', 'causation_id'].map((name, i) => [name, attack(i)]));
  return chain(here, [
    {...columns, event_type: `${attack(20).replaceAll('.', '')}.${attack(21).replaceAll('.', '')}.x`, [attack(22)]: attack(23), ['__proto__x']: '1', constructor: 'c', payload: {[attack(24)]: attack(25), list: [attack(26), {[attack(27)]: [attack(28)]}], constructor: 1}, personal: {name: attack(29), ['toString']: 1}},
    {event_type: 'platform.personal.erased', payload: {erased: {personal: {length: 1e9}, payload: [1, 'x', null, {sequence: 'x'}, {sequence: new Digits('1e+30')}, {sequence: 1}]}}},
    {event_type: 'platform.personal.erased', payload: {erased: 7}},
  ]);
}

test('nothing that stands in a file is run, loaded or sent, and all of it is shown', async () => {
  requests.length = 0;
  troubles.length = 0;
  const hostileLog = new Key(attack(30).replaceAll(/[\s+\u200b\u0000]/g, '').replaceAll('\u202e', ''));
  const lines = bundle({chains: [hostileChain()], log: hostileLog, show: {[here]: [{stretch: [1, 3]}]}, header: {reason: attack(31), created: attack(32), selection: {[attack(33)]: attack(34)}}, extra: `${attack(35).replaceAll(/[\u0000]/g, '')}\n`});
  const answer = await judge(lines, hostileLog.vkey);
  assert.deepEqual(answer.events.map(({reasons}) => reasons), ['event_malformed', '', ''], answer.text);
  const text = await openEvent(1);
  await tab.evaluate(() => document.querySelectorAll('details').forEach(details => { details.open = true; }));
  assert.ok(text.includes('<script>window.struck=25</script>'));
  assert.ok(text.includes('⟨U+202E⟩⟨U+0000⟩⟨U+200B⟩'));
  assert.ok((await tab.$eval('#about-body', body => body.innerText)).includes('<script>window.struck=31</script>'));
  // As the text of other keys, and of a policy.
  for (const trust of [log.vkey, attack(36), `log ${attack(37)}\nquorum ${attack(38)}`]) await judge(lines, trust);
  for (const text of [`${attack(39)}\n`, `{"${'x'.repeat(10)}":1}\n`, JSON.stringify({[attack(40)]: 1}) + '\n', fileOf(lines).replaceAll('"action"', '"<img src=x onerror=window.struck=41>"')]) await judge(text, log.vkey);
  assert.equal(await tab.evaluate(() => window.struck), undefined);
  assert.deepEqual(await tab.evaluate(() => ['script:not([src]):not(:last-of-type)', 'img', 'iframe', 'svg', 'link', 'a', 'object', 'embed', 'form:not(#go)'].filter(name => document.querySelector(`body ${name}`))), []);
  assert.deepEqual(troubles, []);
  assert.deepEqual(requests, []);
});

test('the policy of the page forbids every connection, eval and markup, in the worker too', async () => {
  requests.length = 0;
  assert.match(html.slice(0, html.indexOf('<style>')), /<meta charset="utf-8">\n<!--[^>]*-->\n<meta http-equiv="Content-Security-Policy"/);
  const hash = tag => createHash('sha256').update(new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(html)[1]).digest('base64');
  for (const tag of ['script', 'style']) {
    assert.ok(html.includes(`${tag}-src 'sha256-${hash(tag)}'`), `the Content-Security-Policy must have ${tag}-src 'sha256-${hash(tag)}'`);
  }
  assert.match(html, /content="default-src 'none'; script-src '[^']*'; style-src '[^']*'; worker-src blob:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types spine-verify"/);
  assert.doesNotMatch(html, /https?:/);
  const found = await tab.evaluate(async url => {
    const outcome = async action => {
      try {
        await action();
        return 'done';
      } catch {
        return 'refused';
      }
    };
    const loads = make => new Promise((resolve, reject) => {
      const element = make();
      element.onload = resolve;
      element.onerror = reject;
      document.body.append(element);
      setTimeout(reject, 2000);
    });
    const results = {
      fetch: await outcome(() => fetch(`${url}/fetch`)),
      beacon: navigator.sendBeacon(`${url}/beacon`) ? 'queued' : 'refused',
      socket: await outcome(() => new Promise((resolve, reject) => Object.assign(new WebSocket(url.replace('http', 'ws')), {onopen: resolve, onerror: reject}))),
      image: await outcome(() => loads(() => Object.assign(new Image(), {src: `${url}/image`}))),
      script: await outcome(() => loads(() => Object.assign(document.createElement('script'), {src: `${url}/script`}))),
      style: await outcome(() => loads(() => Object.assign(document.createElement('link'), {rel: 'stylesheet', href: `${url}/style`}))),
      frame: await outcome(() => loads(() => Object.assign(document.createElement('iframe'), {src: `${url}/frame`})).then(() => { throw 0; })),
      eval: await outcome(() => new Promise((resolve, reject) => setTimeout(() => {
        try {
          resolve((0, eval)('1'));
        } catch {
          reject();
        }
      }))),
      markup: await outcome(() => { document.createElement('div').innerHTML = '<b>x</b>'; }),
      policy: await outcome(() => trustedTypes.createPolicy('another', {})),
      inline: await outcome(async () => {
        const element = document.createElement('button');
        element.setAttribute('onclick', 'window.struck=1');
        element.click();
        if (!window.struck) throw 0;
      }),
    };
    return results;
  }, origin);
  // A frame or a beacon is refused without telling; the server knows.
  const {beacon, ...others} = found;
  for (const [name, result] of Object.entries(others)) assert.equal(result, 'refused', name);
  await openTab();
  await judge(good(), policy);
  const worker = tab.workers().at(-1);
  assert.equal(await worker.evaluate(url => fetch(url).then(() => 'done', () => 'refused'), `${origin}/worker`), 'refused');
  assert.equal(await worker.evaluate(url => { try { importScripts(url); return 'done'; } catch { return 'refused'; } }, `${origin}/import`), 'refused');
  // By a timer, for what DevTools evaluate may use eval.
  assert.equal(await worker.evaluate(() => new Promise(resolve => {
    setTimeout(() => {
      try {
        new Function('return 1')();
        resolve('done');
      } catch {
        resolve('refused');
      }
    });
  })), 'refused');
  assert.deepEqual(requests, []);
});

test('a line of 16 MiB is read, a longer one is not', async () => {
  const limit = 16 * 1024 * 1024;
  const make = size => {
    const lines = length => bundle({chains: [chain(here, [{payload: {text: 'x'.repeat(length)}}])], log, show: {[here]: [{stretch: [1, 1]}]}});
    const base = Buffer.byteLength(lines(0)[5]) + 1;
    const made = lines(size - base);
    assert.equal(made[5].length + 1, size);
    return made;
  };
  assert.equal((await judge(make(limit), policy)).state, 'good');
  const refused = await judge(make(limit + 1), policy);
  assert.equal(refused.reason, 'line_too_long');
  // One that never ends is given up early, however large the file is.
  const path = join(work, 'endless');
  const file = openSync(path, 'w');
  for (let i = 0; i < 60; i++) writeSync(file, Buffer.alloc(1 << 20, i === 0 ? '{"a":"' : 'x'));
  closeSync(file);
  assert.equal((await judge(path, policy)).reason, 'line_too_long');
});

test('deep, wide and strange payloads of a megabyte are judged and shown in part', async () => {
  const wide = Object.fromEntries(Array.from({length: 60000}, (_, i) => [`name ${i}`, i]));
  const payloads = [wide, {list: Array(200000).fill(0)}, {number: new Digits('1'.repeat(21))}, {['k'.repeat(1000000)]: Array(1000).fill({['k'.repeat(100)]: 1})}];
  const answer = await judge(bundle({chains: [chain(here, payloads.map(payload => ({payload})))], log, show: {[here]: [{stretch: [1, 4]}]}}), policy);
  assert.equal(answer.state, 'good', answer.text);
  assert.match(await openEvent(1), /59,500 more values not shown/);
  assert.match(await openEvent(2), /199,500 more values not shown/);
  assert.match(await openEvent(4), /999900|more values not shown/);
});

test('100,000 events in 70 MB: the page answers while it reads, and shows them page by page', async () => {
  const count = 100000;
  const one = chain(here, Array.from({length: count}, (_, i) => ({payload: {number: i, text: 'some words of a payload '.repeat(4)}})));
  const lines = bundle({chains: [one, chains[1]], log, show: {[here]: [{stretch: [1, count]}]}});
  // One altered among them is found, and found by people.
  lines[70004] = lines[70004].replace('payroll', 'Payroll');
  const path = write(fileOf(lines));
  await tab.$eval('#trust', (field, value) => { field.value = value; }, policy);
  await tab.evaluate(() => {
    window.seen = new Set();
    window.turns = 0;
    new MutationObserver(() => window.seen.add(document.getElementById('progress-text').textContent)).observe(document.getElementById('progress-text'), {childList: true, characterData: true, subtree: true});
    const turn = () => {
      if (document.getElementById('reading').hidden) return;
      window.turns++;
      setTimeout(turn, 0);
    };
    document.getElementById('result').hidden = true;
    document.getElementById('file').addEventListener('change', () => setTimeout(turn, 0), {once: true});
  });
  await (await tab.$('#file')).uploadFile(path);
  const answer = await settled();
  assert.equal(answer.title, '1 of 100,000 events is not proved', answer.text);
  assert.ok(await tab.evaluate(() => window.seen.size) > 5);
  assert.ok(await tab.evaluate(() => window.turns) > 50);
  assert.equal(answer.events.length, 25);
  assert.equal(answer.page, '1 to 25 of 100,000');
  await tab.click('#next');
  await tab.waitForFunction(() => document.getElementById('page').textContent === '26 to 50 of 100,000');
  await tab.type('#number', '99,999');
  await tab.keyboard.press('Enter');
  await tab.waitForFunction(() => document.getElementById('page').textContent === '99,999 to 100,000 of 100,000');
  assert.match((await told()).events[0].text, /No\. 99999/);
  await tab.select('#filter', 'bad');
  await tab.waitForFunction(() => document.getElementById('page').textContent === '1 to 1 of 1');
  assert.match((await told()).events[0].text, /No\. 70000/);
});

// ---- Plain exports

test('a plain export is checked, and said to be unproved', async () => {
  const plain = chains.slice(0, 2).flatMap(({events}) => events.map(one => one.object(one.sequence === 3n ? ['personal'] : [])));
  const answer = await judge(plain, policy);
  assert.equal(answer.state, 'none');
  assert.equal(answer.title, 'Nothing is proved');
  assert.match(answer.text, /plain export without a signature/);
  assert.match(answer.events[2].text, /personal part erased/);
  assert.doesNotMatch(states(answer), /good|bad/);
  const altered = await judge(plain.map((line, i) => i === 4 ? line.replace('"d-7"', '"d-8"') : line), policy);
  assert.equal(altered.title, '1 event of 18 has a fault');
  assert.equal(altered.events[4].reasons, 'part_altered');
  const missing = await judge(plain.filter((_, i) => i !== 5), policy);
  assert.equal(missing.state, 'none', 'a gap may be the choice of who exported');
  const relinked = plain.map((line, i) => i === 5 ? chain(here, Array(6).fill({})).events[5].object() : line);
  assert.match((await judge(relinked, policy)).events[5].reasons, /link_broken/);
  assert.equal((await judge([...plain.slice(13), ...plain.slice(0, 13)], policy)).reason, 'line_unexpected');
  assert.equal((await judge([plain[0], plain[0]], policy)).reason, 'line_unexpected');
});

// ---- Vectors of the project

test('the vectors of docs/evidence.md', async () => {
  const vector = name => join(process.env.VECTORS, name);
  const trust = readFileSync(vector('policy.txt'), 'utf8');
  const whole = await judge(vector('bundle.ndjson'), trust);
  assert.equal(whole.title, 'All 4 events are proved', whole.text);
  assert.match(whole.text, /seen by 2 witnesses/);
  assert.match(whole.events[1].text, /personal part erased/);
  const two = await judge(vector('two_chains.ndjson'), trust);
  assert.equal(two.title, 'All 8 events are proved', two.text);
  assert.ok(two.events.every(({text}) => text.includes('payload withheld')));
  const plain = await judge(vector('export.ndjson'), trust);
  assert.equal(plain.title, 'Nothing is proved');
  assert.equal(states(plain), Array(8).fill('none').join(' '));
});

// PGHOST and PGPORT find a server, where there is one: script/test starts it.
test('what spine-notary exports of a real database is proved, and a change to it is not', {skip: !tools || !process.env.PGHOST}, async () => {
  const run = (program, ...given) => {
    const {status, stdout, stderr} = spawnSync(program, given, {encoding: 'utf8', env: {...process.env, PGDATABASE: 'postgres'}});
    assert.equal(status, 0, `${program} ${given[0]}: ${stdout}${stderr}`);
    return stdout;
  };
  const sql = (database, text) => run('psql', '-XAtqv', 'ON_ERROR_STOP=1', '-d', database, '-c', text);
  const notary = (...given) => run(join(tools, 'spine-notary'), ...given);
  const files = name => join(work, `real ${name}`);
  sql('postgres', 'CREATE DATABASE browser');
  sql('browser', "CREATE EXTENSION people_os_spine; ALTER DATABASE browser SET people_os_spine.environment = 'test'");
  sql('browser', `SELECT spine.emit_event('hcm.employee.created', entity_id => '${here}', actor_id => '${there}', organization_id => '${here}',
    payload => '{"salary": 120000.5, "script": "</script><b>1</b>", "big": 12345678901234567890}', personal => '{"name": "Łucja \\u202e"}')
    FROM generate_series(1, 300)`);
  sql('browser', `SELECT spine.erase_events('${here}', (SELECT array_agg(id) FROM spine.events WHERE organization_id = '${here}' AND sequence IN (2, 290)), 'request 7')`);
  sql('browser', 'CREATE ROLE browser_notary LOGIN');
  sql('browser', "SELECT spine.grant_notary('browser_notary')");
  const key = notary('keygen', '--name', 'spine.example/browser', '--key', files('key')).replace(/^key: /, '').trim();
  notary('init', '--database', 'dbname=browser user=browser_notary', '--origin', 'spine.example/browser', '--state', files('state'), '--key', files('key'));
  const exported = (name, ...given) => {
    notary('export', '--database', 'dbname=browser', '--organization', here, '--reason', 'a test', '--output', files(name), ...given);
    return files(name);
  };
  const all = await judge(exported('all', '--personal'), key);
  assert.equal(all.title, 'All 301 events are proved');
  assert.equal(all.checks, allGood);
  assert.match(all.events[1].text, /erased/);
  const withheld = await judge(exported('stretch', '--from', '288', '--to', '300'), key);
  assert.equal(withheld.state, 'good');
  assert.match(withheld.events[0].text, /withheld/);
  const changed = await judge(readFileSync(files('stretch'), 'utf8').replace('"salary":120000.5', '"salary":920000.5'), key);
  assert.equal(changed.state, 'bad');
  assert.deepEqual(changed.events.filter(({state}) => state === 'bad').map(({reasons}) => reasons), ['part_altered']);
  assert.deepEqual(troubles, []);
});

test('spine-verify says the same of each file', {skip: !tools}, () => {
  assert.ok(compared.files > 300, `${compared.files}`);
  assert.ok(compared.events > 1500, `${compared.events}`);
});

// ---- People

const rules = {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']};

async function axeFinds() {
  // The page's policy keeps the test's script out, too, so it runs beside the page's scripts, in a world of its own.
  const session = await tab.createCDPSession();
  const {frameTree} = await session.send('Page.getFrameTree');
  const {executionContextId} = await session.send('Page.createIsolatedWorld', {frameId: frameTree.frame.id, worldName: 'axe'});
  const evaluate = async expression => {
    const {result, exceptionDetails} = await session.send('Runtime.evaluate', {expression, contextId: executionContextId, awaitPromise: true, returnByValue: true});
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  await evaluate(`${axe.source}; 0`);
  const {violations, passes} = await evaluate(`axe.run(document, ${JSON.stringify(rules)}).then(({violations, passes}) => ({passes: passes.length, violations: violations.map(({id, impact, nodes}) => ({id, impact, nodes: nodes.slice(0, 3).map(({html, failureSummary}) => html.slice(0, 150) + ' ' + failureSummary)}))}))`);
  await session.detach();
  assert.ok(passes > 15);
  return violations;
}

const shots = process.env.SHOTS;
async function shoot(name) {
  if (!shots) return;
  mkdirSync(shots, {recursive: true});
  await tab.screenshot({path: join(shots, `${name}.png`), fullPage: true});
}

const bad = () => good().map(line => line.includes('"sequence":2,') && line.includes(here) ? line.replace('"d-7"', '"d-8"') : line);

for (const [device, viewport] of [['desk', {width: 1200, height: 900}], ['phone', {width: 320, height: 640, isMobile: true, hasTouch: true}]]) {
  for (const scheme of ['light', 'dark']) {
    test(`people can use it: ${device}, ${scheme}`, async () => {
      await openTab(viewport);
      await tab.emulateMediaFeatures([{name: 'prefers-color-scheme', value: scheme}]);
      const look = async name => {
        assert.deepEqual(await axeFinds(), [], name);
        assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), `${name} scrolls sideways`);
        await shoot(`${name}-${device}-${scheme}`);
      };
      await look('start');
      await judge(good(), policy);
      await openEvent(1);
      await openEvent(2);
      await tab.$eval('#about', details => { details.open = true; });
      await look('good');
      await judge(bad(), policy);
      await openEvent(1);
      await look('bad');
      await judge(good());
      await look('none');
      await judge(good().slice(0, 10), 'nonsense');
      await look('incomplete');
    });
  }
}

test('the keyboard reaches all of it', async () => {
  await openTab();
  const long = bundle({chains: [chain(here, Array(60).fill({payload: {a: 1}}))], log, show: {[here]: [{stretch: [1, 60]}]}});
  const focused = () => tab.evaluate(() => document.activeElement.id || document.activeElement.tagName);
  const tabTo = async id => {
    for (let i = 0; i < 40; i++) {
      await tab.keyboard.press('Tab');
      if (await focused() === id) return;
    }
    assert.fail(`the Tab key does not reach ${id}`);
  };
  await tab.keyboard.press('Tab');
  assert.equal(await focused(), 'file');
  const chooseBy = async (key, path) => {
    const chooser = tab.waitForFileChooser();
    // The browser has to know first that nobody is there to choose.
    await tab.evaluate(() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    await tab.keyboard.press(key);
    await (await chooser).accept([path]);
  };
  await tab.bringToFront();
  await chooseBy('Enter', write(fileOf(long)));
  await settled();
  assert.equal(await focused(), 'banner', 'the result is where the reader is');
  await tab.keyboard.down('Shift');
  for (let i = 0; i < 2; i++) await tab.keyboard.press('Tab');
  await tab.keyboard.up('Shift');
  assert.equal(await focused(), 'trust');
  await tab.keyboard.type(log.vkey);
  await tab.waitForSelector('#banner.good');
  await tabTo('trust-choose');
  await chooseBy('Space', write(`log ${other.vkey}\nquorum none\n`));
  await tab.waitForSelector('#banner.bad');
  await tabTo('filter');
  await tabTo('number');
  await tab.keyboard.type('58');
  await tab.keyboard.press('Enter');
  await tab.waitForFunction(() => document.activeElement.closest('#events'));
  assert.match(await tab.evaluate(() => document.activeElement.innerText), /No\. 58/);
  await tab.keyboard.press('Enter');
  await tab.waitForSelector('#events .opened h3');
  assert.ok(await tab.evaluate(() => {
    const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
    return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
  }), 'the focus shows');
  await tab.keyboard.down('Shift');
  await tab.keyboard.press('Tab');
  await tab.keyboard.up('Shift');
  assert.equal(await focused(), 'back');
  await tab.keyboard.press('Enter');
  await tab.waitForFunction(() => document.getElementById('page').textContent === '33 to 57 of 60');
});

test('files are dropped on the page, in any order', async () => {
  const drop = texts => tab.evaluate(files => {
    const data = new DataTransfer();
    for (const text of files) data.items.add(new File([text], 'dropped'));
    for (const kind of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
  }, texts);
  for (const texts of [[fileOf(good()), policy], [policy, fileOf(good())]]) {
    await openTab();
    await drop(texts);
    await tab.waitForSelector('#banner.good');
  }
});

test('a file that comes while another is read takes its place, and nothing is remembered', async () => {
  await openTab();
  const many = bundle({chains: [chain(there, Array(20000).fill({}))], log, show: {[there]: [{stretch: [1, 20000]}]}});
  const [first, second] = [write(fileOf(many)), write(fileOf(good()))];
  await tab.$eval('#trust', (field, value) => { field.value = value; }, policy);
  const input = await tab.$('#file');
  await input.uploadFile(first);
  await input.uploadFile(second);
  assert.equal((await settled()).title, 'All 15 events are proved');
  await tab.reload();
  assert.equal(await tab.$eval('#trust', field => field.value), '');
  assert.deepEqual(await tab.evaluate(() => [document.cookie, ...[() => localStorage.length, () => sessionStorage.length].map(read => { try { return read(); } catch { return 0; } })]), ['', 0, 0]);
});
