// The web application: who may ask, and which question goes where.
import {fileURLToPath} from 'node:url';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import express from 'express';
import {Refusal, refusalOf} from './refusal.mjs';
import * as overview from './overview.mjs';
import * as events from './events.mjs';
import * as entities from './entities.mjs';
import * as chains from './chains.mjs';
import * as findings from './findings.mjs';
import {feed} from './feed.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const uplot = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist');

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

export function makeApp({access, origins, throttle, proxies, writes}) {
  const hosts = new Set(origins.map(origin => new URL(origin).host));
  const secure = origins.every(origin => origin.startsWith('https:'));
  const cookie = secure ? '__Host-console' : 'console';
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', proxies);
  app.set('query parser', 'simple');

  app.use((request, response, next) => {
    response.set({
      'Content-Security-Policy': POLICY,
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'DENY',
      'Referrer-Policy': 'no-referrer',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    });
    if (secure) response.set('Strict-Transport-Security', 'max-age=31536000');
    // A name that somebody else has pointed at this address is none of ours.
    if (!hosts.has(request.headers.host))
      throw new Refusal(421, `This console is not ${request.headers.host}.`, `Open ${origins[0]}/`);
    next();
  });

  const assets = {index: false, redirect: false, cacheControl: true, maxAge: 0};
  app.use('/assets', express.static(join(here, '..', 'public'), assets));
  for (const file of ['uPlot.esm.js', 'uPlot.min.css'])
    app.get(`/assets/uplot/${file}`, (request, response) => response.sendFile(join(uplot, file)));
  // That page brings a policy of its own.
  app.get('/verifier', (request, response) =>
    response
      .set('Content-Security-Policy', "frame-ancestors 'none'")
      .sendFile(join(here, '../../tools/spine-verify.html')),
  );

  // ---- Questions

  const api = express.Router();
  api.use((request, response, next) => {
    response.set('Cache-Control', 'no-store');
    const [, token] = new RegExp(`(?:^|; )${cookie}=([\\w-]{43})(?:;|$)`).exec(request.headers.cookie ?? '') ?? [];
    request.session = access.find(token);
    // The cookie is not sent from other sites. Whatever does something besides must come from a page of this one.
    if (request.method !== 'GET' && !origins.includes(request.headers.origin))
      throw new Refusal(403, 'The request does not come from a page of this console.');
    if (request.method === 'POST' && !request.is('application/json'))
      throw new Refusal(415, 'The request is not JSON.');
    next();
  });
  api.use(express.json({limit: '64kb'}));

  const told = ({user, about}) => ({
    user,
    database: about.database,
    environment: about.environment || null,
    reads_all: about.reads_all,
    writes,
  });

  api.get('/session', (request, response) => response.json(request.session ? told(request.session) : null));

  api.post('/login', async (request, response) => {
    const {user, password} = request.body ?? {};
    if (typeof user !== 'string' || typeof password !== 'string' || user === '' || /\0/.test(user + password))
      throw new Refusal(400, 'Say a user and a password.');
    const keys = [`user ${user.slice(0, 63)}`, `address ${request.ip}`];
    const seconds = throttle.wait(keys);
    if (seconds > 0) {
      response.set('Retry-After', String(seconds));
      throw new Refusal(
        429,
        'Too many failed logins.',
        `Try again in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`,
      );
    }
    throttle.begin(keys);
    let opened;
    try {
      opened = await access.open(user, password);
    } catch (error) {
      // Whether there is such a role, nobody learns.
      if (/^28/.test(error.code ?? '') || /client password must be a string/.test(error.message))
        throw new Refusal(401, 'The database does not take this user and password.');
      throttle.succeed(keys);
      throw error;
    }
    throttle.succeed(keys);
    if (request.session) await access.end(request.session);
    response.cookie(cookie, opened.token, {httpOnly: true, sameSite: 'strict', secure, path: '/'});
    response.json(told(opened.session));
  });

  api.use((request, response, next) => {
    if (!request.session) throw new Refusal(401, 'You are not logged in, or your session has ended.');
    next();
  });

  api.post('/logout', async (request, response) => {
    response.clearCookie(cookie, {httpOnly: true, sameSite: 'strict', secure, path: '/'});
    await access.end(request.session);
    response.json({});
  });

  const answer = question => async (request, response) => {
    const begun = process.hrtime.bigint();
    const told = await question(request.session, {...request.params, ...request.query});
    response.set('Server-Timing', `database;dur=${Number(process.hrtime.bigint() - begun) / 1e6}`);
    response.json(told);
  };
  for (const [path, question] of Object.entries({
    '/overview/counts': overview.counts,
    '/overview/chains': overview.chains,
    '/overview/consumers': overview.consumers,
    '/overview/guards': overview.guards,
    '/overview/findings': findings.summary,
    '/organizations': chains.organizations,
    '/events': events.search,
    '/events/:organization/:sequence': events.page,
    '/event/:id': events.locate,
    '/entities/:type/:id': entities.history,
    '/entities/:type/:id/as-of': entities.asOf,
    '/chains': chains.list,
    '/chains/:organization': chains.page,
    '/findings': findings.list,
    '/risks': findings.risks,
    '/findings/:id': findings.page,
  }))
    api.get(path, answer(question));
  api.get('/verification', chains.verify);
  api.get('/feed', feed);

  // What writes, where the operator allows it and the role may.
  const write = (path, action) =>
    api.post(path, async (request, response) => {
      if (!writes)
        throw new Refusal(403, 'This console only reads.', 'Who runs it starts it with --writes to change that.');
      await action(request.session, {...request.body, ...request.params}, response);
    });
  write('/findings/:id/close', findings.close);
  write('/chains/:organization/evidence', chains.evidence);

  api.use(() => {
    throw new Refusal(404, 'There is no such address.');
  });
  app.use('/api', api);

  // ---- Pages: one document, which the browser fills

  app.get(/^\/(events|entities|chains|findings|feed)?(\/|$)/, (request, response) => {
    response.set('Cache-Control', 'no-cache').sendFile(join(here, '../public/index.html'));
  });
  app.use(() => {
    throw new Refusal(404, 'There is no such page.');
  });

  app.use((error, request, response, next) => {
    const refusal = refusalOf(error);
    if (refusal.status === 500) console.error(`${request.method} ${request.path}:`, error);
    if (response.headersSent) return response.destroy();
    response.status(refusal.status).json({error: refusal.message, hint: refusal.hint, code: refusal.code});
  });
  return app;
}
