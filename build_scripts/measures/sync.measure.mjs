// @ts-check
/**
 * What /sync and sending cost a client whose user is in many rooms: Tabstead beside Synapse, both on CPython with SQLite in
 * a file, the same requests in the same order; and Tabstead in a browser's worker, asked by a page.
 *
 * Alice is in so many rooms, each of her own; Bob is in the first of them with her. Measured, as the client sees it:
 *
 * - *initial*: a sync without a token.
 * - *incremental*: a sync from a token after which Bob has sent one message.
 * - *delivery*: from the moment at which Bob begins to send until Alice's sync, which waits, has the message.
 * - *sends*: messages that one client sends one after another, and 16 clients at once, each to a room of its own.
 *
 * Every figure but the rates is a median. The client is Node's, or the page's, `fetch`, on the same machine.
 * @module
 */
import { parseArgs } from 'node:util';
import { launch, openControlledPage, serveDist } from '../../tests/helpers/browser.mjs';
import { createServerFolder, deleteServerFolder, startNativeServer } from '../../tests/helpers/native_server.mjs';
import { median, printTable, rounded, say } from './report.mjs';
import { makeFolder } from './sites.mjs';
import { hasSynapse, startSynapse } from './synapse_server.mjs';

/** @typedef {{ base: string, token: string, userId: string }} Account */
/** @typedef {<A, R>(task: (options: A) => R | Promise<R>, options: A) => Promise<R>} Run  where the client runs */
/** @typedef {{ initial: number, incremental: number, delivery: number, one: number, many: number }} Figures */

const CLIENTS = 16;
const ROOMS_AT_ONCE = 25;

const SERVERS = ['tabstead', 'synapse', 'worker'];

const { values } = parseArgs({
  options: {
    rooms: { type: 'string', default: '100,1000' },
    rounds: { type: 'string', default: '30' },
    seconds: { type: 'string', default: '5' },
    servers: { type: 'string', default: SERVERS.join(',') },
  },
});
const sizes = values.rooms.split(',').map(Number);
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

// What runs in the client: each of these is a whole by itself, since a page knows nothing of this file.

/** A new user. @param {{ base: string, name: string }} options @returns {Promise<Account>} */
async function register({ base, name }) {
  const body = { username: name, password: 'a password for the measure', auth: { type: 'm.login.dummy' } };
  const address = `${base}/_matrix/client/v3/register`;
  const ask = async (/** @type {object} */ content) => (await fetch(address, { method: 'POST', body: JSON.stringify(content) })).json();
  let answer = await ask(body);
  if (answer.session) answer = await ask({ ...body, auth: { ...body.auth, session: answer.session } });
  if (!answer.access_token) throw new Error(JSON.stringify(answer));
  return { base, token: answer.access_token, userId: answer.user_id };
}

/** New rooms of a user; their ids. @param {{ account: Account, count: number }} options */
async function createRooms({ account: { base, token }, count }) {
  const roomIds = [];
  for (let number = 0; number < count; number++) {
    const response = await fetch(`${base}/_matrix/client/v3/createRoom`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ preset: 'public_chat', name: `Room ${number}` }),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(body));
    roomIds.push(/** @type {string} */ (body.room_id));
  }
  return roomIds;
}

/** @param {{ account: Account, roomId: string }} options */
async function join({ account: { base, token }, roomId }) {
  const address = `${base}/_matrix/client/v3/join/${encodeURIComponent(roomId)}`;
  const response = await fetch(address, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: '{}' });
  if (!response.ok) throw new Error(await response.text());
}

/**
 * Initial syncs, then incremental ones with one message each, then messages to a sync that waits; times in ms.
 * @param {{ alice: Account, bob: Account, roomId: string, rooms: number, rounds: number, prefix: string }} options
 */
async function measureSync({ alice, bob, roomId, rooms, rounds: count, prefix }) {
  /** @param {Record<string, string>} query */
  const sync = async (query) => {
    const response = await fetch(`${alice.base}/_matrix/client/v3/sync?${new URLSearchParams(query)}`, {
      headers: { authorization: `Bearer ${alice.token}` },
    });
    const body = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(body));
    return body;
  };
  let sent = 0;
  const send = async () => {
    const address = `${bob.base}/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${prefix}${sent++}`;
    const response = await fetch(address, {
      method: 'PUT',
      headers: { authorization: `Bearer ${bob.token}` },
      body: JSON.stringify({ msgtype: 'm.text', body: 'a message of ordinary length, as people send them' }),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(body));
    return body.event_id;
  };
  /** @param {any} answer @param {string} eventId */
  const check = (answer, eventId) => {
    const events = answer.rooms?.join?.[roomId]?.timeline?.events ?? [];
    if (!events.some((/** @type {any} */ event) => event.event_id === eventId)) throw new Error('the message is not in the sync');
  };
  /** @type {{ initial: number[], incremental: number[], delivery: number[] }} */
  const times = { initial: [], incremental: [], delivery: [] };
  let since = '';
  for (let round = 0; round < Math.max(1, count / 10); round++) {
    const asked = performance.now();
    const answer = await sync({ timeout: '0' });
    times.initial.push(performance.now() - asked);
    if (Object.keys(answer.rooms.join).length !== rooms) throw new Error('not every room is in the sync');
    since = answer.next_batch;
  }
  for (let round = 0; round < count; round++) {
    const eventId = await send();
    const asked = performance.now();
    const answer = await sync({ timeout: '0', since });
    times.incremental.push(performance.now() - asked);
    check(answer, eventId);
    since = answer.next_batch;
  }
  for (let round = 0; round < count; round++) {
    const waiting = sync({ timeout: '30000', since }).then((answer) => ({ answer, arrived: performance.now() }));
    await new Promise((resolve) => setTimeout(resolve, 30)); // it has looked, and waits
    const began = performance.now();
    const [{ answer, arrived }, eventId] = await Promise.all([waiting, send()]);
    times.delivery.push(arrived - began);
    check(answer, eventId);
    since = answer.next_batch;
  }
  return times;
}

/**
 * Messages per second, sent for so many seconds by clients that each have a room.
 * @param {{ account: Account, roomIds: string[], seconds: number, prefix: string }} options
 */
async function measureSends({ account: { base, token }, roomIds, seconds: duration, prefix }) {
  const body = JSON.stringify({ msgtype: 'm.text', body: 'a message of ordinary length, as people send them' });
  const options = { method: 'PUT', headers: { authorization: `Bearer ${token}` }, body };
  const began = performance.now();
  const end = began + duration * 1000;
  let sent = 0;
  const write = async (/** @type {string} */ roomId) => {
    const room = `${base}/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/`;
    while (performance.now() < end) {
      const response = await fetch(`${room}${prefix}${sent++}`, options);
      if (!response.ok) throw new Error(await response.text());
      await response.json();
    }
  };
  await Promise.all(roomIds.map(write));
  return sent / ((performance.now() - began) / 1000);
}

// What drives it.

/**
 * Everything about one server, a row for each number of rooms.
 * @param {string} name
 * @param {string} base
 * @param {Run} run
 */
async function measureServer(name, base, run) {
  const alice = await run(register, { base, name: 'alice' });
  const bob = await run(register, { base, name: 'bob' });
  /** @type {string[]} */
  const roomIds = [];
  const rows = [];
  for (const rooms of sizes) {
    say(`${name}: ${rooms} rooms`);
    while (roomIds.length < rooms) {
      const count = Math.min(ROOMS_AT_ONCE, rooms - roomIds.length);
      roomIds.push(...(await run(createRooms, { account: alice, count })));
    }
    if (!rows.length) await run(join, { account: bob, roomId: roomIds[0] });
    const prefix = `m${rooms}_`;
    const times = await run(measureSync, { alice, bob, roomId: roomIds[0], rooms, rounds, prefix });
    const clients = roomIds.slice(0, CLIENTS);
    const one = await run(measureSends, { account: alice, roomIds: clients.slice(0, 1), seconds, prefix: `one${prefix}` });
    const many = await run(measureSends, { account: alice, roomIds: clients, seconds, prefix: `many${prefix}` });
    rows.push({
      server: name,
      rooms,
      'initial ms': rounded(median(times.initial)),
      'incremental ms': rounded(median(times.incremental), 2),
      'delivery ms': rounded(median(times.delivery), 2),
      'sends/s, 1 client': rounded(one),
      [`sends/s, ${CLIENTS} clients`]: rounded(many),
    });
  }
  return rows;
}

/** In this process. @type {Run} */
const here = async (task, options) => task(options);

/** @type {Record<string, () => Promise<Record<string, string | number>[]>>} */
const measures = {
  async tabstead() {
    const folder = await createServerFolder();
    const server = await startNativeServer(folder);
    try {
      return await measureServer('Tabstead', server.baseUrl, here);
    } finally {
      await server.stop();
      await deleteServerFolder(folder);
    }
  },
  async synapse() {
    if (!hasSynapse) throw new Error('run  build_scripts/setup --with synapse  before, or leave it out with --servers');
    const server = await startSynapse(makeFolder());
    try {
      return await measureServer('Synapse', server.baseUrl, here);
    } finally {
      await server.stop();
    }
  },
  async worker() {
    const site = await serveDist();
    const browser = await launch('chromium');
    try {
      const page = await openControlledPage(browser, site.url);
      return await measureServer('Tabstead, worker', '', /** @type {any} */ ((/** @type {any} */ task, /** @type {any} */ options) => page.evaluate(task, options)));
    } finally {
      await browser.close();
      await site.close();
    }
  },
};

const results = [];
for (const server of values.servers.split(',')) results.push(...(await measures[server]()));
printTable(results);
console.log(JSON.stringify({ measure: 'sync', rounds, results }));
