// Emits events of people_os_spine in the transaction that the caller has open on a Client of pg. An error is pg's, its
// SQLSTATE in code: the caller's transaction has failed, and is to be rolled back.

const types = { event_type: 'text', entity_id: 'uuid', entity_type: 'text', action: 'text', actor_id: 'uuid', payload: 'jsonb',
  organization_id: 'uuid', actor_type: 'spine.actor_type', severity: 'spine.severity', environment: 'spine.environment',
  personal: 'jsonb', occurred_at: 'timestamptz', correlation_id: 'uuid', causation_id: 'uuid' };

// Emits one event and resolves to its id. event: by the names of the arguments of spine.emit_event; what is missing comes
// from event_type, or from the context. payload: an object, or a string that is JSON already, for numbers that JavaScript
// does not hold. A BigInt, NaN and infinity are refused (TypeError). personal: likewise, what speaks of persons. occurred_at: a Date, or a text with its time zone.
export async function emitEvent(client, event) {
  const arguments_ = { ...event };
  for (const part of ['payload', 'personal'])
    if (typeof event[part] === 'object' && event[part] !== null) arguments_[part] = JSON.stringify(event[part], (key, value) => finite(part, key, value));
  return call(client, 'emit_event', arguments_);
}

// Says for the rest of the transaction whose events these are, who acts, and which request or trace it is.
export async function setContext(client, { organization_id, actor_id, actor_type = 'human', correlation_id = null }) {
  await call(client, 'set_context', { organization_id, actor_id, actor_type, correlation_id });
}

async function call(client, name, values) {
  // A pool would take another connection than the one that has the transaction.
  if (typeof client.totalCount === 'number') throw new TypeError('pass a client of the pool, not the pool: the event belongs to its transaction');
  const names = Object.keys(values);
  const unknown = names.find(key => !(key in types));
  if (unknown !== undefined) throw new TypeError(`spine.${name} has no argument ${unknown}`);
  const list = names.map((key, i) => `${key} => $${i + 1}::${types[key]}`).join(', ');
  const { rows } = await client.query({ text: `SELECT spine.${name}(${list})::text`, values: Object.values(values), rowMode: 'array' });
  return rows[0][0];
}

// JSON.stringify would make null of them.
function finite(part, key, value) {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`the ${part} holds ${value} under "${key}", which JSON cannot`);
  return value;
}
