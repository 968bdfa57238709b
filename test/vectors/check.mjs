// Checks the hash vectors and the extension with node's SHA-256 and an RFC 8785 library that is not the spine's, and
// CloudEvents with the official SDK, which holds the official JSON schema.
// Needs psql and, by PGHOST, PGPORT and PGUSER, a server where the extension's files are installed. Prints TAP.
import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import canonicalize from 'canonicalize';
import { CloudEvent, HTTP } from 'cloudevents';

const database = 'people_os_spine_vectors';
const read = name => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const sha256 = text => createHash('sha256').update(text, 'utf8').digest('hex');

let checks = 0;
let failures = 0;
function check(what, problems) {
  checks++;
  const failed = problems.length > 0;
  if (failed) failures++;
  console.log(`${failed ? 'not ok' : 'ok'} ${checks} - ${what}`);
  for (const problem of problems.slice(0, 5)) console.log(`# ${problem}`);
  if (problems.length > 5) console.log(`# and ${problems.length - 5} more`);
}

function psql(sql, dbname = database) {
  const run = spawnSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', dbname],
    { input: sql, encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, PGCLIENTENCODING: 'UTF8' } });
  if (run.error) throw run.error;
  if (run.status !== 0) throw new Error(`psql: ${run.stderr}`);
  return run.stdout.split('\n').slice(0, -1);
}

// One text column, as hex: psql leaves out characters that it takes for invalid, U+10FFFF among them.
const asHex = column => `encode(convert_to(${column}, 'UTF8'), 'hex')`;
const fromHex = lines => lines.map(line => Buffer.from(line, 'hex').toString('utf8'));

const quote = text => `'${text.replaceAll("'", "''")}'`;

// --- What a verifier with doubles can judge --------------------------------------------------------------

// A decimal number as sign, digits and exponent, the same for every way to write it.
function decimal(token) {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token);
  const significant = (whole + fraction).replace(/^0+/, '');
  const digits = significant.replace(/0+$/, '');
  if (digits === '') return '0';
  return `${sign}${digits}e${Number(exponent) - fraction.length + significant.length - digits.length}`;
}

// False where some number of the JSON text is another one after a double has held it.
function doublesHold(json) {
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g)) {
    if (token.startsWith('"')) continue;
    const value = Number(token);
    if (!Number.isFinite(value) || decimal(token) !== decimal(String(value))) return false;
  }
  return true;
}

// Seconds come from JavaScript's calendar, microseconds from the remainder.
function timestampText(microseconds) {
  const us = BigInt(microseconds);
  const fraction = ((us % 1000000n) + 1000000n) % 1000000n;
  const seconds = new Date(Number((us - fraction) / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(fraction).padStart(6, '0')}Z`;
}

const hexColumns = ['previous_hash', 'event_hash', 'payload_salt', 'payload_hash', 'personal_salt', 'personal_hash'];
const moments = ['timestamp', 'occurred_at'];
const columnsAsTheyAre = ['id', 'event_type', 'domain', 'entity_type', 'entity_id', 'action', 'actor_id', 'actor_type',
  'organization_id', 'environment', 'severity', 'transaction_id', 'recorded_by', 'previous_hash', 'correlation_id', 'causation_id'];

// The hash of a part: of its salt and its canonical form, or what stands in its place.
const partHash = (salt, json, hash) => (json === null ? hash
  : createHash('sha256').update(Buffer.from(salt ?? '', 'hex')).update(canonicalize(JSON.parse(json)), 'utf8').digest('hex'));

function documentOf(row) {
  const document = Object.fromEntries(columnsAsTheyAre.map(name => [name, row[name]]));
  for (const name of moments) document[name] = row[name] === null ? null : timestampText(row[name]);
  document.sequence = Number(row.sequence);
  document.payload_hash = partHash(row.payload_salt, row.payload, row.payload_hash);
  document.personal_hash = partHash(row.personal_salt, row.personal, row.personal_hash);
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== null));
}

// 'intact', 'tampered', or 'undecided': a part holds a number that a double does not.
function judge(row, previousHash) {
  if (![row.payload, row.personal].every(json => json === null || doublesHold(json)) || !Number.isSafeInteger(Number(row.sequence))) {
    return row.previous_hash === previousHash ? 'undecided' : 'tampered';
  }
  return sha256(canonicalize(documentOf(row))) === row.event_hash && row.previous_hash === previousHash ? 'intact' : 'tampered';
}

function judgeAll(rows) {
  const verdicts = { intact: [], tampered: [], undecided: [] };
  const heads = new Map();
  for (const row of rows) {
    const head = heads.get(row.organization_id) ?? { sequence: 0, hash: '0'.repeat(64) };
    const follows = Number(row.sequence) === head.sequence + 1;
    verdicts[follows ? judge(row, head.hash) : 'tampered'].push(row);
    heads.set(row.organization_id, { sequence: Number(row.sequence), hash: row.event_hash });
  }
  return verdicts;
}

const brief = row => `${row.organization_id} ${row.sequence}: ${row.payload?.slice(0, 200)}`;

// Moments leave the server as counts, the parts as the text that the server shows.
const exportRows = condition => fromHex(psql(`
  SELECT ${asHex(`json_build_object(${columnsAsTheyAre.filter(c => c !== 'previous_hash').map(c => `'${c}', ${c}::text`).join(', ')},
    ${hexColumns.map(c => `'${c}', encode(${c}, 'hex')`).join(', ')}, 'sequence', sequence::text,
    ${moments.map(c => `'${c}', (extract(epoch FROM "${c}") * 1000000)::bigint::text`).join(', ')},
    'payload', payload::text, 'personal', personal::text)::text`)}
  FROM spine.events WHERE ${condition} ORDER BY organization_id, sequence;`)).map(line => JSON.parse(line));

// --- The vectors -----------------------------------------------------------------------------------------

const texts = { canonical_json: read('canonical_json.json'), numbers: read('numbers.json') };
const events = read('events.json');

function checkVectorsAlone() {
  for (const [file, vectors] of Object.entries(texts)) {
    const exact = vectors.filter(v => v.exact_doubles);
    const inexact = vectors.filter(v => !v.exact_doubles);
    check(`${file}: an independent canonicalizer agrees on all ${exact.length} vectors that doubles hold`,
      exact.filter(v => canonicalize(JSON.parse(v.json)) !== v.canonical).map(v => `${v.name}: ${canonicalize(JSON.parse(v.json))}`));
    check(`${file}: which vectors doubles hold is told from their text (${inexact.length} are not held)`,
      vectors.filter(v => doublesHold(v.json) !== v.exact_doubles || doublesHold(v.canonical) !== v.exact_doubles).map(v => v.name));
    check(`${file}: doubles lose something of each of the others`,
      inexact.filter(v => { try { return canonicalize(JSON.parse(v.json)) === v.canonical; } catch { return false; } }).map(v => v.name));
  }
  check(`events: an independent canonicalizer agrees on all ${events.length} documents`,
    events.filter(v => canonicalize(v.document) !== v.canonical).map(v => v.name));
  const parts = events.flatMap(v => ['payload', 'personal'].filter(name => name in v).map(name => ({ ...v[name], name: `${v.name}: ${name}`, said: v.document[`${name}_hash`] })));
  check(`events: each of the ${parts.length} parts has the hash that stands in its document`, parts.filter(part => part.hash !== part.said).map(part => part.name));
  const there = parts.filter(part => part.json !== undefined);
  check(`events: ${there.length} of them are SHA-256 of salt and text`, there.filter(part =>
    createHash('sha256').update(Buffer.from(part.salt, 'hex')).update(part.json, 'utf8').digest('hex') !== part.hash).map(part => part.name));
  const held = there.filter(part => doublesHold(part.json));
  check(`events: an independent canonicalizer agrees on the ${held.length} that doubles hold`,
    held.filter(part => canonicalize(JSON.parse(part.json)) !== part.json).map(part => part.name));
  check('events: which events doubles hold is told from their parts', events.filter(v => there.every(part =>
    !part.name.startsWith(`${v.name}: `) || doublesHold(part.json)) !== v.exact_doubles).map(v => v.name));
  check('events: sha256 is that of the canonical text', events.filter(v => sha256(v.canonical) !== v.sha256).map(v => v.name));
  check('events: an event with a previous one holds its hash and the next sequence', events.filter(v => {
    const previous = events.find(e => e.name === v.previous);
    return v.previous && (v.document.previous_hash !== previous?.sha256 || v.document.sequence !== previous.document.sequence + 1);
  }).map(v => v.name));
}

function checkExtensionOnVectors() {
  for (const [file, vectors] of Object.entries(texts)) {
    const answers = fromHex(psql(vectors.map(v => `SELECT ${asHex(`spine.canonical_json(${quote(v.json)}::json::jsonb)`)};`).join('\n')));
    check(`${file}: spine.canonical_json gives all ${vectors.length} canonical texts`,
      vectors.flatMap((v, i) => (answers[i] === v.canonical ? [] : [`${v.name}: ${answers[i]}`])));
  }
  // A document and its parts become a row: its members are the columns, and the parts' numbers keep their digits.
  const row = v => {
    const parts = ['payload', 'personal'].flatMap(name => (v[name]?.json === undefined ? []
      : [`'${name}', ${quote(v[name].json)}::jsonb, '${name}_salt', '\\x${v[name].salt}', '${name}_hash', NULL`]));
    const hex = ['previous_hash', 'payload_hash', 'personal_hash'].map(name => `'${name}', '\\x' || (d ->> '${name}')`);
    return `d || jsonb_build_object(${hex.join(', ')}) || jsonb_build_object(${parts.join(', ')})`;
  };
  const answers = fromHex(psql(events.map(v => `
    SELECT ${asHex(`json_build_object('text', spine.canonical_event(e), 'sha256', encode(spine.event_digest(e), 'hex'))::text`)}
      FROM (SELECT ${quote(v.canonical)}::jsonb AS d) AS vector,
      jsonb_populate_record(NULL::spine.events, ${row(v)}) AS e;`).join('\n')))
    .map(line => JSON.parse(line));
  check(`events: spine.canonical_event gives all ${events.length} canonical texts`,
    events.flatMap((v, i) => (answers[i].text === v.canonical ? [] : [`${v.name}: ${answers[i].text}`])));
  check(`events: spine.event_digest gives all ${events.length} hashes`, events.filter((v, i) => answers[i].sha256 !== v.sha256).map(v => v.name));
}

// --- Random events under many sessions' settings -----------------------------------------------------------

// Repeatable, so that a failure can be looked into: mulberry32.
let seed = 0x5eed;
function random() {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = n => Math.floor(random() * n);
const pick = list => list[below(list.length)];

function randomText(length) {
  let text = '';
  for (let i = below(length + 1); i > 0; i--) {
    text += String.fromCodePoint(pick([
      () => 1 + below(0x1f), () => pick([0x22, 0x5c, 0x2f, 0x27, 0x24]), () => 0x20 + below(0x5f), () => 0x20 + below(0x5f), () => 0x7f + below(0x781),
      () => 0x800 + below(0xd000), () => 0xe000 + below(0x2000), () => 0x10000 + below(0x100000)])());
  }
  return text;
}

// A number that a double holds, in one of the ways to write it.
function randomNumber() {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setUint32(0, below(2 ** 32));
  bits.setUint32(4, below(2 ** 32));
  const value = pick([() => below(1000), () => -below(2 ** 31), () => below(2 ** 32) * 2 ** below(21), () => below(1e6) / 100, () => random(),
    () => bits.getFloat64(0), () => 10 ** (below(60) - 30), () => -0, () => 5e-324, () => Number.MAX_VALUE])();
  if (!Number.isFinite(value)) return '0.0';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return pick([text, text, value.toExponential(), /^-?\d+$/.test(text) ? `${text}.${'0'.repeat(1 + below(5))}` : text]);
}

function randomJson(depth, asciiOnly) {
  const string = length => {
    const text = JSON.stringify(randomText(length));
    return asciiOnly ? text.replace(/[\u007f-\uffff]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`) : text;
  };
  const object = () => {
    const members = new Map(Array.from({ length: below(pick([3, 6, 70])) }, () => [string(6), null]));
    return `{${[...members.keys()].map(key => `${key}:${randomJson(depth - 1, asciiOnly)}`).join(', ')}}`;
  };
  const scalar = [() => randomNumber(), () => randomNumber(), () => string(20), () => string(3), () => pick(['null', 'true', 'false'])];
  const container = [object, () => `[${Array.from({ length: below(5) }, () => randomJson(depth - 1, asciiOnly)).join(',')}]`];
  return pick(depth > 0 ? [...scalar, ...container] : scalar)();
}

const randomPayload = asciiOnly => `{"n":${randomNumber()}, "v":${randomJson(4, asciiOnly)}, "list":[${randomJson(3, asciiOnly)}, ${randomJson(2, asciiOnly)}]}`;

const sessions = [
  {},
  { TimeZone: 'Asia/Kathmandu', DateStyle: 'SQL, DMY' },
  { TimeZone: 'America/St_Johns', DateStyle: 'German', extra_float_digits: '-15' },
  { TimeZone: 'UTC', DateStyle: 'Postgres, MDY', bytea_output: 'escape' },
  { IntervalStyle: 'iso_8601', extra_float_digits: '3', bytea_output: 'hex' },
  { client_encoding: 'LATIN1', TimeZone: '<+1459>-14:59' },
  { client_encoding: 'EUC_JP', xmlbinary: 'hex' },
  { client_encoding: 'SQL_ASCII', standard_conforming_strings: 'on' },
  { search_path: 'hostile, pg_catalog, spine', bytea_output: 'escape' },
  { search_path: '', escape_string_warning: 'off' },
  { default_transaction_isolation: 'serializable', quote_all_identifiers: 'on' },
  { default_transaction_isolation: 'repeatable read', row_security: 'off' },
];
const setAll = settings => Object.entries(settings).map(([name, value]) => `SELECT pg_catalog.set_config(${quote(name)}, ${quote(value)}, false) \\g /dev/null\n`).join('');

const organizations = [randomUUID(), randomUUID(), '00000000-0000-0000-0000-000000000000'];
const sent = new Map();  // payloads by entity

function randomEvent(asciiOnly) {
  const [domain, entity, action] = pick([['hcm', 'employee', 'created'], ['crm', 'deal_2', 'won'], ['ops', 'x', 'y_']]);
  const event = { domain, entity, action, entity_id: randomUUID(), actor_id: randomUUID(), organization_id: pick(organizations),
    actor_type: pick(['human', 'system', 'pipeline']), severity: pick(['low', 'medium', 'high', 'critical']), payload: randomPayload(asciiOnly),
    personal: pick([() => null, () => randomPayload(asciiOnly)])(), occurred_at: pick([null, '2026-01-18T09:30:00.000001Z', '1066-10-14T09:00:00+00:00']),
    correlation_id: pick([null, randomUUID()]), causation_id: pick([null, randomUUID()]) };
  sent.set(event.entity_id, event.payload);
  return event;
}

const emitOne = e => `SELECT spine.emit_event('${e.domain}.${e.entity}.${e.action}', entity_id => '${e.entity_id}', actor_id => '${e.actor_id}',
  organization_id => '${e.organization_id}', actor_type => '${e.actor_type}', severity => '${e.severity}', payload => ${quote(e.payload)},
  personal => ${e.personal === null ? 'NULL' : quote(e.personal)}, occurred_at => ${e.occurred_at === null ? 'NULL' : quote(e.occurred_at)},
  correlation_id => ${e.correlation_id === null ? 'NULL' : quote(e.correlation_id)}, causation_id => ${e.causation_id === null ? 'NULL' : quote(e.causation_id)}) \\g /dev/null\n`;
const emitMany = list => `SELECT spine.emit_events(${quote(`[${list.map(e => `{"event_type":"${e.domain}.${e.entity}.${e.action}","entity_id":"${e.entity_id}",
  "actor_id":"${e.actor_id}","organization_id":"${e.organization_id}","actor_type":"${e.actor_type}","severity":"${e.severity}","payload":${e.payload},
  "personal":${e.personal},"occurred_at":${JSON.stringify(e.occurred_at)},"correlation_id":${JSON.stringify(e.correlation_id)},"causation_id":${JSON.stringify(e.causation_id)}}`).join(',')}]`)}) \\g /dev/null\n`;

// The operating system's locales that the server knows, for lc_*.
const locales = () => psql(`SELECT DISTINCT collcollate FROM pg_collation
  WHERE collprovider = 'c' AND collencoding IN (-1, pg_char_to_encoding('UTF8')) ORDER BY 1;`).filter(name => name !== '');

function emitRandomEvents(count) {
  const known = locales();
  const perSession = Math.ceil(count / sessions.length);
  sessions.forEach((settings, number) => {
    const asciiOnly = 'client_encoding' in settings;
    const locale = known[number % known.length];
    let sql = setAll({ ...settings, lc_numeric: locale, lc_monetary: locale, lc_time: locale });
    if (number % 4 === 1) sql += 'SET SESSION AUTHORIZATION "pâyroll ""x""\\y";\n'.replace('â', asciiOnly ? 'a' : 'â');
    for (let done = 0; done < perSession;) {
      const list = Array.from({ length: Math.min(1 + below(10), perSession - done) }, () => randomEvent(asciiOnly));
      done += list.length;
      sql += pick([emitMany(list), list.map(emitOne).join(''), `BEGIN;\n${list.map(emitOne).join('')}COMMIT;\n`,
        `BEGIN;\nSAVEPOINT s;\n${emitOne(randomEvent(asciiOnly))}ROLLBACK TO s;\n${list.map(emitOne).join('')}COMMIT;\n`]);
    }
    psql(sql);
  });
}

function checkRandomEvents(count) {
  emitRandomEvents(count);
  const rows = exportRows('true');
  const verdicts = judgeAll(rows);
  check(`${rows.length} random events in ${organizations.length} organizations: at least ${count} were stored`,
    rows.length >= count && new Set(rows.map(r => r.organization_id)).size === organizations.length ? [] : [`${rows.length}`]);
  check('their hashes and links, recomputed from the exported columns, are all right', [...verdicts.tampered, ...verdicts.undecided].map(brief));
  check('the payloads stored are those that were sent',
    rows.filter(r => canonicalize(JSON.parse(r.payload)) !== canonicalize(JSON.parse(sent.get(r.entity_id)))).map(brief));
  check('recorded_by is the session user, whatever its name', ['postgres', 'pâyroll "x"\\y', 'payroll "x"\\y']
    .filter(name => !rows.some(r => r.recorded_by === name)));
  check("the digest is the same under every session's settings", sessions.flatMap(settings => {
    const [wrong] = psql(`${setAll(settings)}SELECT pg_catalog.count(*) FROM spine.events e WHERE spine.event_digest(e) OPERATOR(pg_catalog.<>) event_hash;`);
    return wrong === '0' ? [] : [`${JSON.stringify(settings)}: ${wrong} differ`];
  }));
  check('spine.verify_chain finds every chain intact', psql('SELECT organization_id FROM spine.verify_chain() WHERE intact IS NOT TRUE;'));

  const changes = { payload: () => '{"forged":true}', payload_salt: salt => salt.replace(/^./, digit => (digit === '0' ? '1' : '0')), personal: () => '{"forged":true}',
    occurred_at: t => String(BigInt(t ?? 0) + 1n), correlation_id: () => randomUUID(), causation_id: () => randomUUID(), timestamp: t => String(BigInt(t) + 1n), actor_id: () => randomUUID(), severity: s => (s === 'low' ? 'high' : 'low'),
    recorded_by: name => `${name} `, transaction_id: id => `${id}0`, event_hash: () => sha256('x') };
  check('a change of any column of an exported event is seen', Object.entries(changes).flatMap(([column, change]) => {
    const victim = 1 + below(rows.length - 1);
    const forged = rows.map((row, i) => (i === victim ? { ...row, [column]: change(row[column]) } : row));
    return judgeAll(forged).tampered.includes(forged[victim]) ? [] : [column];
  }));
  check('an exported event that is left out is seen', judgeAll(rows.filter((_, i) => i !== 3)).tampered.length === 1 ? [] : ['not seen']);
}

// --- CloudEvents -------------------------------------------------------------------------------------------------

// The hashed document, from nothing but the CloudEvent: docs/standards.md.
function documentOfCloudEvent(cloud) {
  return { id: cloud.id, event_type: cloud.type, domain: cloud.domain, entity_type: cloud.entitytype, entity_id: cloud.entityid, action: cloud.action,
    actor_id: cloud.actorid, actor_type: cloud.actortype, organization_id: cloud.organizationid, environment: cloud.environment, timestamp: cloud.time,
    severity: cloud.severity, payload_hash: cloud.payloadhash ?? partHash(cloud.payloadsalt, JSON.stringify(cloud.data)), sequence: Number(cloud.sequence), transaction_id: cloud.transactionid, recorded_by: cloud.recordedby,
    previous_hash: cloud.previoushash, ...(cloud.personalhash && { personal_hash: cloud.personalhash }),
    ...(cloud.occurredat && { occurred_at: cloud.occurredat }), ...(cloud.correlationid && { correlation_id: cloud.correlationid }),
    ...(cloud.causationid && { causation_id: cloud.causationid }) };
}
const hashesRight = cloud => sha256(canonicalize(documentOfCloudEvent(cloud))) === cloud.eventhash;
const refusal = action => { try { action(); return null; } catch (error) { return String(error.message); } };
const receive = body => HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body });
const sorted = object => JSON.stringify(Object.entries(object).filter(([, value]) => value !== undefined).sort());

function checkCloudEvents() {
  const texts = fromHex(psql(`SELECT ${asHex('spine.to_cloudevent(e)::text')} FROM spine.events e ORDER BY organization_id, sequence;`));
  const clouds = texts.map(text => JSON.parse(text));
  const brief = cloud => `${cloud.source} ${cloud.sequence}`;
  check(`CloudEvents: the official SDK and its schema take all ${clouds.length} events`,
    clouds.map(cloud => refusal(() => new CloudEvent(cloud))).filter(why => why !== null));
  check('CloudEvents: they refuse an event without a type, a time that is none and an attribute of another name',
    [{ ...clouds[0], type: undefined }, { ...clouds[0], time: 'yesterday' }, { ...clouds[0], event_hash: '' }].filter(bad => refusal(() => new CloudEvent(bad)) === null).map(brief));
  check('CloudEvents: attributes are strings under names of at most 20 letters and digits', clouds.flatMap(cloud =>
    Object.entries(cloud).filter(([name, value]) => !/^[a-z0-9]{1,20}$/.test(name) || (name !== 'data' && typeof value !== 'string')).map(([name]) => name)));
  // The JavaScript SDK keeps times to the millisecond, coming and going.
  const rounded = cloud => sorted({ ...cloud, time: `${cloud.time.slice(0, 23)}Z` });
  check('CloudEvents: HTTP structured mode brings each, valid and with all that it holds but the microseconds', texts.filter((text, i) =>
    refusal(() => receive(text).validate()) !== null || sorted(receive(text)) !== rounded(clouds[i])));
  check('CloudEvents: and sends it on so', clouds.filter(cloud => sorted(JSON.parse(HTTP.structured(new CloudEvent(cloud)).body)) !== rounded(cloud)).map(brief));
  const judged = clouds.filter((cloud, i) => doublesHold(texts[i]));
  check(`CloudEvents: event_hash follows from the CloudEvent alone, for the ${judged.length} that doubles hold`,
    judged.length < 2000 ? [`only ${judged.length}`] : judged.filter(cloud => !hashesRight(cloud)).map(brief));
  check('CloudEvents: each holds the hash of the one before in its source', clouds.filter((cloud, i) =>
    cloud.previoushash !== (clouds[i - 1]?.source === cloud.source ? clouds[i - 1].eventhash : '0'.repeat(64))).map(brief));
  check('CloudEvents: "sequence" sorts within a source as the events do', clouds.filter((cloud, i) =>
    clouds[i - 1]?.source === cloud.source && clouds[i - 1].sequence >= cloud.sequence).map(brief));
  check('CloudEvents: source and id name one event', new Set(clouds.map(cloud => `${cloud.source} ${cloud.id}`)).size === clouds.length ? [] : ['twice']);
  // These say again what others do.
  const derived = { specversion: () => '1.0', datacontenttype: () => 'application/json', subject: cloud => `${cloud.entitytype}/${cloud.entityid}`,
    source: cloud => `/people_os/${cloud.environment}/organizations/${cloud.organizationid}` };
  check('CloudEvents: what is not hashed follows from what is',
    clouds.flatMap(cloud => Object.entries(derived).filter(([name, from]) => cloud[name] !== from(cloud)).map(([name]) => `${brief(cloud)}: ${name}`)));
  check('CloudEvents: a change of any other attribute is seen', Object.keys(judged[0]).filter(name => !(name in derived)).filter(name =>
    hashesRight({ ...judged[0], [name]: { data: { forged: true }, sequence: '9'.repeat(16), payloadsalt: '0'.repeat(32) }[name] ?? `${judged[0][name]}0` })));
  const digest = "SELECT pg_catalog.md5(pg_catalog.string_agg(spine.to_cloudevent(e)::pg_catalog.text, ',' ORDER BY organization_id, sequence)) FROM spine.events e;";
  const [expected] = psql(digest);
  check("CloudEvents: they are the same under every session's settings",
    sessions.filter(settings => psql(`${setAll(settings)}${digest}`)[0] !== expected).map(settings => JSON.stringify(settings)));
}

// --- Numbers that doubles do not hold --------------------------------------------------------------------------

function checkInexactNumbers() {
  const organization = randomUUID();
  const payloads = ['{"n":1}', '{"n":12345678901234567890}', '{"n":0.1000000000000000055}', '{"deep":[{"n":-333333333.33333329}]}', '{"n":"12345678901234567890"}',
    '{"n":1e-324}', '{"n":9e308}', '{"n":9007199254740993, "m":1.5}', '{"n":1.50}'];
  const held = payloads.filter(doublesHold).length;
  psql(payloads.map(payload => `SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), actor_id => gen_random_uuid(),
    organization_id => '${organization}', payload => ${quote(payload)}) \\g /dev/null\n`).join(''));
  const rows = exportRows(`organization_id = '${organization}'`);
  const verdicts = judgeAll(rows);
  check('events with numbers that a double does not hold cannot be judged with doubles, and are not called tampered',
    verdicts.tampered.map(brief).concat(verdicts.undecided.length === payloads.length - held ? [] : [`${verdicts.undecided.length} undecided`]));
  check('the events around them are judged', verdicts.intact.length === held ? [] : [`${verdicts.intact.length} of ${held} intact`]);
  check('with their exact digits they are right: SHA-256 of spine.canonical_event is event_hash', psql(`
    SELECT sequence FROM spine.events e WHERE organization_id = '${organization}'
       AND sha256(convert_to(spine.canonical_event(e), 'UTF8')) <> event_hash;`));
  check('a broken link at such an event is still seen',
    judgeAll(rows.map((row, i) => (i === 1 ? { ...row, previous_hash: sha256('x') } : row))).tampered.length === 1 ? [] : ['not seen']);
}

// --- Random documents against the server's own JSON ----------------------------------------------------------

// A number that may lie anywhere that a numeric reaches, near the borders between the ways to write it above all.
function randomWildNumber() {
  const digits = length => Array.from({ length }, () => pick([...'0000999912345678'])).join('');
  const whole = pick(['0', String(1 + below(9)), `${1 + below(9)}${digits(below(30))}`]);
  const fraction = pick(['', `.${digits(1 + below(12))}`, `.${'0'.repeat(below(12))}${digits(1 + below(40))}`]);
  const exponent = pick(['', '', `e${below(60) - 30}`, `E+${below(25)}`, `e-${below(400)}`, `e${pick([4, 16, 20, 21, 22, 308, 309, 2000])}`]);
  return pick(['', '-']) + whole + fraction + exponent;
}

function randomDocument(depth) {
  const key = () => JSON.stringify(randomText(below(4) === 0 ? 40 : 3));
  const scalar = [randomWildNumber, randomWildNumber, randomNumber, () => JSON.stringify(randomText(20)), () => pick(['null', 'true', 'false', '""', '"\\u0001"'])];
  const object = () => `{${Array.from({ length: below(pick([2, 5, 70])) }, () => `${key()}:${randomDocument(depth - 1)}`).join(',')}}`;
  const array = () => `[${Array.from({ length: below(pick([2, 5, 70])) }, () => randomDocument(depth - 1)).join(' ,')}]`;
  return pick(depth > 0 ? [...scalar, object, object, array, array] : scalar)();
}

function checkRandomDocuments(count) {
  const documents = Array.from({ length: count }, () => randomDocument(below(4)));
  psql(`CREATE TABLE documents (n int, j jsonb);`);
  for (let from = 0; from < count; from += 2000)
    psql(documents.slice(from, from + 2000).map((json, i) => `INSERT INTO documents VALUES (${from + i}, ${quote(json)});`).join('\n'));
  const brief = n => documents[n].slice(0, 200);
  check(`${count} random documents: the server reads the canonical text as the same value`,
    psql('SELECT n FROM documents WHERE spine.canonical_json(j)::jsonb IS DISTINCT FROM j;').map(brief));
  check('so it does of scalars, by their type, and of numbers as numeric', psql(`SELECT n FROM documents
    WHERE jsonb_typeof(spine.canonical_json(j)::jsonb) <> jsonb_typeof(j)
       OR (jsonb_typeof(j) = 'number' AND spine.canonical_json(j)::numeric <> j::text::numeric);`).map(brief));
  check('a canonical text is its own canonical form',
    psql('SELECT n FROM documents WHERE spine.canonical_json(spine.canonical_json(j)::jsonb) <> spine.canonical_json(j);').map(brief));
  check('equal values have one canonical text', psql(`SELECT n FROM documents
    WHERE spine.canonical_json(jsonb_build_array(j, j::text::jsonb)) <> '[' || spine.canonical_json(j) || ',' || spine.canonical_json(j) || ']';`).map(brief));
  const answers = fromHex(psql(`SELECT ${asHex('spine.canonical_json(j)')} FROM documents ORDER BY n;`));
  const held = documents.map((json, n) => n).filter(n => doublesHold(documents[n]));
  check(`an independent canonicalizer agrees on the ${held.length} of them that doubles hold`,
    held.length < count / 4 ? [`only ${held.length}`] : held.filter(n => canonicalize(JSON.parse(documents[n])) !== answers[n]).map(brief));
}

const roles = ['"pâyroll ""x""\\y"', '"payroll ""x""\\y"'];
const clean = () => {
  psql(`DROP DATABASE IF EXISTS ${database};`, 'postgres');
  psql(roles.map(role => `DROP ROLE IF EXISTS ${role};\n`).join(''), 'postgres');
};

try {
  checkVectorsAlone();
  clean();
  psql(`CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'UTF8';`, 'postgres');
  psql(`CREATE EXTENSION people_os_spine; ALTER DATABASE ${database} SET people_os_spine.environment = 'test';
    CREATE SCHEMA hostile; CREATE FUNCTION hostile.encode(bytea, text) RETURNS text LANGUAGE sql AS $$ SELECT 'hostile' $$;
    CREATE FUNCTION hostile.differ(bytea, bytea) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
    CREATE OPERATOR hostile.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = hostile.differ);`);
  psql(roles.map(role => `CREATE ROLE ${role} SUPERUSER;\n`).join(''));
  checkExtensionOnVectors();
  checkRandomEvents(2000);
  checkInexactNumbers();
  checkCloudEvents();
  checkRandomDocuments(20000);
  clean();
} catch (error) {
  check('the checks ran to their end', [String(error.stack).replaceAll('\n', '\n# ')]);
}
console.log(`1..${checks}`);
process.exitCode = failures === 0 ? 0 : 1;
