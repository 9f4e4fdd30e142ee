// @ts-check
/** A server's name and its owner's wishes: what `tabstead.json` may change of a running server, and what it may not. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { BROWSERS, DIST, askWorker, fetchJson, launch, openControlledPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';

const VERSIONS = '/_matrix/client/versions';
const WHOAMI = '/_matrix/client/v3/account/whoami';

/** No interpreter survives so deep a recursion: the next request starts another one. */
const DEADLY = 'import json\njson.loads("[" * 100_000)';

for (const name of BROWSERS) {
  describe(`the owner of a server in ${name}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'tabstead-site-'));
    const configuration = join(folder, 'tabstead.json');
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let site;
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {import('puppeteer-core').Page} */
    let page;
    /** @type {Awaited<ReturnType<typeof register>>} */
    let alice;

    before(async () => {
      cpSync(DIST, folder, { recursive: true });
      writeFileSync(configuration, '{"server_name": "home.example"}');
      site = await serveDist({ mounts: { '/': folder } });
      browser = await launch(name);
      page = await openControlledPage(browser, site.url);
      alice = await register(page, 'alice');
    });
    after(async () => {
      await browser?.close();
      await site?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    /** The server starts, with what was said before the last start. */
    async function restart() {
      await askWorker(page, { type: 'python', code: DEADLY }).catch(() => {});
      return fetchJson(page, VERSIONS);
    }

    /** Say something, and wait until a start has made the worker look. @param {string} text */
    async function say(text) {
      writeFileSync(configuration, text);
      await restart();
      await page.waitForFunction(async (wanted) => {
        const kept = await caches.match('/tabstead.json');
        return (await kept?.text()) === wanted;
      }, { polling: 100 }, text);
    }

    test('can not give it another name', async () => {
      await say('{"server_name": "other.example"}');
      const { status, body } = await restart();
      assert.equal(status, 503);
      assert.match(body.error, /server_name is other\.example, but the database is that of home\.example\.$/);
    });

    test('can take that back, and everything is there', async () => {
      await say('{}');
      await restart();
      const { body } = await fetchJson(page, WHOAMI, alice);
      assert.equal(body.user_id, '@alice:home.example', 'also where nothing is said');
      assert.equal((await askWorker(page, { type: 'status' })).serverName, 'home.example');
    });

    test('hears which option is none, and mends it', async () => {
      await say('{"media": {"max_uplaod_bytes": 1000}}');
      const { body } = await restart();
      const sentence = 'media.max_uplaod_bytes is not an option. Did you mean media.max_upload_bytes?';
      assert.equal(body.error, `The homeserver is not available: tabstead.json: ${sentence}`);
      await say('{"media": {"max_upload_bytes": 1000}}');
      await restart();
      const limits = await fetchJson(page, '/_matrix/client/v1/media/config', alice);
      assert.deepEqual(limits.body, { 'm.upload.size': 1000 });
    });

    test('may export it even when it does not start', async () => {
      await say('{"server_name": "other.example"}');
      assert.equal((await restart()).status, 503);
      const magic = await page.evaluate(async () => {
        const copy = await Reflect.get(window, 'askWorker')({ type: 'export' });
        return copy.slice(0, 15).text();
      });
      assert.equal(magic, 'SQLite format 3');
    });
  });

  describe(`a copy in ${name}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'tabstead-site-'));
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let site;
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {import('puppeteer-core').Page} */
    let page;
    /** @type {Awaited<ReturnType<typeof register>>} */
    let alice;

    before(async () => {
      cpSync(DIST, folder, { recursive: true });
      writeFileSync(join(folder, 'tabstead.json'), '{"server_name": "home.example"}');
      site = await serveDist({ mounts: { '/home/': folder, '/inn/': DIST } });
      browser = await launch(name);
      const home = await openControlledPage(browser, `${site.url}home/`);
      alice = await register(home, 'alice');
      await keepCopy(home, 'home');
      await home.close();
    });
    after(async () => {
      await browser?.close();
      await site?.close();
      rmSync(folder, { recursive: true, force: true });
    });
    beforeEach(async () => {
      page = await openControlledPage(browser, `${site.url}inn/`);
    });

    test('goes on under its own name, at its new address', async () => {
      await register(page, 'guest');
      await keepCopy(page, 'inn');
      await importCopy(page, 'home');
      assert.equal((await fetchJson(page, WHOAMI, alice)).body.user_id, '@alice:home.example');
      const { body } = await fetchJson(page, '/.well-known/matrix/client');
      assert.equal(body['m.homeserver'].base_url, `${site.url}inn`);
      const answered = await fetchJson(page, `https://home.example${VERSIONS}`);
      assert.equal(answered.status, 200, 'requests to its name are answered here, too');
    });

    test('is refused where another name is configured, and the former server goes on', async () => {
      const home = await openControlledPage(browser, `${site.url}home/`);
      await assert.rejects(
        importCopy(home, 'inn'),
        /server_name is home\.example, but the database is that of localhost:\d+\./,
      );
      assert.equal((await fetchJson(home, WHOAMI, alice)).body.user_id, '@alice:home.example');
    });
  });
}

/**
 * Keep a copy where every page of the origin finds it.
 * @param {import('puppeteer-core').Page} page
 * @param {string} name
 */
function keepCopy(page, name) {
  return page.evaluate(async (key) => {
    const copy = await Reflect.get(window, 'askWorker')({ type: 'export' });
    await (await caches.open('copies')).put(`/${key}`, new Response(copy));
  }, name);
}

/** @param {import('puppeteer-core').Page} page @param {string} name */
function importCopy(page, name) {
  return page.evaluate(async (key) => {
    const copy = await (await caches.match(`/${key}`))?.blob();
    return Reflect.get(window, 'askWorker')({ type: 'import', file: copy });
  }, name);
}
