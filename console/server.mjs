#!/usr/bin/env node
// Starts the console: node server.mjs --database URL [--listen HOST:PORT] [--origin URL] [--writes]. docs/console.md explains it.
import {readFileSync} from 'node:fs';
import {parseArgs} from 'node:util';
import {createServer as createPlainServer} from 'node:http';
import {createServer as createTlsServer} from 'node:https';
import {parse} from 'pg-connection-string';
import {Access} from './src/access.mjs';
import {makeApp} from './src/app.mjs';
import {Throttle} from './src/throttle.mjs';

const usage = `usage: node server.mjs --database URL [option …]
  --database URL        the database, without user and password: postgresql://host:5432/payroll, or postgresql:///payroll?host=/run/postgresql
  --listen HOST:PORT    where the console listens; 127.0.0.1:8600
  --origin URL          the address that browsers use, as https://console.example; needed unless it listens on the loopback address
  --tls-cert FILE --tls-key FILE   serves HTTPS itself
  --proxies NUMBER      how many reverse proxies stand before it, whose X-Forwarded-For counts; 0
  --writes              lets users close findings and export evidence, where their roles may
  --help                prints this`;

function refuse(message) {
  console.error(`${message}\n${usage}`);
  process.exit(2);
}

let given;
try {
  given = parseArgs({
    options: {
      database: {type: 'string'},
      listen: {type: 'string', default: '127.0.0.1:8600'},
      origin: {type: 'string'},
      'tls-cert': {type: 'string'},
      'tls-key': {type: 'string'},
      proxies: {type: 'string', default: '0'},
      writes: {type: 'boolean', default: false},
      help: {type: 'boolean', default: false},
    },
  }).values;
} catch (error) {
  refuse(error.message);
}
if (given.help) {
  console.log(usage);
  process.exit(0);
}
if (!given.database) refuse('--database is missing');
const database = parse(given.database);
if (database.user || database.password)
  refuse('--database names a user or a password: each user logs in with a role of their own');
if (!database.database) refuse('--database names no database');
const [, host, port] = /^(.*):(\d{1,5})$/.exec(given.listen) ?? refuse(`--listen is no HOST:PORT: ${given.listen}`);
if (!/^\d$/.test(given.proxies)) refuse(`--proxies is no number from 0 to 9: ${given.proxies}`);
if (!given['tls-cert'] !== !given['tls-key']) refuse('--tls-cert and --tls-key come together');

const loopback = ['127.0.0.1', 'localhost', '[::1]'];
const scheme = given['tls-cert'] ? 'https' : 'http';
if (!given.origin && !loopback.includes(host))
  refuse(`${host} is not the loopback address: --origin must say by which address browsers come`);
if (given.origin && new URL(given.origin).protocol !== 'https:' && !loopback.includes(new URL(given.origin).hostname)) {
  refuse(`--origin must be https: passwords and events would travel in the clear to ${given.origin}`);
}

const tls = scheme === 'https' ? {cert: readFileSync(given['tls-cert']), key: readFileSync(given['tls-key'])} : null;
const server = tls ? createTlsServer(tls) : createPlainServer();
const access = new Access({host: database.host, port: database.port, database: database.database, ssl: database.ssl});

server.listen(Number(port), host.replace(/^\[|\]$/g, ''), () => {
  const origins = given.origin
    ? [new URL(given.origin).origin]
    : loopback.map(name => `${scheme}://${name}:${server.address().port}`);
  server.on(
    'request',
    makeApp({access, origins, throttle: new Throttle(), proxies: Number(given.proxies), writes: given.writes}),
  );
  console.log(`console of ${database.database}: ${given.origin ?? `${scheme}://${host}:${server.address().port}`}/`);
});
server.on('error', error => {
  console.error(`cannot listen on ${given.listen}: ${error.message}`);
  process.exit(1);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    server.close();
    server.closeAllConnections();
    await access.close();
    process.exit(0);
  });
}
