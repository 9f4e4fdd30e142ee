// @ts-check
/**
 * matrix-js-sdk, unchanged, against `tabstead serve`: what people do in rooms, and with rooms.
 *
 * The tests of this file are chapters of one story and run in their order.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  Direction,
  EventType,
  JoinRule,
  MsgType,
  NotificationCountType,
  Preset,
  RelationType,
  RoomType,
  Visibility,
} from 'matrix-js-sdk';

import {
  contentOf,
  eventOf,
  found,
  logIn,
  membershipOf,
  register,
  roomOf,
  start,
  stopClients,
  tameSdk,
  textOf,
  until,
} from '../helpers/js_sdk.mjs';
import { createServerFolder, deleteServerFolder, startNativeServer } from '../helpers/native_server.mjs';

/** @typedef {import('matrix-js-sdk').MatrixClient} MatrixClient */

const ALICE = '@alice:localhost';
const BOB = '@bob:localhost';

/** @type {string} */
let folder;
/** @type {Awaited<ReturnType<typeof startNativeServer>>} */
let server;
/** @type {MatrixClient} */
let alice;
/** @type {MatrixClient} */
let bob;
/** @type {string} */
let roomId;
/** @type {string} */
let rootId;

before(async () => {
  tameSdk();
  folder = await createServerFolder();
  server = await startNativeServer(folder);
  alice = await start(await register(server, 'alice'));
  bob = await start(await register(server, 'bob'));
  roomId = (await alice.createRoom({ name: 'Garden', preset: Preset.PublicChat, room_alias_name: 'garden' })).room_id;
  await bob.joinRoom('#garden:localhost');
  await until(() => membershipOf(bob, roomId) === 'join', 'Bob is in');
});

after(async () => {
  stopClients();
  await server?.kill();
  await deleteServerFolder(folder);
});

test('replies gather in a thread, which both see, with its length and its last reply', async () => {
  rootId = (await alice.sendTextMessage(roomId, 'What shall we plant?')).event_id;
  await until(() => textOf(bob, roomId, rootId), 'Bob has the question');
  roomOf(bob, roomId).createThread(rootId, eventOf(bob, roomId, rootId), [], true); // as an app does that replies
  await bob.sendTextMessage(roomId, rootId, 'Beans.');
  const { event_id: lastId } = await bob.sendTextMessage(roomId, rootId, 'And peas.');
  for (const client of [alice, bob]) {
    await until(() => {
      const thread = roomOf(client, roomId).getThread(rootId);
      return thread?.length === 2 && thread.replyToEvent?.getId() === lastId;
    }, `${client.getUserId()} sees the thread`);
  }
  assert.ok(roomOf(bob, roomId).getThread(rootId)?.hasCurrentUserParticipated);
});

test('a thread is unread, and read, apart from its room', async () => {
  const room = roomOf(alice, roomId);
  const unread = () => [
    room.getRoomUnreadNotificationCount(NotificationCountType.Total),
    room.getThreadUnreadNotificationCount(rootId, NotificationCountType.Total),
  ];
  await until(() => String(unread()) === '0,2', 'two replies are unread');
  const { event_id: eventId } = await bob.sendTextMessage(roomId, 'I am in the room.');
  await until(() => String(unread()) === '1,2', 'and a message of the room');
  const thread = await found(() => room.getThread(rootId), 'the thread');
  const reply = await found(() => thread.lastReply(), 'its last reply');
  await alice.sendReadReceipt(reply);
  await until(() => String(unread()) === '1,0', 'the thread is read');
  await until(() => threadReadBy(bob, ALICE) === reply.getId(), 'Bob sees that Alice read the thread');
  assert.equal(roomOf(bob, roomId).hasUserReadEvent(ALICE, eventId), false);
  await alice.sendReadReceipt(eventOf(alice, roomId, eventId));
  await until(() => String(unread()) === '0,0', 'all is read');
  await until(() => roomOf(bob, roomId).hasUserReadEvent(ALICE, eventId), 'Bob sees that, too');
});

test('a new device lists the threads of the room', async () => {
  const tablet = await start(await logIn(server, 'bob'), { initialSyncLimit: 1 });
  await roomOf(tablet, roomId).createThreadsTimelineSets();
  await roomOf(tablet, roomId).fetchRoomThreads();
  await until(() => roomOf(tablet, roomId).getThread(rootId)?.length === 2, 'the thread is there');
  const { chunk } = await tablet.createThreadListMessagesRequest(roomId, null);
  assert.deepEqual(chunk.map((event) => event.event_id), [rootId]);
  const { events } = await tablet.relations(roomId, rootId, RelationType.Thread);
  assert.deepEqual(events.map((event) => event.getContent().body), ['And peas.', 'Beans.']);
  tablet.stopClient();
});

test('a reaction is counted, not twice, and can be taken back', async () => {
  const react = () =>
    bob.sendEvent(roomId, EventType.Reaction, {
      'm.relates_to': { rel_type: RelationType.Annotation, event_id: rootId, key: '🌱' },
    });
  const { event_id: reactionId } = await react();
  const reactions = () =>
    roomOf(alice, roomId).relations.getChildEventsForEvent(rootId, RelationType.Annotation, EventType.Reaction);
  const counts = () => reactions()?.getSortedAnnotationsByKey()?.map(([key, events]) => [key, events.size]) ?? [];
  await until(() => String(counts()) === '🌱,1', 'Alice sees it');
  await assert.rejects(react, { errcode: 'M_DUPLICATE_ANNOTATION' });
  await bob.redactEvent(roomId, reactionId);
  await until(() => counts().every(([, count]) => count === 0), 'it is gone');
});

test('an edited message reads as it is now, for who was there and for who comes later', async () => {
  const { event_id: eventId } = await alice.sendTextMessage(roomId, 'Sow in Mai.');
  await alice.sendMessage(roomId, {
    msgtype: MsgType.Text,
    body: '* Sow in May.',
    'm.new_content': { msgtype: MsgType.Text, body: 'Sow in May.' },
    'm.relates_to': { rel_type: RelationType.Replace, event_id: eventId },
  });
  await until(() => textOf(bob, roomId, eventId) === 'Sow in May.', 'Bob sees the new text');
  const tablet = await start(await logIn(server, 'bob'), { initialSyncLimit: 20 });
  await until(() => textOf(tablet, roomId, eventId) === 'Sow in May.', 'a new device sees it, too');
  tablet.stopClient();
  const stored = await alice.fetchRoomEvent(roomId, eventId);
  assert.equal(stored.unsigned?.['m.relations']?.['m.replace']?.content['m.new_content'].body, 'Sow in May.');
});

test('messages are found by their words, with what was said around them, page by page', async () => {
  for (let number = 1; number <= 12; number++) await alice.sendTextMessage(roomId, `Carrots in row ${number}`);
  let results = await alice.searchRoomEvents({ term: 'carrots' });
  assert.equal(results.count, 12);
  assert.equal(results.results.length, 10);
  assert.ok(results.results[0].context.getTimeline().length > 1);
  assert.deepEqual(results.highlights.map((word) => word.toLowerCase()), ['carrots']);
  results = await alice.backPaginateRoomEventsSearch(results);
  assert.equal(results.results.length, 12);
  assert.equal(results.next_batch, undefined);
});

test('a timeline goes back to the beginning', async () => {
  const tablet = await start(await logIn(server, 'bob'), { initialSyncLimit: 3 });
  const room = roomOf(tablet, roomId);
  const timeline = room.getLiveTimeline();
  while (timeline.getPaginationToken(Direction.Backward)) await tablet.scrollback(room, 5);
  assert.equal(timeline.getEvents()[0].getType(), EventType.RoomCreate);
  const { event_id: eventId } = await tablet.timestampToEvent(roomId, 0, Direction.Forward);
  assert.equal(eventId, timeline.getEvents()[0].getId());
  tablet.stopClient();
});

test('a space shows its rooms and their rooms, to who may see them', async () => {
  const space = await createSpace('Allotments');
  const inner = await createSpace('North side');
  await addChild(space, inner);
  await addChild(inner, roomId);
  const hidden = (await alice.createRoom({ name: 'Shed', preset: Preset.PrivateChat })).room_id;
  await addChild(space, hidden);

  assert.deepEqual(await namesIn(alice, space), ['Allotments', 'North side', 'Garden', 'Shed']);
  assert.deepEqual(await namesIn(bob, space), ['Allotments', 'North side', 'Garden']);
  const { rooms, next_batch: nextBatch } = await bob.getRoomHierarchy(space, 2);
  assert.deepEqual(rooms.map((room) => room.name), ['Allotments', 'North side']);
  const rest = await bob.getRoomHierarchy(space, 2, undefined, undefined, nextBatch);
  assert.deepEqual(rest.rooms.map((room) => room.name), ['Garden']);
  assert.equal(rest.rooms[0].num_joined_members, 2);
});

test('Bob knocks, and Alice lets him in', async () => {
  const { room_id: clubId } = await alice.createRoom({
    name: 'Club',
    initial_state: [{ type: EventType.RoomJoinRules, state_key: '', content: { join_rule: JoinRule.Knock } }],
  });
  await assert.rejects(bob.joinRoom(clubId), { errcode: 'M_FORBIDDEN' });
  const summary = await bob.getRoomSummary(clubId);
  assert.deepEqual([summary.name, summary.join_rule], ['Club', 'knock']);
  await bob.knockRoom(clubId, { reason: 'I have seeds.' });
  await until(() => membershipOf(bob, clubId) === 'knock', 'Bob waits');
  const member = await found(() => roomOf(alice, clubId).getMember(BOB), 'Alice hears the knock');
  assert.equal(member.membership, 'knock');
  assert.equal(member.events.member?.getContent().reason, 'I have seeds.');
  await alice.invite(clubId, BOB);
  await until(() => membershipOf(bob, clubId) === 'invite', 'Bob may come in');
  await bob.joinRoom(clubId);
  await until(() => membershipOf(bob, clubId) === 'join', 'Bob is in');
  await bob.leave(clubId);
  await until(() => membershipOf(bob, clubId) === 'leave', 'Bob is out');
  await bob.forget(clubId);
  assert.equal(bob.getRoom(clubId), null);
});

test('pictures have thumbnails, and only for who is logged in', async () => {
  const { content_uri: uri } = await alice.uploadContent(new Blob([PICTURE]), { name: 'bed.png', type: 'image/png' });
  const { event_id: eventId } = await alice.sendImageMessage(roomId, uri, { mimetype: 'image/png', w: 1, h: 1 }, 'bed');
  await until(() => contentOf(bob, roomId, eventId)?.url === uri, 'Bob sees the message');
  const url = bob.mxcUrlToHttp(uri, 32, 32, 'scale', false, true, true) ?? '';
  const answer = await fetch(url, { headers: { authorization: `Bearer ${bob.getAccessToken()}` } });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /^image\//);
  assert.equal((await fetch(url)).status, 401);
});

test('an event that was sent for later comes later, at once, or never', async () => {
  const say = (/** @type {string} */ body, /** @type {number} */ delay) =>
    alice._unstable_sendDelayedEvent(roomId, { delay }, null, EventType.RoomMessage, { msgtype: MsgType.Text, body });
  const { delay_id: soon } = await say('Soon', 100);
  const { delay_id: never } = await say('Never', 600_000);
  const { delay_id: now } = await say('Now', 600_000);
  assert.deepEqual(await scheduled(), [never, now].sort());
  await alice._unstable_cancelScheduledDelayedEvent(never);
  await alice._unstable_restartScheduledDelayedEvent(now);
  await alice._unstable_sendScheduledDelayedEvent(now);
  assert.deepEqual(await scheduled(), []);
  const texts = () => roomOf(bob, roomId).getLiveTimeline().getEvents().map((event) => event.getContent().body);
  await until(() => texts().includes('Soon') && texts().includes('Now'), 'two of them came');
  assert.ok(!texts().includes('Never'));
  assert.ok(soon);

  /** The delays that have not ended, without the one that ends by itself. */
  async function scheduled() {
    const { scheduled: events = [] } = await alice._unstable_getDelayedEvents('scheduled');
    return events.map((event) => event.delay_id).filter((id) => id !== soon).sort();
  }
});

test('a sticky event is told to who comes after it left the timeline', async () => {
  const { event_id: stickyId } = await alice._unstable_sendStickyEvent(roomId, 600_000, null, EventType.Sticker, {
    body: 'Water is off.',
    url: 'mxc://localhost/tap',
    info: {},
    msc4354_sticky_key: 'notice',
  });
  for (let number = 1; number <= 5; number++) await alice.sendTextMessage(roomId, `Weeding ${number}`);
  const tablet = await start(await logIn(server, 'bob'), { initialSyncLimit: 2 });
  const sticky = () => [...roomOf(tablet, roomId)._unstable_getStickyEvents()].map((event) => event.getId());
  await until(() => sticky().includes(stickyId), 'the tablet has it');
  tablet.stopClient();
});

test('an upgraded room leads to its successor, with its name, alias and rights', async () => {
  await alice.setPowerLevel(roomId, BOB, 40);
  const { replacement_room: newId } = await alice.upgradeRoom(roomId, '12');
  await until(() => membershipOf(alice, newId) === 'join', 'Alice is in the new room');
  await until(() => tombstone(bob)?.replacement_room === newId, 'Bob sees where it went');
  await bob.joinRoom(newId);
  await until(() => membershipOf(bob, newId) === 'join', 'Bob is in the new room');
  const room = roomOf(bob, newId);
  assert.equal(room.getVersion(), '12');
  assert.equal(room.name, 'Garden');
  assert.equal(room.findPredecessor()?.roomId, roomId);
  assert.equal((await bob.getRoomIdForAlias('#garden:localhost')).room_id, newId);
  await until(() => room.getMember(BOB)?.powerLevel === 40, 'Bob kept his rights');
  await assert.rejects(bob.sendTextMessage(roomId, 'Hello?'), { errcode: 'M_FORBIDDEN' });
});

test('people and public rooms are found', async () => {
  const { results } = await alice.searchUserDirectory({ term: 'bo' });
  assert.deepEqual(results.map((user) => user.user_id), [BOB]);
  const { room_id: shown } = await alice.createRoom({ name: 'Seed swap', visibility: Visibility.Public });
  const { chunk } = await bob.publicRooms({ filter: { generic_search_term: 'swap' } });
  assert.deepEqual(chunk.map((room) => room.room_id), [shown]);
});

test('the server found nothing wrong', () => {
  assert.doesNotMatch(server.readLog(), /Traceback/);
});

/** A transparent pixel. */
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);

/** @param {string} name */
async function createSpace(name) {
  const { room_id: id } = await alice.createRoom({
    name,
    preset: Preset.PublicChat,
    creation_content: { type: RoomType.Space },
  });
  return id;
}

/**
 * @param {string} space
 * @param {string} child
 */
const addChild = (space, child) => alice.sendStateEvent(space, EventType.SpaceChild, { via: ['localhost'] }, child);

/**
 * @param {MatrixClient} client
 * @param {string} space
 */
const namesIn = async (client, space) => (await client.getRoomHierarchy(space)).rooms.map((room) => room.name);

/**
 * How far a user has read the thread, as a client knows.
 * @param {MatrixClient} client
 * @param {string} userId
 */
const threadReadBy = (client, userId) => roomOf(client, roomId).getThread(rootId)?.getEventReadUpTo(userId);

/** @param {MatrixClient} client */
const tombstone = (client) =>
  roomOf(client, roomId).currentState.getStateEvents(EventType.RoomTombstone, '')?.getContent();
