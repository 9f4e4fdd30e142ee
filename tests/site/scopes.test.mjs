// @ts-check
/** Two scopes on one origin are two homeservers. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DIST, fetchJson, launch, openControlledPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';

/** @type {Awaited<ReturnType<typeof serveDist>>} */
let site;
/** @type {import('puppeteer-core').Browser} */
let browser;

/** A site whose owner has configured it. */
const named = mkdtempSync(join(tmpdir(), 'tabstead-site-'));

before(async () => {
  cpSync(DIST, named, { recursive: true });
  writeFileSync(join(named, 'tabstead.json'), JSON.stringify({ server_name: 'home.example' }));
  site = await serveDist({ mounts: { '/one/': DIST, '/two/': DIST, '/named/': named } });
  browser = await launch('chromium');
});
after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(named, { recursive: true, force: true });
});

test('what is told to one server the other does not know', async () => {
  const one = await openControlledPage(browser, `${site.url}one/`);
  const two = await openControlledPage(browser, `${site.url}two/`);
  const alice = await register(one, 'alice');
  assert.equal((await fetchJson(one, '/_matrix/client/v3/account/whoami', alice)).status, 200);
  assert.equal((await fetchJson(two, '/_matrix/client/v3/account/whoami', alice)).status, 401);
});

test('each is reached at the root of its pages and below its own folder', async () => {
  const two = await openControlledPage(browser, `${site.url}two/`);
  const { body } = await fetchJson(two, '/.well-known/matrix/client');
  assert.equal(body['m.homeserver'].base_url, `${site.url}two`);
  await register(two, 'bob', '/two');
});

test('a server with a name of its own answers requests for that host', async () => {
  const page = await openControlledPage(browser, `${site.url}named/`);
  const { status, body } = await fetchJson(page, 'https://home.example/_matrix/client/versions');
  assert.equal(status, 200);
  assert.ok(body.versions);
  assert.equal((await register(page, 'carol')).userId, '@carol:home.example');
});
