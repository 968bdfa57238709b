// Emits events of people_os_spine in the transaction that the caller has open on a Client of pg. An error is pg's, its
// SQLSTATE in code: the caller's transaction has failed, and is to be rolled back.

/**
 * @typedef {Record<string, unknown> | string} Part an object, or a text that is JSON already
 * @typedef {'human' | 'system' | 'pipeline'} ActorType
 *
 * @typedef {object} Event by the names of the arguments of spine.emit_event
 * @property {string} event_type
 * @property {string} entity_id
 * @property {string | null} [entity_type]
 * @property {string | null} [action]
 * @property {string | null} [actor_id]
 * @property {Part | null} [payload]
 * @property {string | null} [organization_id]
 * @property {ActorType | null} [actor_type]
 * @property {'low' | 'medium' | 'high' | 'critical' | null} [severity]
 * @property {'dev' | 'test' | 'stage' | 'prod' | null} [environment]
 * @property {Part | null} [personal] what speaks of persons
 * @property {Date | string | null} [occurred_at] a text with its time zone
 * @property {string | null} [correlation_id]
 * @property {string | null} [causation_id]
 *
 * @typedef {object} Context whose events these are, who acts, and which request or trace it is
 * @property {string | null} organization_id
 * @property {string | null} actor_id
 * @property {ActorType} [actor_type]
 * @property {string | null} [correlation_id]
 */

/** @type {Record<string, string>} */
const types = { event_type: 'text', entity_id: 'uuid', entity_type: 'text', action: 'text', actor_id: 'uuid', payload: 'jsonb',
  organization_id: 'uuid', actor_type: 'spine.actor_type', severity: 'spine.severity', environment: 'spine.environment',
  personal: 'jsonb', occurred_at: 'timestamptz', correlation_id: 'uuid', causation_id: 'uuid' };

/**
 * Emits one event and resolves to its id. What is missing comes from event_type, or from the context. A part that is a text
 * is JSON already, for numbers that JavaScript does not hold. A BigInt, NaN and infinity are refused (TypeError).
 * @param {import('pg').ClientBase} client
 * @param {Event} event
 * @returns {Promise<string>}
 */
export async function emitEvent(client, event) {
  /** @type {Record<string, unknown>} */
  const arguments_ = { ...event };
  for (const part of ['payload', 'personal'])
    if (typeof arguments_[part] === 'object' && arguments_[part] !== null)
      arguments_[part] = JSON.stringify(arguments_[part], (key, value) => finite(part, key, value));
  return call(client, 'emit_event', arguments_);
}

/**
 * Says for the rest of the transaction whose events these are, who acts, and which request or trace it is.
 * @param {import('pg').ClientBase} client
 * @param {Context} context
 */
export async function setContext(client, { organization_id, actor_id, actor_type = 'human', correlation_id = null }) {
  await call(client, 'set_context', { organization_id, actor_id, actor_type, correlation_id });
}

/**
 * @param {import('pg').ClientBase} client
 * @param {string} name
 * @param {Record<string, unknown>} values
 * @returns {Promise<string>}
 */
async function call(client, name, values) {
  // A pool would take another connection than the one that has the transaction.
  if ('totalCount' in client) throw new TypeError('pass a client of the pool, not the pool: the event belongs to its transaction');
  const names = Object.keys(values);
  const unknown = names.find(key => !(key in types));
  if (unknown !== undefined) throw new TypeError(`spine.${name} has no argument ${unknown}`);
  const list = names.map((key, i) => `${key} => $${i + 1}::${types[key]}`).join(', ');
  const { rows } = await client.query({ text: `SELECT spine.${name}(${list})::text`, values: Object.values(values), rowMode: 'array' });
  return rows[0][0];
}

/**
 * JSON.stringify would make null of them.
 * @param {string} part
 * @param {string} key
 * @param {unknown} value
 */
function finite(part, key, value) {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`the ${part} holds ${value} under "${key}", which JSON cannot`);
  return value;
}
