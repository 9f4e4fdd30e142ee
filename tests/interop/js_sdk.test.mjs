// @ts-check
/**
 * matrix-js-sdk, unchanged, against `tabstead serve`: two people, an encrypted room, everything that a chat needs.
 *
 * The tests of this file are chapters of one story and run in their order.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  ClientEvent,
  EventType,
  MsgType,
  NotificationCountType,
  Preset,
  ReceiptType,
  createClient,
} from 'matrix-js-sdk';

import { createServerFolder, deleteServerFolder, startNativeServer } from '../helpers/native_server.mjs';

const PATIENCE_MS = 60_000;

/** @type {import('matrix-js-sdk/lib/logger.js').Logger} */
const silence = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => silence };

/** @type {string} */
let folder;
/** @type {Awaited<ReturnType<typeof startNativeServer>>} */
let server;
/** @type {import('matrix-js-sdk').MatrixClient} */
let alice;
/** @type {import('matrix-js-sdk').MatrixClient} */
let bob;
/** @type {string} */
let roomId;
/** @type {import('matrix-js-sdk').MatrixClient[]} */
const clients = [];

before(async () => {
  Object.assign(console, { debug() {}, info() {}, log() {} }); // parts of the SDK don't ask for the client's logger
  leaveTimersBehind();
  folder = await createServerFolder();
  server = await startNativeServer(folder);
});

after(async () => {
  for (const client of clients) client.stopClient();
  await server?.kill();
  await deleteServerFolder(folder);
});

test('two people register, and their clients set up their encryption', async () => {
  [alice, bob] = [await signUp('alice'), await signUp('bob')];
  assert.equal(alice.getUserId(), '@alice:localhost');
  await until(async () => {
    const devices = await alice.getCrypto()?.getUserDeviceInfo(['@bob:localhost'], true);
    return devices?.get('@bob:localhost')?.has(bob.getDeviceId() ?? '') ?? false;
  }, 'Alice can look up the device of Bob');
});

test('Alice invites Bob into an encrypted room, and he joins', async () => {
  const created = await alice.createRoom({
    name: 'Tea',
    preset: Preset.TrustedPrivateChat,
    invite: ['@bob:localhost'],
    initial_state: [
      { type: EventType.RoomEncryption, state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  });
  roomId = created.room_id;
  await until(() => bob.getRoom(roomId)?.getMyMembership() === 'invite', 'Bob sees the invitation');
  assert.equal(bob.getRoom(roomId)?.name, 'Tea');
  await bob.joinRoom(roomId);
  await until(() => bob.getRoom(roomId)?.getMyMembership() === 'join', 'Bob is in');
  await until(() => room(alice).getMember('@bob:localhost')?.membership === 'join', 'Alice sees Bob');
  await until(() => room(bob).hasEncryptionStateEvent(), 'Bob knows that the room is encrypted');
});

test('messages go both ways, encrypted for the server and readable for the two', async () => {
  const question = await alice.sendTextMessage(roomId, 'Milk or lemon?');
  await until(() => textOf(bob, question.event_id) === 'Milk or lemon?', 'Bob reads the question');
  const answer = await bob.sendTextMessage(roomId, 'Neither, thanks.');
  await until(() => textOf(alice, answer.event_id) === 'Neither, thanks.', 'Alice reads the answer');

  const stored = await alice.fetchRoomEvent(roomId, question.event_id);
  assert.equal(stored.type, EventType.RoomMessageEncrypted);
  assert.ok(!JSON.stringify(stored).includes('lemon'), 'the server has the ciphertext alone');
});

test('a new message is unread for Bob until he reads it, and Alice sees that he did', async () => {
  const { event_id: eventId } = await alice.sendTextMessage(roomId, 'Really?');
  await until(() => textOf(bob, eventId) === 'Really?', 'Bob gets the message');
  await until(() => room(bob).getRoomUnreadNotificationCount(NotificationCountType.Total) === 1, 'one is unread');
  await bob.sendReceipt(eventOf(bob, eventId), ReceiptType.Read, {});
  await until(() => room(alice).hasUserReadEvent('@bob:localhost', eventId), 'Alice sees the receipt');
  await until(() => room(bob).getRoomUnreadNotificationCount(NotificationCountType.Total) === 0, 'none is unread');
});

test('Alice sees Bob typing, and stopping', async () => {
  await bob.sendTyping(roomId, true, 30_000);
  await until(() => room(alice).getMember('@bob:localhost')?.typing === true, 'Bob is typing');
  await bob.sendTyping(roomId, false, 0);
  await until(() => room(alice).getMember('@bob:localhost')?.typing === false, 'Bob stopped');
});

test('a file that Bob uploads is the file that Alice downloads', async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const { content_uri: uri } = await bob.uploadContent(new Blob([bytes]), {
    name: 'leaf ☘.bin',
    type: 'application/octet-stream',
  });
  const message = await bob.sendMessage(roomId, { msgtype: MsgType.File, body: 'leaf', url: uri });
  await until(() => contentOf(alice, message.event_id)?.url === uri, 'Alice sees the message');

  const url = alice.mxcUrlToHttp(uri, undefined, undefined, undefined, false, true, true) ?? '';
  const answer = await fetch(url, { headers: { authorization: `Bearer ${alice.getAccessToken()}` } });
  assert.equal(answer.status, 200);
  assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), bytes);
  assert.equal(answer.headers.get('content-disposition'), "attachment; filename*=utf-8''leaf%20%E2%98%98.bin");
  assert.equal((await fetch(url)).status, 401, 'nobody else gets it');
});

test('a redacted message is gone for both', async () => {
  const { event_id: eventId } = await alice.sendTextMessage(roomId, 'Oops');
  await until(() => textOf(bob, eventId) === 'Oops', 'Bob gets the message');
  await alice.redactEvent(roomId, eventId);
  await until(() => room(bob).findEventById(eventId)?.isRedacted() === true, 'it is redacted');
});

test('SIGTERM ends the server although both clients wait for news', async () => {
  assert.equal(await server.stop(), 0);
  assert.doesNotMatch(server.readLog(), /Traceback/);
});

test('after a restart both go on where they were', async () => {
  alice.stopClient();
  bob.stopClient();
  server = await startNativeServer(folder);
  const again = connect({ accessToken: alice.getAccessToken() ?? undefined });
  assert.equal((await again.whoami()).user_id, '@alice:localhost');
  assert.deepEqual((await again.getJoinedRooms()).joined_rooms, [roomId]);
});

/**
 * A client of the server's; it is stopped in the end.
 * @param {Partial<import('matrix-js-sdk').ICreateClientOpts>} [options]
 */
function connect(options) {
  const client = createClient({ baseUrl: server.baseUrl, logger: silence, ...options });
  clients.push(client);
  return client;
}

/**
 * Register, log in, set the encryption up and begin to sync.
 * @param {string} username
 */
async function signUp(username) {
  const password = `secret of ${username}`;
  const account = await connect().registerRequest({ username, password, auth: { type: 'm.login.dummy' } });
  const client = connect({
    userId: account.user_id,
    deviceId: account.device_id,
    accessToken: account.access_token,
  });
  await client.initRustCrypto({ useIndexedDB: false });
  await client.startClient({ initialSyncLimit: 20 });
  await new Promise((resolve) => client.once(ClientEvent.Sync, resolve));
  return client;
}

/** The SDK doesn't clear all its timers, and Node would wait for them. */
function leaveTimersBehind() {
  const schedule = globalThis.setTimeout;
  const scheduleOnce = (/** @type {[any, any]} */ ...parameters) => schedule(...parameters).unref();
  globalThis.setTimeout = /** @type {typeof setTimeout} */ (scheduleOnce);
}

/** @param {import('matrix-js-sdk').MatrixClient} client */
function room(client) {
  const found = client.getRoom(roomId);
  assert.ok(found, `${client.getUserId()} knows the room`);
  return found;
}

/**
 * @param {import('matrix-js-sdk').MatrixClient} client
 * @param {string} eventId
 */
function contentOf(client, eventId) {
  const event = room(client).findEventById(eventId);
  return event && !event.isDecryptionFailure() ? event.getContent() : undefined;
}

/**
 * @param {import('matrix-js-sdk').MatrixClient} client
 * @param {string} eventId
 */
function eventOf(client, eventId) {
  const event = room(client).findEventById(eventId);
  assert.ok(event);
  return event;
}

/**
 * @param {import('matrix-js-sdk').MatrixClient} client
 * @param {string} eventId
 */
const textOf = (client, eventId) => contentOf(client, eventId)?.body;

/**
 * Wait until something holds. The patience is no expectation: it turns a hanging test into a failing one.
 * @param {() => boolean | Promise<boolean>} holds
 * @param {string} what
 */
async function until(holds, what) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) assert.fail(`${what}: it never happened`);
    await sleep(20);
  }
}
