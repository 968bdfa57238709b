// A consumer that takes its time: slow.mjs SUBSCRIPTION first|together
import { setTimeout as sleep } from 'node:timers/promises';
import { copy } from '../consume.mjs';
import { Consumer } from '../consumer.mjs';

const [subscription, mode] = process.argv.slice(2);
await new Consumer(subscription, async (client, batch) => {
  await sleep(20);
  await copy(client, batch);
  await sleep(20);
  process.stdout.write(`${batch.events.length}\n`);
}, { connection: { user: 'spine_consumer', application_name: subscription }, maxEvents: 10, takeFirst: mode === 'first', pollEvery: 100, firstWait: 20, longestWait: 300 }).run();
