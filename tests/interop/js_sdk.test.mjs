// @ts-check
/**
 * matrix-js-sdk, unchanged, against `tabstead serve`: two people, an encrypted room, everything that a chat needs.
 *
 * The tests of this file are chapters of one story and run in their order.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { EventType, MsgType, NotificationCountType, Preset, ReceiptType } from 'matrix-js-sdk';

import {
  connect,
  contentOf,
  cryptoOf,
  eventOf,
  membershipOf,
  register,
  roomOf,
  startEncrypted,
  stopClients,
  tameSdk,
  textOf,
  until,
} from '../helpers/js_sdk.mjs';
import { createServerFolder, deleteServerFolder, startNativeServer } from '../helpers/native_server.mjs';

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

before(async () => {
  tameSdk();
  folder = await createServerFolder();
  server = await startNativeServer(folder);
});

after(async () => {
  stopClients();
  await server?.kill();
  await deleteServerFolder(folder);
});

test('two people register, and their clients set up their encryption', async () => {
  alice = await startEncrypted(await register(server, 'alice'));
  bob = await startEncrypted(await register(server, 'bob'));
  assert.equal(alice.getUserId(), '@alice:localhost');
  await until(async () => {
    const devices = await cryptoOf(alice).getUserDeviceInfo(['@bob:localhost'], true);
    return devices.get('@bob:localhost')?.has(bob.getDeviceId() ?? '') ?? false;
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
  await until(() => membershipOf(bob, roomId) === 'invite', 'Bob sees the invitation');
  assert.equal(bob.getRoom(roomId)?.name, 'Tea');
  await bob.joinRoom(roomId);
  await until(() => membershipOf(bob, roomId) === 'join', 'Bob is in');
  await until(() => roomOf(alice, roomId).getMember('@bob:localhost')?.membership === 'join', 'Alice sees Bob');
  await until(() => roomOf(bob, roomId).hasEncryptionStateEvent(), 'Bob knows that the room is encrypted');
});

test('messages go both ways, encrypted for the server and readable for the two', async () => {
  const question = await alice.sendTextMessage(roomId, 'Milk or lemon?');
  await until(() => textOf(bob, roomId, question.event_id) === 'Milk or lemon?', 'Bob reads the question');
  const answer = await bob.sendTextMessage(roomId, 'Neither, thanks.');
  await until(() => textOf(alice, roomId, answer.event_id) === 'Neither, thanks.', 'Alice reads the answer');

  const stored = await alice.fetchRoomEvent(roomId, question.event_id);
  assert.equal(stored.type, EventType.RoomMessageEncrypted);
  assert.ok(!JSON.stringify(stored).includes('lemon'), 'the server has the ciphertext alone');
});

test('a new message is unread for Bob until he reads it, and Alice sees that he did', async () => {
  const unread = () => roomOf(bob, roomId).getRoomUnreadNotificationCount(NotificationCountType.Total);
  const { event_id: eventId } = await alice.sendTextMessage(roomId, 'Really?');
  await until(() => textOf(bob, roomId, eventId) === 'Really?', 'Bob gets the message');
  await until(() => unread() === 1, 'one is unread');
  await bob.sendReceipt(eventOf(bob, roomId, eventId), ReceiptType.Read, {});
  await until(() => roomOf(alice, roomId).hasUserReadEvent('@bob:localhost', eventId), 'Alice sees the receipt');
  await until(() => unread() === 0, 'none is unread');
});

test('Alice sees Bob typing, and stopping', async () => {
  await bob.sendTyping(roomId, true, 30_000);
  await until(() => roomOf(alice, roomId).getMember('@bob:localhost')?.typing === true, 'Bob is typing');
  await bob.sendTyping(roomId, false, 0);
  await until(() => roomOf(alice, roomId).getMember('@bob:localhost')?.typing === false, 'Bob stopped');
});

test('a file that Bob uploads is the file that Alice downloads', async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const { content_uri: uri } = await bob.uploadContent(new Blob([bytes]), {
    name: 'leaf ☘.bin',
    type: 'application/octet-stream',
  });
  const message = await bob.sendMessage(roomId, { msgtype: MsgType.File, body: 'leaf', url: uri });
  await until(() => contentOf(alice, roomId, message.event_id)?.url === uri, 'Alice sees the message');

  const url = alice.mxcUrlToHttp(uri, undefined, undefined, undefined, false, true, true) ?? '';
  const answer = await fetch(url, { headers: { authorization: `Bearer ${alice.getAccessToken()}` } });
  assert.equal(answer.status, 200);
  assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), bytes);
  assert.equal(answer.headers.get('content-disposition'), "attachment; filename*=utf-8''leaf%20%E2%98%98.bin");
  assert.equal((await fetch(url)).status, 401, 'nobody else gets it');
});

test('a redacted message is gone for both', async () => {
  const { event_id: eventId } = await alice.sendTextMessage(roomId, 'Oops');
  await until(() => textOf(bob, roomId, eventId) === 'Oops', 'Bob gets the message');
  await alice.redactEvent(roomId, eventId);
  await until(() => roomOf(bob, roomId).findEventById(eventId)?.isRedacted() === true, 'it is redacted');
});

test('SIGTERM ends the server although both clients wait for news', async () => {
  assert.equal(await server.stop(), 0);
  assert.doesNotMatch(server.readLog(), /Traceback/);
});

test('after a restart both go on where they were', async () => {
  alice.stopClient();
  bob.stopClient();
  server = await startNativeServer(folder);
  const again = connect(server, { accessToken: alice.getAccessToken() ?? undefined });
  assert.equal((await again.whoami()).user_id, '@alice:localhost');
  assert.deepEqual((await again.getJoinedRooms()).joined_rooms, [roomId]);
});
