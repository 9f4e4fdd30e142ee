// @ts-check
/** What somebody uploads never runs in the site's origin, however a page or a person opens it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as ask } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, DIST, launch, openControlledPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';

/** A trace that every page of the origin sees. */
const EVIL = `localStorage.setItem('ran', self.location?.href ?? 'somewhere'); try { top.ran = true } catch {}`;

const HTML = `<!doctype html><script>${EVIL}</script><script src="/own/evil.js"></script><img src=x onerror="${EVIL}">`;
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" onload="${EVIL}"><script href="/own/evil.js"/><script>${EVIL}</script></svg>`;
const XHTML = `<html xmlns="http://www.w3.org/1999/xhtml"><script>${EVIL}</script><script src="/own/evil.js"/></html>`;

/** @type {[string, string][]}  what it claims to be, and what it is */
const UPLOADS = [
  ['text/html', HTML],
  ['image/svg+xml', SVG],
  ['application/xhtml+xml', XHTML],
  ['text/xml', XHTML],
  ['text/plain', HTML],
  ['image/png', HTML],
  ['application/pdf', HTML],
  ['text/javascript', EVIL],
  ['application/x-javascript', EVIL],
  ['text/css', EVIL],
  ['application/json', EVIL],
];

const own = mkdtempSync(join(tmpdir(), 'tabstead-own-'));
/** @type {Awaited<ReturnType<typeof serveDist>>} */
let site;
/** The same, by a host that sends no `Content-Security-Policy`: nothing else may be needed. */
const lax = createServer((request, response) => {
  const passed = ask(new URL(request.url ?? '/', site.url), { headers: request.headers }, (answer) => {
    delete answer.headers['content-security-policy'];
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  });
  request.pipe(passed);
});
let url = '';

before(async () => {
  writeFileSync(join(own, 'evil.js'), `(() => { ${EVIL} })()`);
  writeFileSync(join(own, 'page.html'), '<!doctype html><script src="/own/evil.js"></script>');
  /** @type {Record<string, string>} */
  const mounts = { '/': DIST };
  site = await serveDist({ mounts });
  mounts['/own/'] = own;
  await new Promise((resolve) => lax.listen(0, '127.0.0.1', () => resolve(undefined)));
  url = `http://localhost:${/** @type {import('node:net').AddressInfo} */ (lax.address()).port}/`;
});
after(async () => {
  lax.closeAllConnections();
  lax.close();
  await site.close();
  rmSync(own, { recursive: true, force: true });
});

for (const name of BROWSERS) {
  describe(`in ${name}`, () => {
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {import('puppeteer-core').Page} */
    let page;
    /** @type {string[]} */
    let addresses;

    before(async () => {
      browser = await launch(name);
      page = await openControlledPage(browser, url);
      const { headers } = await register(page, 'mallory');
      // Whoever spreads such an address has a token to put into it.
      const token = headers.authorization.replace('Bearer ', '?access_token=');
      addresses = (await page.evaluate(upload, UPLOADS, headers)).flatMap((path) => [
        `/_matrix/client/v1/media/download/${path}${token}`,
        `/_matrix/media/v3/download/${path}${token}`,
      ]);
    });
    after(() => browser.close());

    test("a page of the site's own would run, so that its trace can be seen", async () => {
      assert.deepEqual(await page.evaluate(open, ['/own/page.html', '/own/evil.js']), { ran: true, opened: 14 });
    });

    test('uploads are there for whoever has the address', async () => {
      const fetchAll = (/** @type {string[]} */ urls) => Promise.all(urls.map(async (each) => (await fetch(each)).status));
      assert.deepEqual(new Set(await page.evaluate(fetchAll, addresses)), new Set([200]));
    });

    test('an upload that a page embeds, loads or imports does not', async () => {
      assert.deepEqual(await page.evaluate(open, addresses), { ran: false, opened: 7 * addresses.length });
    });

    test('an upload that a person opens in a tab does not', async () => {
      const openInTab = async (/** @type {string} */ address) => {
        const tab = await browser.newPage();
        await tab.goto(`${url}test/blank.html`);
        await tab.evaluate((target) => location.assign(target), address);
        await new Promise((resolve) => setTimeout(resolve, 1000)); // a download tells nobody
        await tab.close();
      };
      await Promise.all(addresses.filter((address) => address.includes('/client/v1/')).map(openInTab));
      assert.equal(await page.evaluate(() => localStorage.getItem('ran')), null);
    });
  });
}

/**
 * In the page: upload them; what their `mxc://` URIs name.
 * @param {[string, string][]} uploads
 * @param {Record<string, string>} headers
 */
async function upload(uploads, headers) {
  /** @type {string[]} */
  const paths = [];
  for (const [type, body] of uploads) {
    const options = { method: 'POST', body, headers: { ...headers, 'content-type': type } };
    const response = await fetch('/_matrix/media/v3/upload', options);
    const { content_uri: uri } = await response.json();
    paths.push(uri.slice('mxc://'.length));
  }
  return paths;
}

/**
 * In the page: open each in every way there is; whether any ran, and how many ways were gone.
 * @param {string[]} urls
 */
async function open(urls) {
  localStorage.removeItem('ran');
  Reflect.deleteProperty(window, 'ran');
  /** @param {string} tag @param {Record<string, string>} properties */
  const load = (tag, properties) => {
    const element = document.createElement(tag);
    const settled = new Promise((resolve) => {
      element.onload = element.onerror = resolve;
      setTimeout(resolve, 5000); // a download tells nobody
    });
    document.body.append(Object.assign(element, properties));
    return settled.then(() => element.remove());
  };
  const ways = urls.flatMap((url) => [
    load('iframe', { src: url }),
    load('object', { data: url }),
    load('embed', { src: url }),
    load('script', { src: url }),
    load('script', { src: url, type: 'module' }),
    import(url).catch(() => null),
    navigator.serviceWorker.register(url, { scope: `${url}/` }).then(
      (registration) => registration.unregister(),
      () => null,
    ),
  ]);
  await Promise.all(ways);
  return { ran: 'ran' in window || localStorage.getItem('ran') !== null, opened: ways.length };
}
