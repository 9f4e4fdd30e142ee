// @ts-check
/**
 * Requests that would bring a worker down, or that are in it when it goes down: each gets a clear answer or happens once,
 * and the next request is answered.
 * @module
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { askWorker, fetchJson, launch, openControlledPage, openPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';
import { ask, lookIntoDatabase, sleep, storedMessages } from '../helpers/senders.mjs';

/** @typedef {import('puppeteer-core').Page} Page */

/** @type {Awaited<ReturnType<typeof serveDist>>} */
let site;
/** @type {import('puppeteer-core').Browser} */
let browser;
/** @type {Page} */
let page;
/** @type {import('puppeteer-core').CDPSession} */
let devTools;

before(async () => {
  site = await serveDist();
  browser = await launch('chromium');
  page = await openControlledPage(browser, site.url);
  devTools = await page.createCDPSession();
  await devTools.send('ServiceWorker.enable');
});

after(async () => {
  await browser?.close();
  await site?.close();
});

/** How many chunks of media are stored. */
const COUNT_CHUNKS = `
count = lambda db: db.execute("SELECT count(*) FROM media_chunks").fetchone()[0]
await homeserver.context.database.read(count)
`;

/** The homeserver of the page still answers. */
async function checkNextRequest() {
  assert.equal((await fetchJson(page, '/_matrix/client/versions')).status, 200);
}

describe('a POST whose worker dies after it was carried out, before its answer', () => {
  /** From here on until the worker dies, answers are held back after they are durable. */
  const HOLD_ANSWERS = `
import asyncio
from tabstead.client_api.call import Context

carry_out = Context.write_once

async def carry_out_and_hang(self, request, work):
    await carry_out(self, request, work)
    await asyncio.sleep(3600)

Context.write_once = carry_out_and_hang
`;

  /**
   * Create a room, and kill the worker when the room is there and its answer is not.
   * @param {Page} from  the page that asks
   * @param {string} username
   */
  async function createInterrupted(from, username) {
    const person = await register(from, username);
    const options = { method: 'POST', headers: person.headers, body: '{"name": "Once"}' };
    await askWorker(from, { type: 'python', code: HOLD_ANSWERS });
    const creating = fetchJson(from, '/_matrix/client/v3/createRoom', options);
    while ((await ask(from, person, 'GET', 'joined_rooms')).joined_rooms.length === 0);
    await devTools.send('ServiceWorker.stopAllWorkers');
    const answer = await creating;
    assert.equal(answer.status, 200, 'it was dispatched again, and answered');
    const { joined_rooms: rooms } = await ask(from, person, 'GET', 'joined_rooms');
    assert.deepEqual(rooms, [answer.body.room_id]);
    return { person, options };
  }

  test('happens once when the page names its requests', async () => {
    await page.reload(); // through the worker, which adds the hooks
    await createInterrupted(page, 'hooked');
  });

  test('happens once when the page has no hooks, and asking again is another request', async () => {
    const bare = await openPage(browser, `${site.url}test/plain.txt`);
    const { person, options } = await createInterrupted(bare, 'bare');
    await fetchJson(bare, '/_matrix/client/v3/createRoom', options);
    assert.equal((await ask(bare, person, 'GET', 'joined_rooms')).joined_rooms.length, 2);
    await bare.close();
  });

  test('is a repeated PUT when it has a transaction id: one event', async () => {
    const person = await register(page, 'putter');
    const { room_id: roomId } = await ask(page, person, 'POST', 'createRoom', {});
    await askWorker(page, { type: 'python', code: HOLD_ANSWERS });
    const path = `rooms/${encodeURIComponent(roomId)}/send/m.room.message/once`;
    const sending = ask(page, person, 'PUT', path, { msgtype: 'm.text', body: 'once' });
    const messages = `rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=1`;
    while ((await ask(page, person, 'GET', messages)).chunk[0].type !== 'm.room.message');
    await devTools.send('ServiceWorker.stopAllWorkers');
    const { event_id: eventId } = await sending;
    const stored = await lookIntoDatabase(page, (_, file) => storedMessages(file));
    assert.deepEqual(stored.filter(([, text]) => text === 'once'), [[eventId, 'once']]);
  });
});

test('an upload whose worker dies half-way is dispatched again, and is whole', async () => {
  const person = await register(page, 'uploader');
  const uploading = page.evaluate(async (headers) => {
    const body = new Uint8Array(12 << 20);
    for (let at = 0; at < body.length; at += 65536) crypto.getRandomValues(body.subarray(at, at + 65536));
    const sent = { method: 'POST', headers: { ...headers, 'content-type': 'video/mp4' }, body };
    const { content_uri: uri } = await (await fetch('/_matrix/media/v3/upload', sent)).json();
    const name = uri.slice('mxc://'.length);
    const received = await (await fetch(`/_matrix/client/v1/media/download/${name}`, { headers })).arrayBuffer();
    const digests = await Promise.all([body, received].map((bytes) => crypto.subtle.digest('SHA-256', bytes)));
    return digests.map((digest) => new Uint8Array(digest).toHex());
  }, person.headers);
  const chunks = () =>
    askWorker(page, { type: 'python', code: COUNT_CHUNKS }).then(Number); // of the upload, as far as it came
  while ((await chunks()) < 50);
  await devTools.send('ServiceWorker.stopAllWorkers');
  const [sent, received] = await uploading;
  assert.equal(received, sent);
  const problems = await lookIntoDatabase(page, (database) => database.prepare('PRAGMA integrity_check').all());
  assert.deepEqual(problems.map((problem) => problem.integrity_check), ['ok']);
});

test('a body nested 100,000 deep is refused, and the next request is answered', async () => {
  const person = await register(page, 'nester');
  const body = `{"name":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  const answer = await fetchJson(page, '/_matrix/client/v3/createRoom', { method: 'POST', headers: person.headers, body });
  assert.equal(answer.status, 400);
  assert.equal(answer.body.errcode, 'M_BAD_JSON');
  assert.match(answer.body.error, /nested deeper/);
  await checkNextRequest();
});

test('a request that would hold the worker for a minute is stopped with an error, and the next one is answered', async () => {
  const code = `
import time
from tabstead.client_api import server

respond = server.json_response

def respond_after_a_minute(value):
    server.json_response = respond
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass
    return respond(value)

server.json_response = respond_after_a_minute
`;
  await askWorker(page, { type: 'python', code });
  const answer = await fetchJson(page, '/_matrix/client/versions');
  assert.equal(answer.status, 503);
  assert.match(answer.body.error, /took too long/);
  await checkNextRequest();
});

test('a full disk refuses what would be stored, whole, and nothing else', async () => {
  const person = await register(page, 'hoarder');
  const room = `rooms/${encodeURIComponent((await ask(page, person, 'POST', 'createRoom', {})).room_id)}`;
  const send = (/** @type {string} */ transactionId) =>
    fetchJson(page, `/_matrix/client/v3/${room}/send/m.room.message/${transactionId}`, {
      method: 'PUT',
      headers: person.headers,
      body: JSON.stringify({ msgtype: 'm.text', body: transactionId.repeat(3000) }), // more than the file has room for
    });
  const countMessages = async () => {
    const { chunk } = await ask(page, person, 'GET', `${room}/messages?dir=b&limit=100`);
    return chunk.filter((/** @type {any} */ event) => event.type === 'm.room.message').length;
  };
  const { origin } = new URL(site.url);
  await devTools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1024 });
  // Chromium remembers for half a minute how much room there was.
  let sent = 0;
  let refused = await send(`message ${sent}`);
  for (; refused.status === 200 && sent < 120; refused = await send(`message ${++sent}`)) await sleep(500);
  assert.equal(refused.status, 507, JSON.stringify(refused.body));
  assert.equal(refused.body.errcode, 'M_RESOURCE_LIMIT_EXCEEDED');
  assert.equal(await countMessages(), sent, 'what is read is answered, and nothing of the refused message is there');
  await devTools.send('ServiceWorker.stopAllWorkers');
  assert.equal(await countMessages(), sent, 'a worker that wakes up now reads, too');

  await devTools.send('Storage.overrideQuotaForOrigin', { origin });
  assert.equal((await send(`message ${sent}`)).status, 200, 'the client repeats it later');
  assert.equal(await countMessages(), sent + 1);
});

test('a full disk has no room for a new server, and says so', async () => {
  const { origin } = new URL(site.url);
  await devTools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1024 });
  const reset = () => askWorker(page, { type: 'reset' }).then(() => 'There was room.', String);
  let outcome = await reset();
  for (let tries = 0; outcome === 'There was room.' && tries < 120; tries++) {
    await sleep(500);
    outcome = await reset();
  }
  const sentence = 'This browser gives the server no more storage.';
  assert.match(outcome, new RegExp(`${sentence}$`));
  const { status, body } = await fetchJson(page, '/_matrix/client/versions');
  assert.equal(status, 507);
  assert.deepEqual(body, {
    errcode: 'M_RESOURCE_LIMIT_EXCEEDED',
    error: `The homeserver is not available: ${sentence}`,
  });
  await devTools.send('Storage.overrideQuotaForOrigin', { origin });
  await checkNextRequest();
});
