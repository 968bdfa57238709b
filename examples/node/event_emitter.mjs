// Emits events of people_os_spine in the transaction that the caller has open on a Client of pg. An error is pg's, its
// SQLSTATE in code: the caller's transaction has failed, and is to be rolled back.

const types = { event_type: 'text', entity_id: 'uuid', entity_type: 'text', action: 'text', actor_id: 'uuid', payload: 'jsonb',
  organization_id: 'uuid', actor_type: 'spine.actor_type', severity: 'spine.severity', environment: 'spine.environment' };

// Emits one event and resolves to its id. event: by the names of the arguments of spine.emit_event; what is missing comes
// from event_type, or from the context. payload: an object, or a string that is JSON already, for numbers that JavaScript
// does not hold. A BigInt, NaN and infinity are refused (TypeError).
export async function emitEvent(client, event) {
  const { payload } = event;
  return call(client, 'emit_event', { ...event, payload: typeof payload === 'object' && payload !== null ? JSON.stringify(payload, finite) : payload });
}

// Says for the rest of the transaction whose events these are and who acts.
export async function setContext(client, { organization_id, actor_id, actor_type = 'human' }) {
  await call(client, 'set_context', { organization_id, actor_id, actor_type });
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
function finite(key, value) {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`the payload holds ${value} under "${key}", which JSON cannot`);
  return value;
}
