// @ts-check
/**
 * How long a request waits when its worker has to be woken first, beside plain `loadPyodide` with the same imports, and
 * what a database of 200 MB changes about that.
 *
 * Three workers in one browser take turns: ours with an empty database, ours with a big one, and the peer, which answers
 * as soon as its imports are done, without any database. In each turn the worker is killed (DevTools' stopAllWorkers: its
 * thread ends, its process and the browser's caches stay, as when Chromium ends an idle worker), and a page's request is
 * timed from its start to its answer: an authenticated `/sync` that goes on from a token.
 *
 * Before that each of the three is used for a while, as a worker is that its browser ends when nobody asks it anything:
 * browsers keep compiled code, but only when some seconds have passed in which nothing new was compiled.
 *
 * Memory is that of all renderer processes together (proportional set size), in a browser that was started anew for one
 * site, after a wake-up and the same `/sync`.
 * @module
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DIST, launch, openControlledPage, serveDist } from '../../tests/helpers/browser.mjs';
import { rendererMemory } from './memory.mjs';
import { median, printTable, quantile, rounded, say } from './report.mjs';
import { fillDatabase, importDatabase, makeFolder, makePeerSite } from './sites.mjs';

/** @typedef {import('puppeteer-core').Browser} Browser */
/** @typedef {import('puppeteer-core').Page} Page */
/** @typedef {{ token: string, since: string }} Account */
/** @typedef {{ url: string, close: () => Promise<void> }} Site */

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '10' }, megabytes: { type: 'string', default: '200' } },
});
const rounds = Number(values.rounds);
const megabytes = Number(values.megabytes);
const databases = makeFolder();
const profile = makeFolder();

/** How long a worker is used, and how often, before it is killed for the first time. */
const USE_MS = 30_000;
const USE_EVERY_MS = 500;

/** @param {string} folder @returns {Promise<Site>} */
async function serve(folder) {
  const mounts = { '/': folder };
  const site = await serveDist({ mounts });
  Object.assign(mounts, { '/databases/': databases });
  return site;
}

/** In the page: the time of a `/sync` in ms. @param {Account} account */
async function syncInPage({ token, since }) {
  const asked = performance.now();
  const response = await fetch(`/_matrix/client/v3/sync?timeout=0&since=${since}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const body = await response.json();
  if (!response.ok || !body.next_batch) throw new Error(JSON.stringify(body));
  return performance.now() - asked;
}

/**
 * Kill the page's worker and time the request that wakes it.
 * @param {Page} page
 * @param {Account} account
 */
async function wake(page, account) {
  const devTools = await page.createCDPSession();
  await devTools.send('ServiceWorker.enable');
  await devTools.send('ServiceWorker.stopAllWorkers');
  await devTools.detach(); // attached, it would change how the worker lives
  return page.evaluate(syncInPage, account);
}

/**
 * What the renderers need in a new browser with this site alone.
 * @param {Site} site
 * @param {Account} account
 */
async function measureMemory(site, account) {
  const browser = await launch('chromium', { userDataDir: profile });
  try {
    const page = await openControlledPage(browser, site.url);
    await wake(page, account);
    await page.evaluate(syncInPage, account);
    return rendererMemory(browser);
  } finally {
    await browser.close();
  }
}

/**
 * Give a site's homeserver a database of so many megabytes.
 * @param {Browser} browser
 * @param {Site} site
 * @param {number} size
 * @returns {Promise<{ page: Page, account: Account }>}
 */
async function prepare(browser, site, size) {
  say(`a database of ${size} MB`);
  const name = `${size}.db`;
  const account = fillDatabase(join(databases, name), { serverName: new URL(site.url).host, megabytes: size });
  const page = await openControlledPage(browser, site.url);
  await importDatabase(page, `${site.url}databases/${name}`);
  return { page, account };
}

const sites = { empty: await serve(DIST), big: await serve(DIST), plain: await serve(makePeerSite('plain_pyodide')) };
const browser = await launch('chromium', { userDataDir: profile });
const empty = await prepare(browser, sites.empty, 0);
const big = await prepare(browser, sites.big, megabytes);
const plain = { page: await openControlledPage(browser, sites.plain.url), account: { token: '', since: '' } };

say('each worker in use');
for (const until = performance.now() + USE_MS; performance.now() < until; ) {
  for (const { page, account } of [empty, big, plain]) await page.evaluate(syncInPage, account);
  await setTimeout(USE_EVERY_MS);
}

/** @type {Record<string, number[]>} */
const times = { empty: [], big: [], plain: [] };
for (let round = 0; round <= rounds; round++) {
  say(round ? `round ${round} of ${rounds}` : 'a round that does not count');
  for (const [name, { page, account }] of Object.entries({ empty, big, plain })) {
    await page.bringToFront();
    const time = await wake(page, account);
    if (round) times[name].push(time);
  }
}
await browser.close();
say('memory');
const memory = {
  empty: await measureMemory(sites.empty, empty.account),
  big: await measureMemory(sites.big, big.account),
};
await Promise.all(Object.values(sites).map((site) => site.close()));
assert.equal(times.plain.length, rounds);

/** @param {string} what @param {number[]} measured @param {number} [bytes] */
const row = (what, measured, bytes) => ({
  worker: what,
  'median ms': rounded(median(measured), 0),
  'fastest ms': rounded(Math.min(...measured), 0),
  'slowest ms': rounded(quantile(measured, 1), 0),
  'of plain': rounded(median(measured) / median(times.plain), 3),
  'of empty': rounded(median(measured) / median(times.empty), 2),
  'renderers MB': bytes ? rounded(bytes / 1e6, 0) : '',
});
const results = [
  row('Tabstead, empty database', times.empty, memory.empty),
  row(`Tabstead, ${megabytes} MB`, times.big, memory.big),
  row('plain loadPyodide, same imports', times.plain),
];
printTable(results);
const moreMemoryMB = rounded((memory.big - memory.empty) / 1e6, 1);
console.log(JSON.stringify({ measure: 'wake', rounds, megabytes, moreMemoryMB, results }));
