// @ts-check
/**
 * What requests notice of the compaction, and what it gives back: in the worker, a database of 200 MB of which about half
 * can go (fill_compactable.py says exactly what), while two clients send and sync.
 *
 * Each client sends a message and syncs, without waiting for news, again and again with 50 ms in between; every request
 * is timed in the page. First without compaction, for a while; then until nothing more is to be compacted.
 *
 * Sizes are SQLite's own; the values that the page store keeps in IndexedDB, blocks and log; `navigator.storage.estimate()`;
 * and the profile's IndexedDB files. Memory is that of all renderer processes (proportional set size).
 * @module
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DIST, askWorker, launch, openControlledPage, serveDist } from '../../tests/helpers/browser.mjs';
import { rendererMemory } from './memory.mjs';
import { printTable, quantile, rounded, say } from './report.mjs';
import { PYTHON, ROOT, importDatabase, makeFolder } from './sites.mjs';

/** @typedef {import('puppeteer-core').Page} Page */
/** @typedef {{ sends: number[], syncs: number[] }} Times */
/** @typedef {{ sqlite: number, free: number, pageStore: number, estimate: number, files: number }} Sizes */

const { values } = parseArgs({
  options: { megabytes: { type: 'string', default: '200' }, seconds: { type: 'string', default: '30' } },
});
const megabytes = Number(values.megabytes);
const seconds = Number(values.seconds);

/** A while in which IndexedDB's files shrink, or don't. */
const SETTLE_MS = 15_000;

const databases = makeFolder();
const profile = makeFolder();

/** From here on the compaction is off, or begins. @param {boolean} isOn */
const switchCompaction = (isOn) => `
from tabstead.storage.compaction.compactor import Compactor
homeserver.compactor.stop()
if ${isOn ? 'True' : 'False'}:
    homeserver.compactor = Compactor(homeserver.context.database, homeserver.context.now_ms)
`;

const PROGRESS = `
import json
statistics = await homeserver.context.database.statistics()
compactor = homeserver.compactor
json.dumps([compactor.is_due, compactor.slices, compactor.longest_slice, statistics.size, statistics.free])
`;

const STORED = `
file = homeserver.context.database._engine.store._file
try:
    await file.fold()
except Exception:
    pass
await file.storedBytes()
`;

/** @param {Page} page @param {string} code  whose value is JSON @returns {Promise<any>} */
async function python(page, code) {
  const text = await askWorker(page, { type: 'python', code });
  return JSON.parse(/^'.*'$/s.test(text) ? text.slice(1, -1) : text);
}

/** Bytes of all files below a folder. @param {string} folder @returns {number} */
function bytesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

/** @param {Page} page @returns {Promise<Sizes>} */
async function sizesOf(page) {
  const [, , , sqlite, free] = await python(page, PROGRESS);
  const pageStore = Number(await askWorker(page, { type: 'python', code: STORED }));
  const estimate = await page.evaluate(async () => (await navigator.storage.estimate()).usage ?? 0);
  return { sqlite, free, pageStore, estimate, files: bytesIn(join(profile, 'Default', 'IndexedDB')) };
}

/**
 * In the page: two clients at work until `stopClients`, once each has synced for the first time.
 * @param {{ tokens: string[], roomId: string, prefix: string }} options
 */
async function startClients({ tokens, roomId, prefix }) {
  /** @type {Times} */
  const times = { sends: [], syncs: [] };
  const state = { isWorking: true, times, done: Promise.resolve() };
  /** @param {string} token @param {number[]} kind @param {string} path @param {RequestInit} [init] */
  const ask = async (token, kind, path, init) => {
    const asked = performance.now();
    const response = await fetch(`/_matrix/client/v3/${path}`, { headers: { authorization: `Bearer ${token}` }, ...init });
    const body = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(body));
    kind.push(performance.now() - asked);
    return body;
  };
  /** @param {string} token @param {number} client @param {string} since */
  const work = async (token, client, since) => {
    const room = `rooms/${encodeURIComponent(roomId)}/send/m.room.message/`;
    for (let number = 0; state.isWorking; number++) {
      const body = JSON.stringify({ msgtype: 'm.text', body: `${prefix} ${number}` });
      await ask(token, times.sends, `${room}${prefix}-${client}-${number}`, { method: 'PUT', body });
      since = (await ask(token, times.syncs, `sync?timeout=0&since=${since}`)).next_batch;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const synced = await Promise.all(tokens.map((token) => ask(token, [], 'sync?timeout=0')));
  state.done = Promise.all(tokens.map((token, client) => work(token, client, synced[client].next_batch))).then(() => {});
  Object.assign(window, { clients: state });
}

/** In the page. @returns {Promise<Times>} */
async function stopClients() {
  const { clients } = /** @type {any} */ (window);
  clients.isWorking = false;
  await clients.done;
  return clients.times;
}

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

say(`a database of ${megabytes} MB`);
const mounts = { '/': DIST };
const site = await serveDist({ mounts });
Object.assign(mounts, { '/databases/': databases });
const { host } = new URL(site.url);
const program = `${ROOT}build_scripts/measures/fill_compactable.py`;
const filling = [program, join(databases, 'used.db'), host, String(megabytes)];
const filled = JSON.parse(execFileSync(PYTHON, filling, { encoding: 'utf8' }));
const clients = { tokens: filled.tokens, roomId: filled.room_id };

const browser = await launch('chromium', { userDataDir: profile });
const page = await openControlledPage(browser, site.url);
await importDatabase(page, `${site.url}databases/used.db`);
await askWorker(page, { type: 'python', code: switchCompaction(false) });

say(`${seconds} s without compaction`);
await page.evaluate(startClients, { ...clients, prefix: 'without' });
await pause(seconds * 1000);
const without = await page.evaluate(stopClients);
const before = await sizesOf(page);
const memoryBefore = rendererMemory(browser);

say('compaction');
let memoryMost = memoryBefore;
await page.evaluate(startClients, { ...clients, prefix: 'with' });
await askWorker(page, { type: 'python', code: switchCompaction(true) });
const began = performance.now();
let [isDue, slices, longestSlice] = [true, 0, 0];
let lastSaid = 0;
while (isDue) {
  await pause(1000);
  memoryMost = Math.max(memoryMost, rendererMemory(browser));
  const [due, done, longest, size, free] = await python(page, PROGRESS);
  [isDue, slices, longestSlice] = [due, done, longest];
  if (performance.now() - lastSaid > 10_000) {
    say(`${slices} slices, ${rounded(size / 1e6)} MB, of which ${rounded(free / 1e6)} MB are free`);
    lastSaid = performance.now();
  }
}
const duration = (performance.now() - began) / 1000;
const during = await page.evaluate(stopClients);
await sizesOf(page);
await pause(SETTLE_MS);
const after = await sizesOf(page);
const problems = await python(page, 'import json; json.dumps(await homeserver.context.database.integrity_check())');
await browser.close();
await site.close();
assert.deepEqual(problems, []);

/** @param {string} what @param {number[]} off @param {number[]} on */
const latencies = (what, off, on) =>
  Object.entries({ without: off, with: on }).map(([how, times]) => ({
    request: `${what}, ${how} compaction`,
    'p50 ms': rounded(quantile(times, 0.5)),
    'p95 ms': rounded(quantile(times, 0.95)),
    'p99 ms': rounded(quantile(times, 0.99)),
    'longest ms': rounded(Math.max(...times)),
    requests: times.length,
  }));

const results = [...latencies('/send', without.sends, during.sends), ...latencies('/sync', without.syncs, during.syncs)];
printTable(results);
const SIZES = { sqlite: 'SQLite', free: 'of which free', pageStore: 'page store', estimate: 'storage.estimate()', files: 'files' };
const sizes = Object.entries(SIZES).map(([key, name]) => ({
  size: name,
  'MB before': rounded(before[/** @type {keyof Sizes} */ (key)] / 1e6),
  'MB after': rounded(after[/** @type {keyof Sizes} */ (key)] / 1e6),
}));
printTable(sizes);
const summary = {
  seconds: rounded(duration),
  slices,
  longestSliceMs: rounded(longestSlice * 1000),
  longestPauseMs: rounded(Math.max(...during.sends, ...during.syncs)),
  memoryMB: { before: rounded(memoryBefore / 1e6, 0), most: rounded(memoryMost / 1e6, 0) },
};
printTable([{ compaction: '', ...summary, memoryMB: `${summary.memoryMB.before}, at most ${summary.memoryMB.most}` }]);
console.log(JSON.stringify({ measure: 'compaction', megabytes, ...summary, results, sizes }));
