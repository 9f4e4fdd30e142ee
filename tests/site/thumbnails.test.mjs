// @ts-check
/** Thumbnails are made by the worker, of whatever images its browser can read. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch, openControlledPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';

for (const name of BROWSERS) {
  describe(`a thumbnail in ${name}`, () => {
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let site;
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {import('puppeteer-core').Page} */
    let page;
    /** @type {Awaited<ReturnType<typeof register>>} */
    let alice;

    before(async () => {
      site = await serveDist();
      browser = await launch(name);
      page = await openControlledPage(browser, site.url);
      alice = await register(page, 'alice');
    });
    after(async () => {
      await browser?.close();
      await site?.close();
    });

    /** Of an image of 800 x 400 pixels, with or without transparency. @param {string} query @param {string} fill */
    const thumbnail = (query, fill) => page.evaluate(uploadAndScale, alice.headers, query, fill);

    test('keeps the proportions', async () => {
      const { type, width, height } = await thumbnail('width=320&height=240&method=scale', 'green');
      assert.deepEqual({ type, width, height }, { type: 'image/jpeg', width: 320, height: 160 });
    });

    test('is cut to the shape that was asked for', async () => {
      const { width, height } = await thumbnail('width=96&height=96&method=crop', 'green');
      assert.deepEqual({ width, height }, { width: 96, height: 96 });
    });

    test('stays transparent', async () => {
      const { type } = await thumbnail('width=320&height=240&method=scale', 'rgb(0 128 0 / 50%)');
      assert.equal(type, 'image/png');
    });
  });
}

/**
 * In the page.
 * @param {Record<string, string>} headers
 * @param {string} query
 * @param {string} fill
 */
async function uploadAndScale(headers, query, fill) {
  const canvas = new OffscreenCanvas(800, 400);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.fillStyle = fill;
  context.fillRect(0, 0, 800, 400);
  const body = await canvas.convertToBlob({ type: 'image/png' });
  const upload = { method: 'POST', headers: { ...headers, 'content-type': 'image/png' }, body };
  const { content_uri: uri } = await (await fetch('/_matrix/media/v3/upload', upload)).json();
  const address = `/_matrix/client/v1/media/thumbnail/${uri.slice('mxc://'.length)}?${query}`;
  const response = await fetch(address, { headers });
  if (!response.ok) throw new Error(await response.text());
  const image = await createImageBitmap(await response.blob());
  return { type: response.headers.get('content-type'), width: image.width, height: image.height };
}
