// What a TypeScript program may write, and what not: tsc reads it against the package.
import pg from 'pg';
import { emitEvent, setContext } from 'people-os-spine';
import { runWithContext, transaction } from 'people-os-spine/context';
import { Consumer, type Batch, type Report } from 'people-os-spine/consumer';

const pool = new pg.Pool();
const client = await pool.connect();
const id: string = await emitEvent(client, { event_type: 'hcm.employee.created', entity_id: '', payload: { a: 1 }, occurred_at: new Date(), severity: null });
await setContext(client, { organization_id: '', actor_id: null, actor_type: 'system' });
const n: number = await runWithContext({ organization_id: '', actor_id: '' }, () => transaction(pool, async c => (await c.query('')).rowCount ?? 0));
const consumer = new Consumer('billing', async (c, batch: Batch) => c.query('', [batch.events[0].sequence, id, n]), { takeFirst: true, report: (r: Report) => r.events_behind });
await consumer.run({ signals: ['SIGTERM'] });

// @ts-expect-error entity_id is missing
await emitEvent(client, { event_type: 'hcm.employee.created' });
// @ts-expect-error no such argument
await emitEvent(client, { event_type: 'hcm.employee.created', entity_id: '', entityId: '' });
// @ts-expect-error no such severity
await emitEvent(client, { event_type: 'hcm.employee.created', entity_id: '', severity: 'urgent' });
// @ts-expect-error a pool is not a client
await emitEvent(pool, { event_type: 'hcm.employee.created', entity_id: '' });
// @ts-expect-error no such option
new Consumer('billing', async () => {}, { maxevents: 5 });
