// @ts-check
/** What the worker's script does in every page of the scope. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, fetchJson, launch, openControlledPage, openPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';

for (const name of BROWSERS) {
  describe(`a client's page in ${name}`, () => {
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
      await page.reload(); // through the worker, which adds the hooks
    });
    after(async () => {
      await browser?.close();
      await site?.close();
    });

    test('gets our registration when it registers a worker of its own', async () => {
      const scripts = await page.evaluate(async () => {
        const theirs = await navigator.serviceWorker.register('/test/sw.js', { scope: '/test/' });
        const all = await navigator.serviceWorker.getRegistrations();
        return [theirs, ...all].map(({ active }) => active?.scriptURL);
      });
      assert.deepEqual(scripts, [`${site.url}service_worker.js`, `${site.url}service_worker.js`]);
    });

    test('shows media in an <img>, which sends no credentials', async () => {
      const alice = await register(page, 'alice');
      const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
      const width = await page.evaluate(
        async (headers, base64) => {
          const body = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
          const upload = { method: 'POST', headers: { ...headers, 'content-type': 'image/png' }, body };
          const { content_uri: uri } = await (await fetch('/_matrix/media/v3/upload', upload)).json();
          const image = new Image();
          image.src = `/_matrix/client/v1/media/download/${uri.slice('mxc://'.length)}`;
          await image.decode();
          return image.naturalWidth;
        },
        alice.headers,
        png,
      );
      assert.equal(width, 1);
    });

    test('names its writes, so that one which is dispatched twice happens once', async () => {
      const bob = await register(page, 'bob');
      const create = { method: 'POST', headers: { ...bob.headers, 'x-tabstead-dispatch': 'the same' }, body: '{}' };
      const rooms = [];
      const bare = await openPage(browser, `${site.url}test/plain.txt`); // not a page of HTML: no hooks
      for (const from of [bare, bare, page]) {
        const { status, body } = await fetchJson(from, '/_matrix/client/v3/createRoom', create);
        assert.equal(status, 200, JSON.stringify(body));
        rooms.push(body.room_id);
      }
      assert.equal(rooms[1], rooms[0]);
      assert.notEqual(rooms[2], rooms[0], 'the hooks give each request a name of its own');
    });
  });
}
