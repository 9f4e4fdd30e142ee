// @ts-check
/**
 * The worker, and the whole browser, killed at random moments while the database is compacted and four writers send.
 * Nothing that is named may be lost, and in the end all that isn't is gone.
 *
 * KILLS=20 chooses how often.
 * @module
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { askWorker, killBrowser, launch, makeProfile, openControlledPage, serveDist } from '../helpers/browser.mjs';
import { register } from '../helpers/matrix.mjs';
import {
  Books,
  ask,
  between,
  checkNothingIsLost,
  lookIntoDatabase,
  sleep,
  startSending,
  stopSending,
} from '../helpers/senders.mjs';

/** @typedef {import('puppeteer-core').Page} Page */

const KILLS = Number(process.env.KILLS ?? 10);
const WRITERS = 4;

/** Contents of half a megabyte, by turns with a name and without one: what stays lies between what goes. */
const CONTENTS = 60;

const FILL = `
import hashlib
from tabstead.storage.media import insert_chunks, insert_media
from tabstead.storage.state_history import add_snapshot

def insert_content(db, number):
    body = hashlib.shake_128(b"%d" % number).digest(480_000)
    nid = insert_chunks(db, hashlib.sha256(body).digest(), body, limit=100, now_ms=0)
    if number % 2:
        insert_media(db, f"kept{number}", "@a:b", blob_nid=nid, content_type="video/mp4", filename=None, now_ms=0)

def add_forks(db):
    (room, current) = db.execute("SELECT room_nid, state_snapshot FROM rooms").fetchone()
    base = add_snapshot(db, room, current, {("m.room.member", f"@{number}:b"): 1 for number in range(500)})
    for fork in range(10):
        snapshot = base
        for step in range(100):
            snapshot = add_snapshot(db, room, snapshot, {("m.room.member", f"@{step}:b"): 1000 * fork + step + 2})

database = homeserver.context.database
for number in range(${CONTENTS}):
    await database.write(lambda db: insert_content(db, number))
await database.write(add_forks)
`;

/** Compaction that goes on for as long as the worker lives. */
const START = `
import asyncio
compacting = asyncio.ensure_future(homeserver.compactor.run(600))
None
`;

const FINISH = `
from tabstead.storage.compaction.compactor import Compactor
homeserver.compactor.stop()
homeserver.compactor = Compactor(homeserver.context.database, homeserver.context.now_ms)
while await homeserver.compactor.run(60):
    pass
`;

/** @type {Awaited<ReturnType<typeof serveDist>>} */
let site;

before(async () => {
  site = await serveDist();
});

after(() => site.close());

/** @param {Page} page @param {string} code */
const python = (page, code) => askWorker(page, { type: 'python', code });

/**
 * What was named is whole, what wasn't is gone, and so is the room that it took.
 * @param {Page} page
 * @param {Books} books
 */
async function checkCompacted(page, books) {
  await python(page, FINISH);
  await checkNothingIsLost(page, books);
  const { hashes, contents, epochs, free } = await lookIntoDatabase(page, (database) => ({
    hashes: database.prepare('SELECT sha256 FROM media_blobs').all().length,
    contents: database
      .prepare('SELECT count(*) AS chunks, sum(length(data)) AS bytes FROM media_chunks')
      .get(),
    epochs: database.prepare('SELECT count(*) AS count FROM state_epochs').get(),
    free: database.prepare('PRAGMA freelist_count').get(),
  }));
  assert.equal(hashes, CONTENTS / 2);
  assert.deepEqual({ ...contents }, { chunks: (CONTENTS / 2) * 10, bytes: (CONTENTS / 2) * 480_000 });
  assert.ok(Number(epochs?.count) <= 3, 'the line, perhaps its next epoch, and the youngest of the forks');
  assert.ok(Number(free?.freelist_count) < 200);
  assert.equal(await python(page, CHECK_CONTENTS), 'True');
}

const CHECK_CONTENTS = `
import hashlib

def find_content(db, number):
    rows = db.execute(
        "SELECT data FROM media JOIN media_blobs USING (blob_nid) JOIN media_chunks ON chunk_nid / 65536 = blob_nid"
        " WHERE media_id = ? ORDER BY chunk_nid", (f"kept{number}",))
    return b"".join(data for (data,) in rows)

database = homeserver.context.database
found = [await database.read(lambda db: find_content(db, number)) for number in range(1, ${CONTENTS}, 2)]
found == [hashlib.shake_128(b"%d" % number).digest(480_000) for number in range(1, ${CONTENTS}, 2)]
`;

test(`nothing is lost when the worker is killed ${KILLS} times while it compacts`, async (t) => {
  const browser = await launch('chromium');
  t.after(() => browser.close());
  const page = await openControlledPage(browser, site.url);
  const person = await register(page, 'worker');
  const { room_id: roomId } = await ask(page, person, 'POST', 'createRoom', {});
  await python(page, FILL);
  const devTools = await page.createCDPSession();
  await devTools.send('ServiceWorker.enable');
  const books = new Books();
  await startSending(page, person, roomId, books, { writers: WRITERS, prefix: 'worker' });
  for (let kill = 0; kill < KILLS; kill++) {
    await python(page, START);
    await books.next();
    await sleep(between(0, 1500));
    await devTools.send('ServiceWorker.stopAllWorkers');
  }
  await books.next();
  await stopSending(page);
  await checkCompacted(page, books);
  t.diagnostic(`${books.acknowledged.size} messages were acknowledged`);
});

test(`nothing is lost when the browser is killed ${KILLS} times while it compacts`, async (t) => {
  const profile = makeProfile();
  t.after(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  const books = new Books();
  /** @type {import('../helpers/senders.mjs').Person | undefined} */
  let person;
  let roomId = '';
  for (let kill = 0; kill < KILLS; kill++) {
    const browser = await launch('chromium', { userDataDir: profile });
    const page = await openControlledPage(browser, site.url);
    if (!person) {
      person = await register(page, 'browser');
      roomId = (await ask(page, person, 'POST', 'createRoom', {})).room_id;
      await python(page, FILL);
    }
    await python(page, START);
    const acknowledged = books.next();
    await startSending(page, person, roomId, books, { writers: WRITERS, prefix: `browser ${kill}` });
    await acknowledged;
    await sleep(between(0, 1500));
    await killBrowser(browser);
  }
  const browser = await launch('chromium', { userDataDir: profile });
  t.after(() => browser.close());
  await checkCompacted(await openControlledPage(browser, site.url), books);
  t.diagnostic(`${books.acknowledged.size} messages were acknowledged`);
});
