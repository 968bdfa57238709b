// Writes evidence files by docs/evidence.md and docs/hash.md, with Node's crypto and nothing of the spine, so that
// reader and writer of a test are not one program. Trees are made as RFC 6962, section 2.1, defines them.

import {createHash, createPrivateKey, createPublicKey, sign} from 'node:crypto';

export const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const hex = bytes => bytes.toString('hex');
const base64 = bytes => bytes.toString('base64');
const leafHash = data => sha256(Buffer.of(0), data);
const nodeHash = (left, right) => sha256(Buffer.of(1), left, right);

// A number as its digits stand, which a double may not hold.
export class Digits {
  constructor(text) {
    this.text = text;
  }
}

export function canonical(value) {
  if (value instanceof Digits) return value.text;
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  // Array.sort compares by UTF-16 code units.
  return `{${Object.keys(value).sort().map(name => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
}

// ---- Trees

export class Tree {
  constructor(leaves) {
    this.leaves = leaves;
    this.perfect = new Map();
  }

  get size() {
    return this.leaves.length;
  }

  // The root of the leaves from begin up to end.
  root(begin = 0, end = this.size) {
    if (end - begin === 1) return this.leaves[begin];
    const key = `${begin} ${end}`;
    if (!this.perfect.has(key)) {
      const middle = begin + largestPowerBelow(end - begin);
      this.perfect.set(key, nodeHash(this.root(begin, middle), this.root(middle, end)));
    }
    return this.perfect.get(key);
  }

  proof(index, begin = 0, end = this.size) {
    if (end - begin === 1) return [];
    const middle = begin + largestPowerBelow(end - begin);
    return index < middle ? [...this.proof(index, begin, middle), this.root(middle, end)] : [...this.proof(index, middle, end), this.root(begin, middle)];
  }

  range(begin, end) {
    return rangeWidths(BigInt(begin), BigInt(end)).map(([at, width]) => this.root(Number(at), Number(at + width)));
  }
}

function largestPowerBelow(count) {
  let power = 1;
  while (2 * power < count) power *= 2;
  return power;
}

// Begin and width of the fewest perfect subtrees from leaf begin up to end.
export function rangeWidths(begin, end) {
  const found = [];
  for (let at = begin; at < end;) {
    let width = 1n;
    while (at % (2n * width) === 0n && at + 2n * width <= end) width *= 2n;
    found.push([at, width]);
    at += width;
  }
  return found;
}

// The root of a tree of which hashes of perfect subtrees are given, all of them, from left to right: [begin, width, hash].
export function rootOf(subtrees) {
  const done = [];
  for (let [begin, width, hash] of subtrees) {
    while (done.length > 0 && done.at(-1)[1] === width && begin % (2n * width) !== 0n) {
      const left = done.pop();
      [begin, width, hash] = [left[0], 2n * width, nodeHash(left[2], hash)];
    }
    done.push([begin, width, hash]);
  }
  return done.map(node => node[2]).reduceRight((right, left) => nodeHash(left, right));
}

// ---- Keys

export class Key {
  // type: 1 of a log, 4 of a witness. The key is made of the seed's text.
  constructor(name, type = 1, seed = name) {
    this.name = name;
    this.type = type;
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), sha256(seed)]);
    this.privateKey = createPrivateKey({key: der, format: 'der', type: 'pkcs8'});
    const material = Buffer.concat([Buffer.of(type), createPublicKey(this.privateKey).export({format: 'der', type: 'spki'}).subarray(-32)]);
    this.id = sha256(name, '\n', material).subarray(0, 4);
    this.vkey = `${name}+${hex(this.id)}+${base64(material)}`;
  }

  line(text, time = 1768815000n) {
    const signature = this.type === 1 ? [sign(null, Buffer.from(text), this.privateKey)]
      : [Buffer.from(time.toString(16).padStart(16, '0'), 'hex'), sign(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), this.privateKey)];
    return `— ${this.name} ${base64(Buffer.concat([this.id, ...signature]))}\n`;
  }
}

// ---- Events

export const uuid = (kind, number) => `00000000-0000-4000-8000-${kind}${number.toString(16).slice(-11).padStart(12 - kind.length, '0')}`;
const salt = text => sha256('salt', text).subarray(0, 16);

// An event of a chain. `given` has columns of spine.events, payload and personal; `hide` the parts that are not shown.
export function event(organization, sequence, previous, {payload = {}, personal, ...given} = {}) {
  const type = given.event_type ?? 'hcm.employee.created';
  const [domain, entity_type, action] = type.split('.');
  const minutes = Number(BigInt(sequence) % 1000000n);
  const document = {
    action, actor_id: uuid('a', 1), actor_type: 'human', domain, entity_id: uuid('e', sequence % 7n), entity_type, environment: 'prod', event_type: type,
    id: uuid('d', sequence), organization_id: organization, previous_hash: hex(previous), recorded_by: 'payroll', sequence: BigInt(sequence), severity: 'low',
    timestamp: `${new Date(1768815000000 + minutes * 60000).toISOString().slice(0, 19)}.000000Z`, transaction_id: String(771 + minutes), ...given,
  };
  const parts = {};
  for (const [name, value] of Object.entries({payload, personal})) {
    if (value === undefined) continue;
    const text = canonical(value);
    const bytes = salt(`${organization} ${sequence} ${name}`);
    document[`${name}_hash`] = hex(sha256(bytes, text));
    parts[name] = {[name]: value, [`${name}_salt`]: hex(bytes)};
  }
  const hash = sha256(canonical(document));
  return {
    sequence: BigInt(sequence), hash,
    object: (hide = []) => canonical({...document, event_hash: hex(hash), ...Object.fromEntries(Object.entries(parts).filter(([name]) => !hide.includes(name)).flatMap(([, part]) => Object.entries(part)))}),
  };
}

// A chain with these events, each as `given` of event().
export function chain(organization, list) {
  const events = [];
  for (const [i, given] of list.entries()) events.push(event(organization, BigInt(i + 1), i === 0 ? Buffer.alloc(32) : events[i - 1].hash, given));
  const tree = new Tree(events.map(({hash}) => leafHash(hash)));
  return {organization, events, tree, size: BigInt(events.length), root: tree.root(), head: events.at(-1).hash};
}

// The few events of a chain of any size that begin at `first`: what is before and after is made up.
export function hugeChain(organization, size, first, list) {
  const events = [];
  for (const [i, given] of list.entries()) events.push(event(organization, first + BigInt(i), i === 0 ? sha256('before') : events[i - 1].hash, given));
  const last = first + BigInt(events.length) - 1n;
  const made = ([begin, width]) => [begin, width, sha256(`subtree ${begin} ${width}`)];
  const before = rangeWidths(0n, first - 1n).map(made), after = rangeWidths(last, size).map(made);
  const root = rootOf([...before, ...events.map(({hash}, i) => [first - 1n + BigInt(i), 1n, leafHash(hash)]), ...after]);
  const stretch = {after: after.map(([, , hash]) => hex(hash)), before: before.map(([, , hash]) => hex(hash)), first, last};
  return {organization, events, size, root, head: last === size ? events.at(-1).hash : sha256('head'), stretch};
}

// ---- A bundle

// The lines of a bundle, without line feeds. chains: all of the database. show: for each of some organizations what is
// shown of it, {stretch: [first, last], hide} or {single: sequence, hide}. earlier: older entries of the directory log, later: newer ones.
// unsorted: the tree of chains is in the order of `chains`, as no honest database has it.
export function bundle({chains, show, log = new Key('spine.example.com/hr'), witnesses = [], origin = log.name, header = {}, earlier = 2, later = 0, taken = '2026-01-19T10:30:00.000000Z', extra = '', unsorted = false}) {
  const sorted = unsorted ? chains : [...chains].sort((a, b) => a.organization < b.organization ? -1 : 1);
  const directory = new Tree(sorted.map(({organization, size, root, head}) => leafHash(`${organization}\n${size}\n${base64(root)}\n${base64(head)}\n`)));
  const entryText = number => `people_os_spine directory v1\n${number}\n${sorted.length}\n${base64(number === earlier + 1 ? directory.root() : sha256(`root ${number}`))}\n${taken}\n` +
    '7412345678901234567 1 0b9f6d3e-7c1a-4a55-9d3e-1f2e3d4c5b6a\n';
  const entries = new Tree(Array.from({length: earlier + 1 + later}, (_, i) => leafHash(entryText(i + 1))));
  const text = `${origin}\n${entries.size}\n${base64(entries.root())}\n${extra}`;
  const lines = [
    canonical({evidence: {created: '2026-01-19T11:00:00.000000Z', format: 1, reason: 'audit 2026', selection: {domain: 'hcm'}, ...header}}),
    canonical({checkpoint: `${text}\n${[log, ...witnesses].map(key => key.line(text)).join('')}`}),
    canonical({directory: {entry: entryText(earlier + 1), index: earlier, proof: entries.proof(earlier).map(hex)}}),
  ];
  let count = 0;
  for (const [index, {organization, size, root, head, tree, events, stretch: made}] of sorted.entries()) {
    if (!show[organization]) continue;
    lines.push(canonical({chain: {head_hash: hex(head), index, organization_id: organization, proof: directory.proof(index).map(hex), root: hex(root), size}}));
    for (const {stretch, single, hide = []} of show[organization]) {
      // Of a chain that is made up, all events that there are.
      const first = stretch ? stretch[0] : single, last = stretch ? stretch[1] : single;
      const chosen = made ? events : events.slice(first - 1, last);
      const hidden = ({sequence}) => Array.isArray(hide) ? hide : hide(sequence);
      if (made) lines.push(canonical({stretch: made}));
      else if (stretch) lines.push(canonical({stretch: {after: tree.range(last, Number(size)).map(hex), before: tree.range(0, first - 1).map(hex), first, last}}));
      for (const one of chosen) lines.push(stretch ? `{"event":${one.object(hidden(one))}}` : `{"event":${one.object(hidden(one))},"proof":${canonical(tree.proof(single - 1).map(hex))}}`);
      count += chosen.length;
    }
  }
  lines.push(canonical({end: {events: count}}));
  return lines;
}

export const fileOf = lines => lines.map(line => `${line}\n`).join('');
