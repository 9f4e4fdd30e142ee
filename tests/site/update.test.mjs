// @ts-check
/** A newer version of the site takes over from an older one, and no open page notices more than a second of waiting. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, DIST, askWorker, fetchJson, launch, openControlledPage, openPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';

const WHOAMI = '/_matrix/client/v3/account/whoami';

/** The file that differs between the versions: under its old name, it exists in the old one only. */
const oldHooks = `assets/${readdirSync(join(DIST, 'assets')).find((name) => name.startsWith('client_hooks-'))}`;
const newHooks = 'assets/client_hooks-newerhash1.js';

/** The site as another build would have it. */
function makeNewerSite() {
  const site = mkdtempSync(join(tmpdir(), 'tabstead-site-'));
  cpSync(DIST, site, { recursive: true });
  renameSync(join(site, oldHooks), join(site, newHooks));
  const worker = readFileSync(join(site, 'service_worker.js'), 'utf8');
  const [, version] = /** @type {RegExpExecArray} */ (/VERSION = "(.+)"/.exec(worker));
  writeFileSync(join(site, 'service_worker.js'), worker.replaceAll(oldHooks, newHooks).replaceAll(version, 'newer'));
  return site;
}

for (const name of BROWSERS) {
  describe(`an update that nobody asks for, in ${name}`, () => {
    const mounts = { '/': DIST };
    const newer = makeNewerSite();
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let site;
    /** @type {import('puppeteer-core').Browser} */
    let browser;

    before(async () => {
      site = await serveDist({ mounts });
      browser = await launch(name);
    });
    after(async () => {
      await browser?.close();
      await site?.close();
      rmSync(newer, { recursive: true, force: true });
    });

    test('waits for the last of several tabs to close, and has taken over at a visit after that', async () => {
      const first = await openControlledPage(browser, site.url);
      const second = await openControlledPage(browser, site.url);
      const alice = await register(first, 'alice');
      await Promise.all([first, second].map((tab) => tab.evaluate(pollForEver, alice.headers, 5_000)));
      mounts['/'] = newer;
      await first.evaluate(async () => (await navigator.serviceWorker.ready).update()); // one under way may be of the older site
      await first.evaluate(findUpdate);
      const away = await browser.newPage(); // a browser without tabs would close
      await first.close();
      assert.notEqual((await askWorker(second, { type: 'status' })).version, 'newer');
      await second.close();
      const next = await visitUntilNewer(browser, `${site.url}test/blank.html`);
      const { body } = await fetchJson(next, WHOAMI, alice);
      assert.equal(body.user_id, alice.userId);
      await away.close();
    });
  });

  describe(`an update in ${name}`, () => {
    const mounts = { '/': DIST };
    const newer = makeNewerSite();
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let site;
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {import('puppeteer-core').Page} */
    let page;
    /** @type {Awaited<ReturnType<typeof register>>} */
    let alice;

    before(async () => {
      site = await serveDist({ mounts });
      browser = await launch(name);
      page = await openControlledPage(browser, site.url);
      alice = await register(page, 'alice');
      const other = await openControlledPage(browser, site.url);
      await Promise.all([page, other].map((client) => client.evaluate(pollForEver, alice.headers, 25_000)));
      await page.bringToFront();
    });
    after(async () => {
      await browser?.close();
      await site?.close();
      rmSync(newer, { recursive: true, force: true });
    });

    test('waits while nobody asks for it', async () => {
      mounts['/'] = newer;
      await page.evaluate(findUpdate);
      assert.notEqual((await askWorker(page, { type: 'status' })).version, 'newer');
      assert.equal((await fetchJson(page, WHOAMI, alice)).status, 200);
    });

    test('takes over when asked, under the long polls of two pages', async () => {
      await askWorker(page, { type: 'drain' });
      await page.evaluate(activateUpdate);
      assert.equal((await askWorker(page, { type: 'start' })).version, 'newer');
      const { body } = await fetchJson(page, WHOAMI, alice);
      assert.equal(body.user_id, alice.userId);
    });

    test('keeps the older files for the pages that were opened with them, as long as they are open', async () => {
      assert.equal(await keptVersions(page), 2);
      assert.equal(await statusOf(page, oldHooks), 200);
      assert.equal(await statusOf(page, newHooks), 200);
      const young = await openPage(browser, `${site.url}test/blank.html`);
      for (const old of await browser.pages()) if (old !== young) await old.close();
      await young.reload(); // a page is opened: those before it are gone
      assert.equal(await settled(() => keptVersions(young), 1), 1);
      assert.equal(await statusOf(young, newHooks), 200);
    });
  });
}

/**
 * @param {import('puppeteer-core').Page} page
 * @param {string} path
 */
function statusOf(page, path) {
  return page.evaluate(async (address) => (await fetch(`/${address}`)).status, path);
}

/** @param {import('puppeteer-core').Page} page */
function keptVersions(page) {
  return page.evaluate(async () => (await caches.keys()).filter((name) => name.startsWith('tabstead / files')).length);
}

/**
 * A tab, opened and closed until the newer worker has it: a tab's requests may outlive it for as long as a long poll lasts.
 * @param {import('puppeteer-core').Browser} browser
 * @param {string} url
 */
async function visitUntilNewer(browser, url) {
  for (let visits = 0; visits < 40; visits++) {
    const tab = await openPage(browser, url);
    if ((await askWorker(tab, { type: 'start' })).version === 'newer') return tab;
    await tab.close();
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  throw new Error('No visit met the newer worker.');
}

/**
 * What something is once it is what is expected, or after a while.
 * @template T
 * @param {() => Promise<T>} look
 * @param {T} expected
 */
async function settled(look, expected) {
  for (let tries = 0; tries < 50; tries++) {
    if ((await look()) === expected) return expected;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return look();
}

/** In the page: as a Matrix client does. @param {Record<string, string>} headers @param {number} timeout  of a poll, in ms */
function pollForEver(headers, timeout) {
  const poll = async (/** @type {string | undefined} */ since) => {
    const query = since ? `?since=${since}&timeout=${timeout}` : '';
    const response = await fetch(`/_matrix/client/v3/sync${query}`, { headers });
    const { next_batch: next, retry_after_ms: pause } = await response.json();
    if (!next && !pause) return;
    if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
    void poll(next ?? since);
  };
  void poll(undefined);
}

/** In the page. */
async function findUpdate() {
  const registration = await navigator.serviceWorker.ready;
  await registration.update();
  const worker = registration.installing ?? registration.waiting;
  while (worker?.state === 'installing') await new Promise((resolve) => setTimeout(resolve, 50));
  if (worker?.state !== 'installed') throw new Error(`The newer worker is ${worker?.state ?? 'not there'}.`);
}

/** In the page. */
async function activateUpdate() {
  const { waiting } = await navigator.serviceWorker.ready;
  const changed = new Promise((resolve, reject) => {
    navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true });
    setTimeout(() => reject(new Error('The newer worker did not take over.')), 15_000);
  });
  waiting?.postMessage({ type: 'skip-waiting' }, [new MessageChannel().port2]);
  await changed;
}
