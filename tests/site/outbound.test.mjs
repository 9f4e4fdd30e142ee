// @ts-check
/** The server in the worker asks other servers with fetch, under the browser's rules. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, askWorker, launch, openControlledPage, serveDist } from '../helpers/browser.mjs';

for (const name of BROWSERS) {
  describe(`a request to another server, from the worker in ${name}`, () => {
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let site;
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {import('puppeteer-core').Page} */
    let page;
    /** @type {import('node:http').Server} */
    let peer;

    before(async () => {
      peer = createServer(answer).listen(0, '127.0.0.1');
      await once(peer, 'listening');
      site = await serveDist({ others: [origin()] });
      browser = await launch(name);
      page = await openControlledPage(browser, site.url);
    });
    after(async () => {
      await browser?.close();
      await site?.close();
      peer?.closeAllConnections();
      peer?.close();
    });

    const origin = () => `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (peer.address()).port}`;

    /** What the homeserver's port says of a request. @param {string} path @param {string} [options] */
    const send = (path, options = '') => askWorker(page, { type: 'python', code: program(origin() + path, options) });

    test('gets its answer, whatever the status', async () => {
      assert.equal(await send('/open', 'method="POST", body=b"question"'), "(418, 'text/plain', b'POST question')");
    });

    test('fails where the other server does not allow this site', async () => {
      assert.equal(await send('/closed'), "'OutboundFailed'");
    });

    test('fails where it takes too long, answers too much, or redirects unasked', async () => {
      assert.equal(await send('/silent', 'timeout_ms=300'), "'OutboundFailed'");
      assert.equal(await send('/open', 'max_bytes=2'), "'OutboundTooLarge'");
      assert.equal(await send('/moved'), "'OutboundFailed'");
      assert.equal(await send('/moved', 'max_redirects=1'), "(418, 'text/plain', b'GET ')");
    });
  });
}

/** @param {string} url @param {string} options */
const program = (url, options) => `
from tabstead.errors import OutboundFailed
from tabstead.outbound import OutboundRequest
try:
    said = await homeserver.context.outbound.send(OutboundRequest(url="${url}", ${options}))
    result = (said.status, said.headers["content-type"], said.body)
except OutboundFailed as error:
    result = type(error).__name__
result`;

/** @type {import('node:http').RequestListener} */
async function answer(request, response) {
  let body = '';
  for await (const chunk of request) body += chunk;
  if (request.url === '/silent') return;
  if (request.url !== '/closed') response.setHeader('access-control-allow-origin', '*');
  if (request.url === '/moved') response.writeHead(302, { location: '/open' }).end();
  else response.writeHead(418, { 'content-type': 'text/plain' }).end(`${request.method} ${body}`);
}
