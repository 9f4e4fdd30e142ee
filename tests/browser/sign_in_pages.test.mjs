// @ts-check
/**
 * The pages to sign in and to allow an application, in a browser without scripts: of a native server, and of the one in the
 * browser's own worker. An application sends its user there and gets its tokens for the code that comes back.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch, openControlledPage, serveDist } from '../helpers/browser.mjs';
import { createServerFolder, deleteServerFolder, startNativeServer } from '../helpers/native_server.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VERIFIER = 'v'.repeat(43);
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');
const SCOPE = 'urn:matrix:client:api:* urn:matrix:client:device:PHONE';

/** An application's end: whatever is asked of it is answered with an empty page. */
async function startApplication() {
  const server = createServer((_, response) => response.end('<!doctype html><title>back</title>'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** A native server that knows its own address. */
async function startKnownServer() {
  const probe = await startApplication();
  const port = portOf(probe);
  probe.close();
  const folder = await createServerFolder();
  const configuration = `server_name = 'localhost'\nbase_url = 'http://127.0.0.1:${port}'\n[listen]\nhttp_port = ${port}\n[registration]\nopen = true\n`;
  await writeFile(join(folder, 'tabstead.toml'), configuration);
  return { folder, server: await startNativeServer(folder) };
}

/** @param {import('node:http').Server} server */
const portOf = (server) => /** @type {import('node:net').AddressInfo} */ (server.address()).port;

/**
 * In a page or in Node: register an application; what it has to open, and how it redeems a code.
 * @param {string} base
 * @param {string} callback
 * @param {string} challenge
 * @param {string} scope
 */
async function beginAuthorization(base, callback, challenge, scope) {
  const metadata = await (await fetch(`${base}_matrix/client/v1/auth_metadata`)).json();
  const client = {
    client_name: 'Example',
    client_uri: 'https://example.com/',
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/back'],
    grant_types: ['authorization_code', 'refresh_token'],
  };
  const headers = { 'content-type': 'application/json' };
  const registration = await fetch(metadata.registration_endpoint, { method: 'POST', headers, body: JSON.stringify(client) });
  const { client_id: clientId } = await registration.json();
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: callback,
    scope,
    state: 'st&te',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    prompt: 'create',
  });
  return { clientId, tokenEndpoint: metadata.token_endpoint, url: `${metadata.authorization_endpoint}?${query}` };
}

/**
 * In a page or in Node: the tokens for a code, and whose they are.
 * @param {string} base
 * @param {string} tokenEndpoint
 * @param {Record<string, string>} fields
 */
async function redeem(base, tokenEndpoint, fields) {
  const tokens = await (await fetch(tokenEndpoint, { method: 'POST', body: new URLSearchParams(fields) })).json();
  const headers = { authorization: `Bearer ${tokens.access_token}` };
  return (await fetch(`${base}_matrix/client/v3/account/whoami`, { headers })).json();
}

/**
 * Press the button with this label, and wait for what comes.
 * @param {import('puppeteer-core').Page} page
 * @param {string} label
 */
async function press(page, label) {
  const buttons = await page.$$('button');
  for (const button of buttons) {
    if ((await button.evaluate((element) => element.textContent)) === label) {
      await Promise.all([page.waitForNavigation(), button.click()]);
      return;
    }
  }
  assert.fail(`no button ${label}`);
}

/**
 * What axe finds in a page, in light and in dark.
 * @param {import('puppeteer-core').Page} page
 */
async function findBarriers(page) {
  const found = [];
  for (const value of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]).catch(() => {}); // Firefox can't
    await page.evaluate(AXE);
    const violations = await page.evaluate(async () => {
      const result = await /** @type {any} */ (window).axe.run(document, { resultTypes: ['violations'] });
      return result.violations.map((/** @type {{ id: string }} */ { id }) => id);
    });
    found.push(...violations);
  }
  return found;
}

/**
 * A new account for an application: the query of the page that the browser ends on.
 * @param {import('puppeteer-core').Page} page
 * @param {string} url
 */
async function createAccountAndAllow(page, url) {
  await page.goto(url);
  assert.equal(await page.title(), 'Create an account');
  assert.deepEqual(await findBarriers(page), []);
  await page.type('input[name=username]', 'alice');
  await page.type('input[name=password]', 'rosebud');
  await press(page, 'Create an account');
  assert.equal(await page.title(), 'Allow Example?');
  assert.deepEqual(await findBarriers(page), []);
  await press(page, 'Allow');
  return new URL(page.url());
}

for (const name of BROWSERS) {
  describe(`the pages to sign in, in ${name}`, () => {
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {import('node:http').Server} */
    let application;
    let callback = '';

    before(async () => {
      browser = await launch(name);
      application = await startApplication();
      callback = `http://127.0.0.1:${portOf(application)}/back`;
    });
    after(async () => {
      await browser?.close();
      application?.close();
    });

    test('of a native server lead back to the application, which gets its tokens', async () => {
      const { folder, server } = await startKnownServer();
      const base = `${server.baseUrl}/`;
      const page = await browser.newPage();
      try {
        const { clientId, tokenEndpoint, url } = await beginAuthorization(base, callback, CHALLENGE, SCOPE);
        const end = await createAccountAndAllow(page, url);
        assert.equal(`${end.origin}${end.pathname}`, callback);
        assert.equal(end.searchParams.get('state'), 'st&te');
        const code = end.searchParams.get('code') ?? '';
        const fields = { grant_type: 'authorization_code', client_id: clientId, code, redirect_uri: callback, code_verifier: VERIFIER };
        const who = await redeem(base, tokenEndpoint, fields);
        assert.deepEqual(who, { user_id: '@alice:localhost', device_id: 'PHONE', is_guest: false });
      } finally {
        await page.close();
        await server.stop();
        await deleteServerFolder(folder);
      }
    });

    test('of the server in the worker do the same, without cookies', async () => {
      const site = await serveDist();
      try {
        const page = await openControlledPage(browser, site.url);
        const begun = await page.evaluate(beginAuthorization, site.url, callback, CHALLENGE, SCOPE);
        const end = await createAccountAndAllow(page, begun.url);
        assert.equal(`${end.origin}${end.pathname}`, callback);
        const code = end.searchParams.get('code') ?? '';
        const fields = { grant_type: 'authorization_code', client_id: begun.clientId, code, redirect_uri: callback, code_verifier: VERIFIER };
        await page.goto(`${site.url}test/blank.html`);
        const who = await page.evaluate(redeem, site.url, begun.tokenEndpoint, fields);
        assert.equal(who.device_id, 'PHONE');
        await page.close();
      } finally {
        await site.close();
      }
    });
  });
}
