// @ts-check
/** The built site in real browsers: the homeserver answers from the page's service worker. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, askWorker, fetchJson, launch, openControlledPage, serveDist } from '../helpers/browser.mjs';

for (const name of BROWSERS) {
  describe(`the site in ${name}`, () => {
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
      const { status, body } = await fetchJson(page, '/_matrix/client/versions');
      assert.equal(status, 200);
      assert.ok(body.versions.includes('v1.11'));
    });

    test('tells how it is', async () => {
      const status = await askWorker(page, { type: 'status' });
      assert.equal(status.homeserver, 'running');
      assert.equal(status.serverName, new URL(site.url).host);
      assert.ok(status.bytesStored > 0);
      console.log(`${name}: started in ${Math.round(status.wakeUpMs)} ms`);
    });
  });
}
