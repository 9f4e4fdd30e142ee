// @ts-check
/**
 * The worker, and the whole browser, killed at random moments while four writers send. Nothing that was acknowledged may be
 * lost, nothing may be there twice.
 *
 * The worker is killed as Chromium itself does it: its thread is ended in whatever it does (DevTools'
 * ServiceWorker.stopAllWorkers), and what it had to answer is dispatched to a new one. The browser is killed by SIGKILL, the
 * whole process with everything that it had not written yet.
 *
 * KILLS=20 chooses how often.
 * @module
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { killBrowser, launch, makeProfile, openControlledPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';
import {
  Books,
  ask,
  between,
  checkNothingIsLost,
  sleep,
  startSending,
  stopSending,
} from '../helpers/senders.mjs';

const KILLS = Number(process.env.KILLS ?? 20);
const WRITERS = 4;

/** @type {Awaited<ReturnType<typeof serveDist>>} */
let site;

before(async () => {
  site = await serveDist();
});

after(() => site.close());

test(`nothing is lost when the worker is killed ${KILLS} times`, async (t) => {
  const browser = await launch('chromium');
  t.after(() => browser.close());
  const page = await openControlledPage(browser, site.url);
  const person = await register(page, 'worker');
  const { room_id: roomId } = await ask(page, person, 'POST', 'createRoom', {});
  const devTools = await page.createCDPSession();
  await devTools.send('ServiceWorker.enable');
  const books = new Books();
  await startSending(page, person, roomId, books, { writers: WRITERS, prefix: 'worker' });
  for (let kill = 0; kill < KILLS; kill++) {
    await books.next();
    await sleep(between(0, 300));
    await devTools.send('ServiceWorker.stopAllWorkers');
  }
  await books.next();
  await stopSending(page);
  assert.ok(books.acknowledged.size > KILLS);
  await checkNothingIsLost(page, books);
  t.diagnostic(`${books.acknowledged.size} messages were acknowledged`);
});

test(`nothing is lost when the browser is killed ${KILLS} times`, async (t) => {
  const profile = makeProfile();
  t.after(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  const books = new Books();
  /** @type {import('../helpers/senders.mjs').Person | undefined} */
  let person;
  let roomId = '';
  for (let kill = 0; kill < KILLS; kill++) {
    const browser = await launch('chromium', { userDataDir: profile });
    const page = await openControlledPage(browser, site.url);
    person ??= await register(page, 'browser');
    roomId ||= (await ask(page, person, 'POST', 'createRoom', {})).room_id;
    const acknowledged = books.next();
    await startSending(page, person, roomId, books, { writers: WRITERS, prefix: `browser ${kill}` });
    await acknowledged;
    await sleep(between(0, 300));
    await killBrowser(browser);
  }
  const browser = await launch('chromium', { userDataDir: profile });
  t.after(() => browser.close());
  assert.ok(books.acknowledged.size >= KILLS);
  await checkNothingIsLost(await openControlledPage(browser, site.url), books);
  t.diagnostic(`${books.acknowledged.size} messages were acknowledged`);
});
