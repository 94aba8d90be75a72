// A real OpenID provider (npm `oidc-provider`) for tests, on 127.0.0.1 over plain HTTP.
//
//   npm ci --no-audit --no-fund
//   node server.mjs [--port 0] [--alg RS256] [--audience weft] [--lifetime 300] [--clients FILE]
//
// When it serves it prints one line, `ready http://127.0.0.1:PORT`; what follows `ready` is the
// issuer. It ends with SIGTERM, or with its standard input if that is a pipe, so that it never
// outlives the tests that started it.
//
// Who can get a token at ISSUER/token (RFC 6749, 4.4; Basic authentication): the clients of
// FILE, or those of CLIENTS below. FILE is a JSON list of
//
//   {"id", "secret", "claims": {...}, "lifetime": seconds, "auth": "client_secret_post"}
//
// of which `id` and `secret` are required. A token is a JWT (RFC 9068), signed with --alg: RS256,
// PS256, ES256, ES384, EdDSA and their like. `sub` and `client_id` are the client's id, `aud` is
// --audience, or what a `resource` (RFC 8707) asks for: `urn:NAME` gives the audience NAME. With
// them come the client's `claims`.
//
// Token exchange (RFC 8693): any client exchanges a token of this provider for one for the
// audience, of the same subject and with its claims: so a person is let in. A person's first token
// comes from /admin/token.
//
// What a test may ask for besides, all JSON:
//
//   POST /admin/rotate {"keep": true}      a new key signs; without `keep` the old ones are withdrawn.
//                                          SIGUSR1 does the same with `keep`.
//   POST /admin/token {"claims": {...}, "lifetime": 60, "header": {...}, "key": "current"}
//                                          any token at all, right or wrong: {"access_token"}. `claims` stand
//                                          before iss, sub ("ana"), aud, iat, exp; one that is null is left
//                                          out. `key` is `current`, `unknown` (the same kid, another key),
//                                          `unpublished` (another kid), or `none`.
//   POST /admin/outage {"on": true}        everything but /admin answers 503
//   POST /admin/delay {"seconds": 2}       everything but /admin answers that much later
//   GET  /admin/requests                   {path: how often it was asked for}, not counting /admin
import { createServer } from 'node:http';
import { readFileSync, fstatSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';

import * as jose from 'jose';
import { Provider, errors } from 'oidc-provider';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

const CLIENTS = [
  {
    id: 'dashboards',
    secret: 'dashboards-secret',
    claims: { groups: ['sales-analysts'], 'https://acme.example/region': 'EU' },
  },
  { id: 'nobody', secret: 'nobody-secret' },
];

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    alg: { type: 'string', default: 'RS256' },
    audience: { type: 'string', default: 'weft' },
    lifetime: { type: 'string', default: '300' },
    clients: { type: 'string' },
  },
});
const clients = options.clients ? JSON.parse(readFileSync(options.clients, 'utf8')) : CLIENTS;

// The newest first: it signs.
let keys = [];
let provider;
let handle;
let generation = 0;

async function newKey(kid) {
  const { privateKey } = await jose.generateKeyPair(options.alg, { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), kid, alg: options.alg, use: 'sig' };
}

function publicPart({ kty, kid, alg, use, crv, x, y, n, e }) {
  return { kty, kid, alg, use, crv, x, y, n, e };
}

// oidc-provider has no rotation of its own. Nothing is stored between calls but JWTs, which
// need no store, so a new provider with other keys takes the old one's place.
async function rotate(keep) {
  generation += 1;
  keys = [await newKey(`key-${generation}`), ...(keep ? keys : [])];
  provider = newProvider();
  handle = provider.callback();
  return { kid: keys[0].kid, published: keys.map((key) => key.kid) };
}

function clientOf(id) {
  return clients.find((client) => client.id === id);
}

function newProvider() {
  const made = new Provider(issuer, {
    jwks: { keys },
    clients: clients.map(({ id, secret, auth }) => ({
      client_id: id,
      client_secret: secret,
      token_endpoint_auth_method: auth ?? 'client_secret_basic',
      grant_types: ['client_credentials', TOKEN_EXCHANGE],
      response_types: [],
      redirect_uris: [],
    })),
    clientDefaults: { id_token_signed_response_alg: options.alg },
    enabledJWA: { idTokenSigningAlgValues: [options.alg] },
    // Scopes that clients ask for out of habit.
    scopes: ['openid', 'offline_access', 'weft', 'session:role-any'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        // Most drivers have no property for a resource in this flow.
        defaultResource: () => `urn:${options.audience}`,
        getResourceServerInfo: (_, resource, client) => resourceServer(resource, client.clientId),
      },
    },
    extraTokenClaims: (ctx, token) => ctx.state.exchanged ?? clientOf(token.clientId)?.claims,
  });
  made.registerGrantType(
    TOKEN_EXCHANGE,
    exchange,
    ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type', 'audience', 'resource', 'scope'],
    ['audience', 'resource'],
  );
  // What a client is told is short; the rest is for who reads the tests' output.
  for (const event of ['grant.error', 'server_error']) {
    made.on(event, (ctx, error) => console.error(`${event}: ${error.message}: ${error.error_detail ?? error.stack}`));
  }
  return made;
}

function resourceServer(resource, clientId) {
  if (!resource.startsWith('urn:')) {
    throw new errors.InvalidTarget();
  }
  return {
    scope: 'weft session:role-any',
    audience: resource.slice('urn:'.length),
    accessTokenTTL: clientOf(clientId)?.lifetime ?? Number(options.lifetime),
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: options.alg, kid: keys[0].kid } },
  };
}

async function exchange(ctx) {
  const { client, params, provider: own } = ctx.oidc;
  if (![ACCESS_TOKEN, JWT].includes(params.subject_token_type)) {
    throw new errors.InvalidRequest(`subject_token_type is to be ${ACCESS_TOKEN} or ${JWT}`);
  }
  let subject;
  try {
    const known = jose.createLocalJWKSet({ keys: keys.map(publicPart) });
    // For whatever audience: exchanging is what changes it.
    subject = (await jose.jwtVerify(params.subject_token, known, { issuer })).payload;
  } catch (error) {
    throw new errors.InvalidGrant(error.message);
  }
  const { iss, sub, aud, iat, nbf, exp, jti, client_id: _, azp: __, ...claims } = subject;
  ctx.state.exchanged = claims;
  const resource = params.resource ?? `urn:${params.audience ?? options.audience}`;
  const token = new own.AccessToken({ client, accountId: sub, gty: 'token_exchange', scope: params.scope });
  token.resourceServer = new own.ResourceServer(resource, resourceServer(resource, client.clientId));
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: params.requested_token_type ?? ACCESS_TOKEN,
    token_type: 'Bearer',
    expires_in: token.expiration,
  };
}

async function anyToken({ claims = {}, header = {}, lifetime = 60, key = 'current' }) {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: issuer, sub: 'ana', aud: options.audience, iat: now, exp: now + lifetime, ...claims };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
  if (key === 'none') {
    const parts = [{ alg: 'none', typ: 'JWT', ...header }, given];
    return `${parts.map((part) => jose.base64url.encode(JSON.stringify(part))).join('.')}.`;
  }
  const signing = {
    current: () => keys[0],
    unknown: () => newKey(keys[0].kid),
    unpublished: () => newKey('key-of-somebody'),
  }[key];
  const jwk = await signing();
  return new jose.SignJWT(given)
    .setProtectedHeader({ alg: options.alg, typ: 'at+jwt', kid: jwk.kid, ...header })
    .sign(await jose.importJWK(jwk, options.alg));
}

let outage = false;
let delay = 0;
const requests = {};

const admin = {
  '/admin/rotate': ({ keep = true }) => rotate(keep),
  '/admin/token': async (asked) => ({ access_token: await anyToken(asked) }),
  '/admin/outage': ({ on = true }) => ({ on: (outage = on) }),
  '/admin/delay': ({ seconds = 0 }) => ({ seconds: (delay = seconds) }),
  '/admin/requests': () => requests,
};

async function body(request) {
  const parts = [];
  for await (const part of request) {
    parts.push(part);
  }
  return parts.length ? JSON.parse(Buffer.concat(parts)) : {};
}

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  if (pathname.startsWith('/admin/')) {
    let status = 200;
    let answer;
    try {
      answer = admin[pathname] ? await admin[pathname](await body(request)) : undefined;
      status = answer ? 200 : 404;
    } catch (error) {
      [status, answer] = [400, { error: error.message }];
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
    return;
  }
  requests[pathname] = (requests[pathname] ?? 0) + 1;
  await sleep(delay * 1000);
  if (outage) {
    response.writeHead(503).end();
    return;
  }
  handle(request, response);
});

await new Promise((resolve) => server.listen(Number(options.port), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
await rotate(true);

function end() {
  server.close();
  server.closeAllConnections();
  process.exit(0);
}
process.on('SIGTERM', end);
process.on('SIGUSR1', () => rotate(true));
const stdin = fstatSync(0);
if (stdin.isFIFO() || stdin.isSocket()) {
  process.stdin.on('end', end).resume();
}
console.log(`ready ${issuer}`);
