// @ts-check
/**
 * What a durable send costs in the worker, beside two other ways to keep SQLite in IndexedDB.
 *
 * Ours is the whole way: `fetch` in a page, `PUT .../send` in the homeserver, the answer after it is durable. The peers do
 * the SQL of the same sends alone, statement by statement as it was recorded, on the same database, without a request
 * before it; so the comparison favours them. Bytes are what each worker hands to IndexedDB's `add` and `put`; ours include
 * the background fold. "16 at once": ours and IDBFS make what waits durable together, wa-sqlite one after another.
 * IDBFS does a tenth of the sends: it writes the whole database for each.
 * @module
 */
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { join } from 'node:path';
import { askWorker, launch, openControlledPage, serveDist } from '../../tests/helpers/browser.mjs';
import { median, printTable, quantile, rounded, say } from './report.mjs';
import { fillDatabase, importDatabase, makeCountingSite, makeFolder, makePeerSite } from './sites.mjs';

/** @typedef {import('puppeteer-core').Page} Page */
/** @typedef {{ name: string, sequential: number[], atOnce: number[], bytes: number, events: number }} Outcome */

const AT_ONCE = 16;

const { values } = parseArgs({
  options: { events: { type: 'string', default: '500' }, megabytes: { type: 'string', default: '16' } },
});
const events = Number(values.events);
const megabytes = Number(values.megabytes);

/** More sends of ours, at once, so that the background fold has its share in the bytes. */
const more = 3 * events;

/** @param {Page} page @returns {Promise<number>} bytes that its worker gave to IndexedDB */
const countedBytes = async (page) => (await askWorker(page, /** @type {any} */ ({ type: 'counted' }))).bytes;

/**
 * Serve a site and the databases, and measure on a page of it.
 * @param {string} folder
 * @param {(page: Page, url: string) => Promise<Outcome>} measure
 */
async function onSite(folder, measure) {
  const mounts = { '/': folder };
  const site = await serveDist({ mounts });
  Object.assign(mounts, { '/databases/': databases });
  const browser = await launch('chromium');
  try {
    return await measure(await openControlledPage(browser, site.url), site.url);
  } finally {
    await browser.close();
    await site.close();
  }
}

/**
 * In the page: send messages, so many at once; the latency of each in ms.
 * @param {{ token: string, roomId: string, first: number, count: number, atOnce: number }} options
 */
async function sendInPage({ token, roomId, first, count, atOnce }) {
  const room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/`;
  const body = JSON.stringify({ msgtype: 'm.text', body: 'a message of ordinary length, as people send them' });
  const options = { method: 'PUT', headers: { authorization: `Bearer ${token}` }, body };
  /** @type {number[]} */
  const latencies = [];
  let next = first;
  const write = async () => {
    while (next < first + count) {
      const asked = performance.now();
      const response = await fetch(`${room}measured${next++}`, options);
      if (!response.ok) throw new Error(await response.text());
      await response.json();
      latencies.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, write));
  return latencies;
}

const databases = makeFolder();

/** The database and the SQL of sends to it, made when our site's name is known. @type {ReturnType<typeof fillDatabase>} */
let filled;

function measureOurs() {
  return onSite(makeCountingSite(), async (page, url) => {
    say(`a database of ${megabytes} MB, and the SQL of ${2 * events} sends`);
    const serverName = new URL(url).host;
    filled = fillDatabase(join(databases, 'base.db'), { serverName, megabytes, events: 2 * events });
    say('Tabstead');
    await importDatabase(page, `${url}databases/base.db`);
    const options = { token: filled.token, roomId: filled.room_id };
    await page.evaluate(sendInPage, { ...options, first: 0, count: 20, atOnce: 1 });
    const before = await countedBytes(page);
    const sequential = await page.evaluate(sendInPage, { ...options, first: 1000, count: events, atOnce: 1 });
    const atOnce = await page.evaluate(sendInPage, { ...options, first: 5000, count: events, atOnce: AT_ONCE });
    await page.evaluate(sendInPage, { ...options, first: 10_000, count: more, atOnce: AT_ONCE });
    const bytes = (await countedBytes(page)) - before;
    return { name: 'Tabstead', sequential, atOnce, bytes, events: 2 * events + more };
  });
}

/**
 * @param {string} name
 * @param {string} worker
 * @param {number} count  of the recorded sends, half of them one by one
 */
function measurePeer(name, worker, count) {
  say(name);
  return onSite(makePeerSite(worker), async (page, url) => {
    const ask = (/** @type {object} */ message) => askWorker(page, /** @type {any} */ (message));
    await ask({ type: 'prepare', url: `${url}databases/base.db` });
    const stored = await ask({ type: 'count' });
    const before = await countedBytes(page);
    const sequential = await ask({ type: 'replay', transactions: filled.sends.slice(0, count / 2), atOnce: 1 });
    const atOnce = await ask({ type: 'replay', transactions: filled.sends.slice(count / 2, count), atOnce: AT_ONCE });
    const bytes = (await countedBytes(page)) - before;
    assert.equal(await ask({ type: 'count' }), stored + count, `${name} did the SQL`);
    return { name, sequential, atOnce, bytes, events: count };
  });
}

const few = 2 * AT_ONCE * Math.ceil(events / 10 / AT_ONCE);
const outcomes = [
  await measureOurs(),
  await measurePeer('wa-sqlite, IDBBatchAtomicVFS', 'wa_sqlite', 2 * events),
  await measurePeer('SQLite in memory, IDBFS', 'idbfs', few),
];
const results = outcomes.map(({ name, sequential, atOnce, bytes, events: count }) => ({
  name,
  'median ms': rounded(median(sequential)),
  'p95 ms': rounded(quantile(sequential, 0.95)),
  [`median ms, ${AT_ONCE} at once`]: rounded(median(atOnce)),
  [`p95 ms, ${AT_ONCE} at once`]: rounded(quantile(atOnce, 0.95)),
  'KB written per event': rounded(bytes / count / 1000, 2),
  sends: count,
}));
printTable(results);
console.log(JSON.stringify({ measure: 'durable-send', megabytes, results }));
