// A consumer that takes its time: slow.mjs SUBSCRIPTION first|together
import { copy } from '../consume.mjs';
import { Consumer } from '../consumer.mjs';

const [subscription, mode] = process.argv.slice(2);
await new Consumer(subscription, async (client, batch) => {
  await copy(client, batch);
  await client.query('SELECT pg_sleep(0.1)');
  process.stdout.write(`${batch.events.length}\n`);
}, { connection: { user: 'spine_consumer', application_name: subscription }, maxEvents: 10, takeFirst: mode === 'first', pollEvery: 100, firstWait: 20, longestWait: 300 }).run();
