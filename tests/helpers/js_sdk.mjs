// @ts-check
/**
 * matrix-js-sdk, unchanged, as the clients of a `tabstead serve`. Each test file runs in a process of its own: the
 * clients that it connects are stopped together.
 * @module
 */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { ClientEvent, createClient } from 'matrix-js-sdk';

/** @typedef {import('matrix-js-sdk').MatrixClient} MatrixClient */
/** @typedef {{ baseUrl: string }} Server */

const PATIENCE_MS = 60_000;

/** @type {import('matrix-js-sdk/lib/logger.js').Logger} */
const silence = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => silence };

/** @type {MatrixClient[]} */
const clients = [];

/** Keep the SDK from writing to the console where it doesn't ask for a logger, and from keeping Node awake. */
export function tameSdk() {
  Object.assign(console, { debug() {}, info() {}, log() {}, warn() {}, error() {} });
  const schedule = globalThis.setTimeout;
  const scheduleOnce = (/** @type {[any, any]} */ ...parameters) => schedule(...parameters).unref();
  globalThis.setTimeout = /** @type {typeof setTimeout} */ (scheduleOnce);
}

/** Stop all clients. */
export function stopClients() {
  for (const client of clients) client.stopClient();
}

/**
 * A client that doesn't sync yet.
 * @param {Server} server
 * @param {Partial<import('matrix-js-sdk').ICreateClientOpts>} [options]
 */
export function connect(server, options) {
  const client = createClient({ baseUrl: server.baseUrl, logger: silence, ...options });
  clients.push(client);
  return client;
}

/** @param {string} username */
export const passwordOf = (username) => `secret of ${username}`;

/**
 * Register an account; a client of its first device, which doesn't sync yet.
 * @param {Server} server
 * @param {string} username
 * @param {Partial<import('matrix-js-sdk').ICreateClientOpts>} [options]
 */
export async function register(server, username, options) {
  const account = await connect(server).registerRequest({
    username,
    password: passwordOf(username),
    auth: { type: 'm.login.dummy' },
  });
  return connect(server, {
    userId: account.user_id,
    deviceId: account.device_id,
    accessToken: account.access_token,
    ...options,
  });
}

/**
 * Log in with the password; a client of the new device, which doesn't sync yet.
 * @param {Server} server
 * @param {string} username
 * @param {Partial<import('matrix-js-sdk').ICreateClientOpts>} [options]
 */
export async function logIn(server, username, options) {
  const account = await connect(server).loginRequest({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: username },
    password: passwordOf(username),
  });
  return connect(server, {
    userId: account.user_id,
    deviceId: account.device_id,
    accessToken: account.access_token,
    ...options,
  });
}

/**
 * Sync until all is there, and go on.
 * @param {MatrixClient} client
 * @param {import('matrix-js-sdk').IStartClientOpts} [options]
 */
export async function start(client, options) {
  const synced = new Promise((resolve) => client.once(ClientEvent.Sync, resolve));
  await client.startClient({ initialSyncLimit: 20, threadSupport: true, ...options });
  await synced;
  return client;
}

/**
 * Set the encryption up, which lives in memory, and sync.
 * @param {MatrixClient} client
 * @param {import('matrix-js-sdk').IStartClientOpts} [options]
 */
export async function startEncrypted(client, options) {
  await client.initRustCrypto({ useIndexedDB: false });
  return start(client, options);
}

/** @param {MatrixClient} client */
export function cryptoOf(client) {
  const crypto = client.getCrypto();
  assert.ok(crypto, `${client.getUserId()} encrypts`);
  return crypto;
}

/**
 * @param {MatrixClient} client
 * @param {string} roomId
 */
export function roomOf(client, roomId) {
  const found = client.getRoom(roomId);
  assert.ok(found, `${client.getUserId()} knows the room`);
  return found;
}

/**
 * The user's membership, as far as the client knows.
 * @param {MatrixClient} client
 * @param {string} roomId
 */
export const membershipOf = (client, roomId) => client.getRoom(roomId)?.getMyMembership();

/**
 * @param {MatrixClient} client
 * @param {string} roomId
 * @param {string} eventId
 */
export function eventOf(client, roomId, eventId) {
  const event = roomOf(client, roomId).findEventById(eventId);
  assert.ok(event, `${client.getUserId()} has the event`);
  return event;
}

/**
 * What an event says, if it came and can be read.
 * @param {MatrixClient} client
 * @param {string} roomId
 * @param {string} eventId
 */
export function contentOf(client, roomId, eventId) {
  const event = client.getRoom(roomId)?.findEventById(eventId);
  return event && !event.isDecryptionFailure() ? event.getContent() : undefined;
}

/**
 * @param {MatrixClient} client
 * @param {string} roomId
 * @param {string} eventId
 */
export const textOf = (client, roomId, eventId) => contentOf(client, roomId, eventId)?.body;

/**
 * Wait until something holds. The patience is no expectation: it turns a hanging test into a failing one.
 * @param {() => unknown} holds  a condition, or a promise of one
 * @param {string} what
 */
export async function until(holds, what) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) assert.fail(`${what}: it never happened`);
    await sleep(20);
  }
}

/**
 * Wait until something is there.
 * @template T
 * @param {() => T | null | undefined} find
 * @param {string} what
 * @returns {Promise<T>}
 */
export async function found(find, what) {
  /** @type {T | null | undefined} */
  let value;
  await until(() => (value = find()), what);
  return /** @type {T} */ (value);
}
