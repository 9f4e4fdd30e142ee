// @ts-check
/** What may happen to the homeserver in its worker, and that the next request is answered all the same. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, askWorker, fetchJson, launch, openControlledPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';

const VERSIONS = '/_matrix/client/versions';
/** No interpreter survives so deep a recursion. */
const DEADLY = 'import json\njson.loads("[" * 100_000)';
const WHOAMI = '/_matrix/client/v3/account/whoami';

for (const name of BROWSERS) {
  describe(`a homeserver in ${name}`, () => {
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let site;
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {import('puppeteer-core').Page} */
    let page;

    before(async () => {
      site = await serveDist();
      browser = await launch(name);
      page = await openControlledPage(browser, site.url);
    });
    after(async () => {
      await browser?.close();
      await site?.close();
    });

    test('answers which versions of the specification it speaks', async () => {
      const { status, body } = await fetchJson(page, VERSIONS);
      assert.equal(status, 200);
      assert.ok(body.versions.includes('v1.11'));
    });

    test('tells clients where it is', async () => {
      const { body } = await fetchJson(page, '/.well-known/matrix/client');
      assert.equal(body['m.homeserver'].base_url, new URL(site.url).origin);
    });

    test('tells the page how it is', async () => {
      const status = await askWorker(page, { type: 'status' });
      assert.equal(status.homeserver, 'running');
      assert.equal(status.serverName, new URL(site.url).host);
      assert.ok(status.wakeUpMs > 0);
      assert.ok(status.bytesStored > 0);
    });

    test('runs a developer\'s Python beside it, with packages from the site', async () => {
      await askWorker(page, { type: 'micropip', packages: ['pycparser'] });
      const code = 'import pycparser\n(homeserver.context.configuration.server_name, pycparser.__name__)';
      const found = await askWorker(page, { type: 'python', code });
      assert.equal(found, `('${new URL(site.url).host}', 'pycparser')`);
    });

    test('refuses a body nested 100,000 deep, and lives', async () => {
      const body = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
      const refused = await fetchJson(page, '/_matrix/client/v3/register', { method: 'POST', body });
      assert.equal(refused.status, 400);
      assert.equal(refused.body.errcode, 'M_BAD_JSON');
      assert.equal((await fetchJson(page, VERSIONS)).status, 200);
    });

    test('stops code that holds the worker, and answers the next request', async () => {
      const code = 'import time\nuntil = time.time() + 60\nwhile time.time() < until: pass';
      await assert.rejects(askWorker(page, { type: 'python', code }), /took too long/);
      assert.equal((await fetchJson(page, VERSIONS)).status, 200);
    });

    test('starts anew when its interpreter died, with all that it had acknowledged', async () => {
      const alice = await register(page, 'alice');
      await assert.rejects(askWorker(page, { type: 'python', code: DEADLY }), /broke down/);
      const { body } = await fetchJson(page, WHOAMI, alice);
      assert.equal(body.user_id, alice.userId);
    });

    test('answers media first among those who waited for it to start', async () => {
      await assert.rejects(askWorker(page, { type: 'python', code: DEADLY }));
      const order = await page.evaluate(async () => {
        /** @type {string[]} */
        const answered = [];
        const paths = ['v3/account/whoami', 'v3/joined_rooms', 'v1/media/config'];
        const ask = async (/** @type {string} */ path) => {
          await (await fetch(`/_matrix/client/${path}`, { headers: { authorization: 'Bearer nobody' } })).text();
          answered.push(path);
        };
        await Promise.all(paths.map(ask));
        return answered;
      });
      assert.equal(order[0], 'v1/media/config');
    });

    test('draws other random numbers in every life', async () => {
      const code = 'import os, random, secrets\nimport nacl.utils\n(os.urandom(8), random.random(), secrets.token_hex(8), nacl.utils.random(8))';
      const first = await askWorker(page, { type: 'python', code });
      await askWorker(page, { type: 'reset' });
      const second = await askWorker(page, { type: 'python', code });
      const [numbers, others] = [first, second].map((tuple) => tuple.slice(1, -1).split(', '));
      assert.equal(numbers.length, 4);
      numbers.forEach((/** @type {string} */ number, /** @type {number} */ index) => assert.notEqual(number, others[index]));
    });

    test('begins anew when the browser has deleted its database', async () => {
      await page.evaluate(async () => {
        for (const { name } of await indexedDB.databases()) {
          const request = indexedDB.deleteDatabase(String(name));
          await new Promise((resolve) => (request.onsuccess = resolve));
        }
      });
      const carol = await retried(() => tryToRegister(page, 'carol'));
      assert.equal(carol.status, 200, JSON.stringify(carol.body));
    });

    test('goes out as a file and comes in again', async () => {
      const bob = await register(page, 'bob');
      await page.evaluate(async () => Object.assign(window, { copy: await Reflect.get(window, 'askWorker')({ type: 'export' }) }));
      await askWorker(page, { type: 'reset' });
      assert.equal((await fetchJson(page, WHOAMI, bob)).status, 401);
      await page.evaluate(() => Reflect.get(window, 'askWorker')({ type: 'import', file: Reflect.get(window, 'copy') }));
      assert.equal((await fetchJson(page, WHOAMI, bob)).body.user_id, bob.userId);
    });

    test('refuses a file that is no database of a homeserver', async () => {
      const importing = page.evaluate(() => {
        const file = new Blob(['SQLite format 3\0', new Uint8Array(4096)]);
        return Reflect.get(window, 'askWorker')({ type: 'import', file });
      });
      await assert.rejects(importing);
      assert.equal((await fetchJson(page, VERSIONS)).status, 200);
    });
  });
}

/**
 * @param {import('puppeteer-core').Page} page
 * @param {string} username
 */
function tryToRegister(page, username) {
  const body = JSON.stringify({ username, password: 'secret', auth: { type: 'm.login.dummy' } });
  return fetchJson(page, '/_matrix/client/v3/register', { method: 'POST', body });
}

/**
 * As a client does when it is told that the server isn't available.
 * @template {{ status: number }} T
 * @param {() => Promise<T>} request
 */
async function retried(request) {
  const first = await request();
  return first.status === 503 ? request() : first;
}
