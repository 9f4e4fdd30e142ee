// @ts-check
/**
 * Answers requests to the homeserver: which are ours, what the homeserver needs to know of them, who goes first.
 * @module
 */
import { checkDatabase, ensureHomeserver, findServerName, isStarting } from './boot.js';
import { findAuthorization } from './credentials.js';
import { dispatchKeyOf } from './dispatch_key.js';
import { isDraining } from './draining.js';
import { unavailable } from './matrix_errors.js';
import { noteActivity } from './status.js';
import { SCOPE, SCOPE_PATH } from './site.js';

/** The headers that the homeserver reads. */
const HEADERS = ['authorization', 'content-type', 'range', 'if-range', 'if-none-match', 'user-agent'];

const MEDIA = /^\/_matrix\/(client\/v1\/media|media)\//;

const OURS = /^\/(_matrix|\.well-known\/matrix)\//;

/**
 * Path and query of a request for the homeserver, from `/_matrix` or `/.well-known/matrix` on; null for anything else. The
 * homeserver is at the root of its origin, as Matrix wants it, and below the scope as well.
 * @param {URL} url
 */
export function matrixTarget({ origin, pathname, search }) {
  if (origin !== new URL(SCOPE).origin) return OURS.test(pathname) ? pathname + search : null;
  const path = pathname.startsWith(SCOPE_PATH) ? pathname.slice(SCOPE_PATH.length - 1) : pathname;
  return OURS.test(path) ? path + search : null;
}

/**
 * Answer a request for a homeserver: for ours, under our origin or under its server name. Others' go to the network.
 * @param {FetchEvent} event
 * @param {string} target  from `matrixTarget`
 */
export async function answerMatrixRequest(event, target) {
  const { origin } = new URL(event.request.url);
  if (origin === new URL(SCOPE).origin) return answer(event, target);
  return origin === `https://${await findServerName()}` ? answer(event, target) : fetch(event.request);
}

/**
 * @param {FetchEvent} event
 * @param {string} target  from `matrixTarget`
 * @returns {Promise<Response>}
 */
async function answer({ request, clientId }, target) {
  if (isDraining()) return tryAgainSoon();
  try {
    const isMedia = MEDIA.test(target);
    const [body, authorization] = await Promise.all([readBody(request), authorizationOf(request, clientId, target, isMedia)]);
    const headers = headersOf(request, authorization);
    const dispatchKey = await dispatchKeyOf(request, clientId, headers.authorization ?? '', body);
    const homeserver = await turn(isMedia);
    const call = { method: request.method, target, headers, body, clientId, dispatchKey };
    const response = await homeserver.bridge.handle(call);
    if (response.status === 503) checkDatabase(homeserver);
    else if (dispatchKey) noteActivity();
    return response;
  } catch (error) {
    console.error(`${request.method} ${target} failed:`, error);
    return unavailable(error);
  }
}

/** The homeserver, when it is a request's turn: what waited for the start goes media first. @param {boolean} isMedia */
async function turn(isMedia) {
  const mustWait = isStarting() && !isMedia;
  const homeserver = await ensureHomeserver();
  if (mustWait) await new Promise((resolve) => setTimeout(resolve, 0));
  return homeserver;
}

/** @param {Request} request */
async function readBody(request) {
  if (request.method === 'GET' || request.method === 'HEAD') return null;
  const body = await request.arrayBuffer();
  return body.byteLength ? body : null;
}

/**
 * What `<img>` and its like can't send: for media without credentials, those of the page they are in.
 * @param {Request} request
 * @param {string} clientId
 * @param {string} target
 * @param {boolean} isMedia
 */
async function authorizationOf(request, clientId, target, isMedia) {
  const sent = request.headers.get('authorization');
  if (sent || !isMedia || /[?&]access_token=/.test(target)) return sent;
  return findAuthorization(clientId);
}

/**
 * @param {Request} request
 * @param {string | null} authorization
 */
function headersOf(request, authorization) {
  /** @type {Record<string, string>} */
  const headers = {};
  for (const name of HEADERS) {
    const value = request.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  if (authorization) headers.authorization = authorization;
  return headers;
}

/** While a newer worker takes over. */
function tryAgainSoon() {
  const error = { errcode: 'M_LIMIT_EXCEEDED', error: 'The homeserver is being updated.', retry_after_ms: 1000 };
  return Response.json(error, { status: 429, headers: { 'retry-after': '1', 'access-control-allow-origin': '*' } });
}
