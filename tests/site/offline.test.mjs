// @ts-check
/** Once installed, the site needs nobody: its files and its homeserver are in the browser. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, fetchJson, launch, openControlledPage, openPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';

for (const name of BROWSERS) {
  describe(`the site in ${name} without its server`, () => {
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let site;
    /** @type {import('puppeteer-core').Browser} */
    let browser;

    before(async () => {
      site = await serveDist();
      browser = await launch(name);
    });
    after(async () => {
      await browser?.close();
      await site?.close();
    });

    test('tells how far the download is, file by file', async () => {
      const page = await openPage(browser, `${site.url}test/blank.html`);
      await page.evaluate(() => {
        /** @type {any[]} */
        const notices = [];
        new BroadcastChannel('tabstead /').onmessage = ({ data }) => notices.push(data);
        Object.assign(window, { notices });
      });
      const controlled = await openControlledPage(browser, site.url);
      const notices = await page.evaluate(() => Reflect.get(window, 'notices'));
      const downloads = notices.filter((/** @type {any} */ notice) => notice.stage === 'download');
      const { loaded, total } = downloads.at(-1);
      assert.equal(loaded, total);
      assert.ok(downloads.some((/** @type {any} */ notice) => notice.loaded < notice.total));
      assert.ok(downloads.some((/** @type {any} */ notice) => /pyodide-.*\.wasm$/.test(notice.file)));
      assert.ok(notices.some((/** @type {any} */ notice) => notice.stage === 'unpack'));
      await Promise.all([page.close(), controlled.close()]);
    });

    test('opens its page and answers its clients', async () => {
      const page = await openControlledPage(browser, site.url);
      const alice = await register(page, 'alice');
      await site.close();
      await page.goto(`${site.url}client.html`);
      assert.match(await page.content(), /client_hooks-/);
      const { body } = await fetchJson(page, '/_matrix/client/v3/account/whoami', alice);
      assert.equal(body.user_id, alice.userId);
    });
  });
}
