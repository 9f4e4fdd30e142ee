// @ts-check
/**
 * What IndexedDB's own files may look like after a crash of the browser: half a record at the end of its log must cost
 * nothing, and when the browser finds them damaged and deletes everything, which nobody can help, people are told.
 * @module
 */
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { killBrowser, launch, makeProfile, openControlledPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';
import { Books, ask, checkNothingIsLost, startSending } from '../helpers/senders.mjs';

/** @typedef {import('../helpers/senders.mjs').Person} Person */

/** The head of a record of 456 bytes, whose rest was not written any more. */
const TORN_RECORD = Uint8Array.of(1, 2, 3, 4, 200, 1, 1);

/** A whole record, whose checksum is wrong. */
const DAMAGED_RECORD = Uint8Array.of(...TORN_RECORD, ...new Uint8Array(456));

/** @type {Awaited<ReturnType<typeof serveDist>>} */
let site;

before(async () => {
  site = await serveDist();
});

after(() => site.close());

/** The files in which the browser writes down first what goes to IndexedDB. @param {string} profile */
function findLogs(profile) {
  const folder = join(profile, 'Default', 'IndexedDB');
  const logs = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.log'));
  assert.ok(logs.length > 0, 'IndexedDB has a log');
  return logs.map((log) => join(folder, log));
}

/** @param {import('node:test').TestContext} t */
function makeTemporaryProfile(t) {
  const profile = makeProfile();
  t.after(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  return profile;
}

test('half a record that a killed browser left costs nothing', async (t) => {
  const profile = makeTemporaryProfile(t);
  const books = new Books();
  const first = await launch('chromium', { userDataDir: profile });
  const person = await register(await openControlledPage(first, site.url), 'somebody');
  await killBrowser(first);
  for (const log of findLogs(profile)) appendFileSync(log, TORN_RECORD);

  const second = await launch('chromium', { userDataDir: profile });
  const page = await openControlledPage(second, site.url);
  const { room_id: roomId } = await ask(page, person, 'POST', 'createRoom', {});
  await startSending(page, person, roomId, books, { writers: 1, prefix: 'after the record' });
  while (books.acknowledged.size < 10) await books.next();
  await killBrowser(second);

  const third = await launch('chromium', { userDataDir: profile });
  t.after(() => third.close());
  await checkNothingIsLost(await openControlledPage(third, site.url), books);
});

test('the page says so when the browser lost what was stored', async (t) => {
  const profile = makeTemporaryProfile(t);
  const first = await launch('chromium', { userDataDir: profile });
  await register(await openControlledPage(first, site.url), 'somebody');
  await killBrowser(first);
  for (const log of findLogs(profile)) appendFileSync(log, DAMAGED_RECORD);
  const second = await launch('chromium', { userDataDir: profile });
  t.after(() => second.close());
  const page = await second.newPage();
  await page.goto(site.url);
  const notice = await page.waitForSelector('#notice[data-tone="error"]:not(:empty)');
  assert.match((await notice?.evaluate((element) => element.textContent)) ?? '', /The browser lost what was stored here/);
});
