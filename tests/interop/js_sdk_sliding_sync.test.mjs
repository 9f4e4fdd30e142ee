// @ts-check
/**
 * matrix-js-sdk's SlidingSync and SlidingSyncSdk (simplified, MSC4186), unchanged, against `tabstead serve`.
 *
 * The tests of this file are chapters of one story and run in their order.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { EventType, NotificationCountType, Preset, ReceiptType } from 'matrix-js-sdk';
import { SlidingSync } from 'matrix-js-sdk/lib/sliding-sync.js';

import {
  cryptoOf,
  eventOf,
  logIn,
  membershipOf,
  register,
  roomOf,
  start,
  startEncrypted,
  stopClients,
  tameSdk,
  textOf,
  until,
} from '../helpers/js_sdk.mjs';
import { createServerFolder, deleteServerFolder, startNativeServer } from '../helpers/native_server.mjs';

/** @typedef {import('matrix-js-sdk').MatrixClient} MatrixClient */

const ALICE = '@alice:localhost';
const BOB = '@bob:localhost';
const ROOMS = 12;

/** The state that a list of rooms shows. */
const REQUIRED_STATE = [
  [EventType.RoomCreate, ''],
  [EventType.RoomEncryption, ''],
  [EventType.RoomName, ''],
  [EventType.RoomTombstone, ''],
  [EventType.RoomMember, '$LAZY'],
  [EventType.RoomMember, '$ME'],
];

/** @type {string} */
let folder;
/** @type {Awaited<ReturnType<typeof startNativeServer>>} */
let server;
/** @type {MatrixClient} */
let alice;
/** @type {MatrixClient} Bob's, which slides. */
let bob;
/** @type {SlidingSync} */
let sliding;
/** @type {string[]} from the oldest to the newest */
const roomIds = [];
/** @type {string} */
let secretRoom;

before(async () => {
  tameSdk();
  folder = await createServerFolder();
  server = await startNativeServer(folder);
  alice = await startEncrypted(await register(server, 'alice'));
  const first = await register(server, 'bob');
  for (let number = 1; number <= ROOMS; number++) {
    const { room_id: roomId } = await alice.createRoom({ name: `Room ${number}`, preset: Preset.PublicChat });
    await first.joinRoom(roomId);
    for (let line = 1; line <= 3; line++) await alice.sendTextMessage(roomId, `${number}.${line}`);
    roomIds.push(roomId);
  }
});

after(async () => {
  stopClients();
  await server?.kill();
  await deleteServerFolder(folder);
});

test('the rooms in the window are there, the newest ones, with their last messages', async () => {
  bob = await logIn(server, 'bob');
  await bob.initRustCrypto({ useIndexedDB: false });
  sliding = new SlidingSync(
    server.baseUrl,
    new Map([['all', { ranges: [[0, 4]], required_state: REQUIRED_STATE, timeline_limit: 1 }]]),
    { required_state: [['*', '*']], timeline_limit: 20 },
    bob,
    30_000,
  );
  await start(bob, { slidingSync: sliding });
  assert.equal(sliding.getListData('all')?.joinedCount, ROOMS);
  await until(() => bob.getRooms().length === 5, 'five rooms are there');
  assert.deepEqual(bob.getRooms().map((room) => room.roomId).sort(), roomIds.slice(-5).sort());
  const newest = roomOf(bob, roomIds[ROOMS - 1]);
  assert.equal(newest.name, 'Room 12');
  assert.deepEqual(textsIn(newest), ['12.3']);
  assert.equal(newest.getJoinedMemberCount(), 2);
});

test('a wider window brings the others', async () => {
  sliding.setListRanges('all', [[0, ROOMS - 1]]);
  await until(() => bob.getRooms().length === ROOMS, 'all rooms are there');
  assert.equal(roomOf(bob, roomIds[0]).name, 'Room 1');
});

test('a room that is opened tells more, and leads back to its beginning', async () => {
  sliding.modifyRoomSubscriptions(new Set([roomIds[0]]));
  const room = roomOf(bob, roomIds[0]);
  await until(() => room.currentState.getStateEvents(EventType.RoomPowerLevels, ''), 'all of its state is there');
  await until(() => textsIn(room).length >= 3, 'its messages are there');
  await bob.scrollback(room, 100);
  assert.equal(room.getLiveTimeline().getEvents()[0].getType(), EventType.RoomCreate);
});

test('what happens is told at once: messages, typing, receipts, counts and account data', async () => {
  const roomId = roomIds[0];
  const room = roomOf(bob, roomId);
  const { event_id: eventId } = await alice.sendTextMessage(roomId, 'Wake up!');
  await until(() => textOf(bob, roomId, eventId) === 'Wake up!', 'Bob has the message');
  await until(() => room.getUnreadNotificationCount(NotificationCountType.Total) > 0, 'it is unread');
  await alice.sendTyping(roomId, true, 30_000);
  await until(() => room.getMember(ALICE)?.typing, 'Alice is typing');
  await alice.sendTyping(roomId, false, 0);
  await until(() => !room.getMember(ALICE)?.typing, 'Alice stopped');
  await alice.sendReceipt(eventOf(alice, roomId, eventId), ReceiptType.Read, {});
  await until(() => room.hasUserReadEvent(ALICE, eventId), 'Alice has read it');
  await bob.sendReceipt(eventOf(bob, roomId, eventId), ReceiptType.Read, {});
  await until(() => room.getUnreadNotificationCount(NotificationCountType.Total) === 0, 'Bob has read it');
  await bob.setRoomTag(roomId, 'm.favourite', { order: 0.5 });
  await until(() => room.tags['m.favourite']?.order === 0.5, 'the room is a favourite');
  await bob.setIgnoredUsers(['@mallory:localhost']);
  await until(() => bob.isUserIgnored('@mallory:localhost'), 'Bob ignores somebody');
});

test('an invitation into an encrypted room comes, and what is said there can be read', async () => {
  const created = await alice.createRoom({
    name: 'Secret',
    preset: Preset.TrustedPrivateChat,
    invite: [BOB],
    initial_state: [
      { type: EventType.RoomEncryption, state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  });
  secretRoom = created.room_id;
  await until(() => membershipOf(bob, secretRoom) === 'invite', 'Bob sees the invitation');
  assert.equal(roomOf(bob, secretRoom).name, 'Secret');
  await bob.joinRoom(secretRoom);
  await until(() => membershipOf(bob, secretRoom) === 'join', 'Bob is in');
  await until(() => roomOf(bob, secretRoom).hasEncryptionStateEvent(), 'Bob knows that the room is encrypted');
  await until(() => roomOf(alice, secretRoom).getMember(BOB)?.membership === 'join', 'Alice sees Bob');
  const { event_id: question } = await alice.sendTextMessage(secretRoom, 'Who knows?');
  await until(() => textOf(bob, secretRoom, question) === 'Who knows?', 'Bob reads the question');
  const { event_id: answer } = await bob.sendTextMessage(secretRoom, 'Nobody.');
  await until(() => textOf(alice, secretRoom, answer) === 'Nobody.', 'Alice reads the answer');
});

test('a device that Alice adds gets the keys: the lists of devices follow', async () => {
  const tablet = await startEncrypted(await logIn(server, 'alice'));
  await until(async () => {
    const devices = await cryptoOf(bob).getUserDeviceInfo([ALICE]);
    return devices.get(ALICE)?.has(tablet.getDeviceId() ?? '');
  }, 'Bob knows the device');
  const { event_id: eventId } = await bob.sendTextMessage(secretRoom, 'Not even the tablet?');
  await until(() => textOf(tablet, secretRoom, eventId) === 'Not even the tablet?', 'the tablet reads it');
});

test('a list shows what its filter lets through', async () => {
  sliding.setList('secret', {
    ranges: [[0, 9]],
    filters: { is_encrypted: true },
    required_state: REQUIRED_STATE,
    timeline_limit: 1,
  });
  await until(() => sliding.getListData('secret')?.joinedCount === 1, 'one room is encrypted');
  sliding.setList('invited', { ranges: [[0, 9]], filters: { is_invite: true }, required_state: [], timeline_limit: 1 });
  const { room_id: roomId } = await alice.createRoom({ name: 'Later', invite: [BOB] });
  await until(() => sliding.getListData('invited')?.joinedCount === 1, 'one room invites');
  assert.equal(membershipOf(bob, roomId), 'invite');
});

test('the server found nothing wrong', () => {
  assert.doesNotMatch(server.readLog(), /Traceback/);
});

/** @param {import('matrix-js-sdk').Room} room */
function textsIn(room) {
  const messages = room.getLiveTimeline().getEvents().filter((event) => event.getType() === EventType.RoomMessage);
  return messages.map((event) => event.getContent().body);
}
