// Started by bench/console: node console.mjs EVENTS. DATABASE names one that was filled before.
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import puppeteer from 'puppeteer-core';
import {Client, database, password, start} from './setting.mjs';

const events = Number(process.argv[2]);
const times = Number(process.env.TIMES ?? 9);
const organizations = Math.min(100, Math.max(3, Math.round(events / 50_000)));
const median = values => values.sort((a, b) => a - b)[values.length >> 1];

let name = process.env.DATABASE;
if (!name) {
  const db = await database((name = 'console_bench'));
  await db.past(events, organizations, 60);
  await db.role('auditor', ['grant_auditor', 'true']);
  await db.sql('SELECT spine.refresh_dashboards()');
  await db.sql('VACUUM ANALYZE');
  await db.sql('SELECT count(*) FROM spine.record_verification()');
  await db.end();
}
const console_ = await start(name);
const memory = () =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${console_.pid}/status`, 'utf8'))[1]) / 1024);

const client = new Client(console_.origin);
await client.logIn('auditor');
const [{organization_id: one, events: head}] = (await client.get('/organizations')).filter(
  ({events: n}) => Number(n) > 10,
);
const middle = Math.floor(Number(head) / 2);
const event = await client.get(`/events/${one}/${middle}`);

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
  userDataDir: join(process.env.WORK, 'bench-profile'),
});
const tab = await browser.newPage();
await tab.goto(`${console_.origin}/`);
await tab.waitForSelector('#user');
await tab.type('#user', 'auditor');
await tab.type('#password', password);
await tab.keyboard.press('Enter');
await tab.waitForSelector('#top:not([hidden])');

const day = days => new Date(Date.now() - days * 86400_000).toISOString().slice(0, 16);
const pages = {
  overview: '/',
  'events of all': '/events',
  'events of one organization': `/events?organization=${one}`,
  'events of high severity': '/events?severity=high',
  'events of a day a month ago': `/events?from=${day(31)}&to=${day(30)}`,
  'the same, of one organization': `/events?organization=${one}&from=${day(31)}&to=${day(30)}`,
  'events of one entity': `/events?entity=${event.entity_id}`,
  'critical events': '/events?severity=critical',
  'an event': `/events/${one}/${middle}`,
  'an entity': `/entities/${event.domain}.${event.entity_type}/${event.entity_id}`,
  chains: '/chains',
  'a chain': `/chains/${one}`,
  findings: '/findings',
  feed: '/feed',
};
console.log(
  `${events} events; milliseconds, medians of ${times}\n| page | first paint | all is there | the server's longest answer |\n|---|---|---|---|`,
);
for (const [title, path] of Object.entries(pages)) {
  const taken = {paint: [], ready: [], server: []};
  for (let i = 0; i <= times; i++) {
    await tab.goto(console_.origin + path);
    await tab.waitForFunction(
      () =>
        document.querySelector('main').dataset.state === 'ready' &&
        performance.getEntriesByName('first-contentful-paint').length > 0,
      {polling: 20, timeout: 60_000},
    );
    const told = await tab.evaluate(() => ({
      paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
      ready: performance.getEntriesByName('page ready').at(-1).startTime,
      server: Math.max(
        0,
        ...performance
          .getEntriesByType('resource')
          .flatMap(({serverTiming}) => serverTiming.map(({duration}) => duration)),
      ),
    }));
    // The first one warms the caches up.
    if (i > 0) for (const key of Object.keys(taken)) taken[key].push(told[key]);
  }
  console.log(`| ${title} | ${['paint', 'ready', 'server'].map(key => Math.round(median(taken[key]))).join(' | ')} |`);
}
await browser.close();

const before = memory();
const feeds = [];
for (let user = 0; user < 20; user++) {
  const own = new Client(console_.origin);
  await own.logIn('auditor');
  for (let i = 0; i < 5; i++) {
    let begun;
    const begins = new Promise(resolve => {
      begun = resolve;
    });
    feeds.push(
      own.stream('/api/feed', ({event: kind}) => {
        if (kind === 'begin') begun();
      }),
    );
    await begins;
  }
}
await new Promise(resolve => setTimeout(resolve, 20_000));
console.log(`memory: ${before} MB before, ${memory()} MB with ${feeds.length} feeds of 20 users`);
await console_.stop();
process.exit(0);
