// JSON without loss, and the hashes of an event, by docs/hash.md.

// A number as its digits stand, which a double may not hold.
export class Digits {
  constructor(text) {
    this.text = text;
  }
}

export const canParse = (() => {
  let source;
  JSON.parse('1', (name, value, context) => {
    source = context?.source;
  });
  return source === '1';
})();

// Without the digits, numbers are shown as doubles; hashes are not computed then.
export const parse = text =>
  JSON.parse(text, (name, value, context) =>
    typeof value === 'number' && canParse ? new Digits(context.source) : value,
  );

export function canonical(value) {
  if (value instanceof Digits) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  // sort compares by UTF-16 code units.
  return `{${Object.keys(value)
    .sort()
    .map(name => `${JSON.stringify(name)}:${canonical(value[name])}`)
    .join()}}`;
}

const hexOf = bytes => Array.from(new Uint8Array(bytes), byte => byte.toString(16).padStart(2, '0')).join('');
const bytesOf = hex => Uint8Array.from(hex.match(/../g) ?? [], byte => parseInt(byte, 16));

async function sha256(salt, text) {
  const [front, back] = [bytesOf(salt), new TextEncoder().encode(text)];
  const bytes = new Uint8Array(front.length + back.length);
  bytes.set(front);
  bytes.set(back, front.length);
  return hexOf(await crypto.subtle.digest('SHA-256', bytes));
}

const NOT_HASHED = new Set(['event_hash', 'payload', 'payload_salt', 'personal', 'personal_salt']);

// The hashes that an event has by its own content: of the event, and of each part that is shown.
export async function hashesOf(event) {
  const document = Object.fromEntries(Object.entries(event).filter(([name]) => !NOT_HASHED.has(name)));
  const part = name => (event[name] === undefined ? null : sha256(event[`${name}_salt`], canonical(event[name])));
  const [event_hash, payload_hash, personal_hash] = await Promise.all([
    sha256('', canonical(document)),
    part('payload'),
    part('personal'),
  ]);
  return {event_hash, payload_hash, personal_hash};
}
