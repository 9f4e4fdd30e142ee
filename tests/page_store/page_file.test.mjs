// @ts-check
/** The page file: what it writes, what it keeps in memory, what it refuses. The fuzzer sees to that nothing is lost. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PageFile } from '../../service_worker/page_store/index.js';
import { ReadAhead } from '../../service_worker/page_store/read_ahead.js';
import { injectAccidents, watchWrites } from './helpers/faulty_indexed_db.mjs';

const PAGE = 4096;
const MIB = 1 << 20;

let files = 0;
const newName = () => `page-file-${files++}`;

/** @param {number} fill */
const pageOf = (fill) => new Uint8Array(PAGE).fill(fill);

/** @param {PageFile} file @param {number} page @param {Uint8Array} bytes */
function write(file, page, bytes) {
  assert.equal(file.write(bytes, 0, PAGE, page * PAGE), PAGE);
}

/** @param {PageFile} file @param {number} page */
async function read(file, page) {
  const bytes = new Uint8Array(PAGE);
  while (file.read(bytes, 0, PAGE, page * PAGE) < 0) await file.fault();
  return bytes;
}

/**
 * A file of so many pages, each filled with its own number, folded into blocks.
 *
 * @param {string} name
 * @param {number} pages
 * @param {Partial<import('../../service_worker/page_store/page_file.js').Options>} [options]
 */
async function fileOf(name, pages, options) {
  const file = await PageFile.open(name, options);
  for (let page = 0; page < pages; page++) {
    write(file, page, pageOf(page % 251));
    if (page % 256 === 255) await file.commit();
  }
  await file.commit();
  await file.fold();
  return file;
}

/** A database's first page, as far as an import looks at it. @param {number} pages @param {number} schema */
function headerPage(pages, schema = 1) {
  const page = pageOf(0);
  page.set(new TextEncoder().encode('SQLite format 3\0'));
  const view = new DataView(page.buffer);
  view.setUint16(16, PAGE);
  view.setUint16(18, 0x0202); // it had a write-ahead log
  view.setUint32(28, pages);
  view.setUint32(60, schema);
  view.setUint32(68, 0x54616273);
  return page;
}

function foreignPage() {
  const page = headerPage(1);
  page[68] = 0;
  return page;
}

/** @param {PageFile} file */
async function exportOf(file) {
  const chunks = [];
  for await (const chunk of file.exportImage()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('a commit writes the changed bytes only', async () => {
  const file = await fileOf(newName(), 8);
  const before = file.figures().flushedBytes;
  const page = (await read(file, 5)).slice();
  page[100] = 7;
  page[2000] = 7;
  write(file, 5, page);
  write(file, 6, await read(file, 6)); // unchanged
  await file.commit();
  assert.ok(file.figures().flushedBytes - before < 50);
  await file.close();
});

test('commits that arrive together share a flush', async () => {
  const file = await fileOf(newName(), 1);
  const { flushes } = file.figures();
  await Promise.all(
    [1, 2, 3, 4, 5, 6, 7, 8].map((page) => {
      write(file, page, pageOf(page));
      return file.commit();
    }),
  );
  assert.ok(file.figures().flushes - flushes <= 2);
  await file.close();
});

test('no value is 64 KiB or more, however big the commit', async () => {
  const sizes = watchWrites();
  const file = await fileOf(newName(), 500);
  await file.close();
  assert.ok(sizes.length > 100);
  assert.ok(Math.max(...sizes) < 65536);
});

test('opening loads as much of a big file as of a small one', async () => {
  const figures = [];
  for (const pages of [1024, 8192]) {
    const name = newName();
    await (await fileOf(name, pages)).close();
    const file = await PageFile.open(name);
    figures.push(file.figures());
    await file.close();
  }
  assert.equal(figures[0].size * 8, figures[1].size);
  assert.equal(figures[0].loadedBlocks, figures[1].loadedBlocks);
  assert.equal(figures[0].cachedBytes, figures[1].cachedBytes);
});

test('what was in use last is loaded at the next opening', async () => {
  const name = newName();
  await (await fileOf(name, 1024, { hotBlocks: 4 })).close();
  const file = await PageFile.open(name, { hotBlocks: 4, cacheBytes: MIB });
  await read(file, 1);
  assert.equal(file.read(pageOf(0), 0, PAGE, 1020 * PAGE), PAGE);
  assert.equal(file.read(pageOf(0), 0, PAGE, 500 * PAGE), -1);
  await file.close();
});

test('memory stays within its bounds while a big file is read and written', async () => {
  const file = await fileOf(newName(), 4096, { cacheBytes: MIB, logBytes: MIB / 4 });
  for (let page = 0; page < 4096; page++) {
    assert.deepEqual(await read(file, page), pageOf(page % 251));
    assert.ok(file.figures().cachedBytes <= MIB);
  }
  for (let round = 0; round < 100; round++) {
    for (let page = round * 32; page < round * 32 + 32; page++) write(file, page, pageOf(round));
    await file.commit();
    assert.ok(file.figures().logBytes <= MIB);
  }
  await file.close();
});

test('nothing is evicted while a transaction is being repeated', async () => {
  const file = await fileOf(newName(), 256, { cacheBytes: 4 * 16384 });
  file.hold();
  for (let page = 0; page < 256; page++) await read(file, page);
  for (let page = 0; page < 256; page++) assert.equal(file.read(pageOf(0), 0, PAGE, page * PAGE), PAGE);
  file.release();
  assert.ok(file.figures().cachedBytes <= 4 * 16384);
  await file.close();
});

test('misses that follow each other are read ahead', async () => {
  const name = newName();
  await (await fileOf(name, 4096)).close();
  const file = await PageFile.open(name);
  for (let page = 0; page < 4096; page++) await read(file, page);
  assert.ok(file.figures().misses < 30);
  await file.close();
});

test('misses that follow each other down the file are read ahead, too', async () => {
  const name = newName();
  await (await fileOf(name, 4096)).close();
  const file = await PageFile.open(name);
  for (let page = 4095; page >= 0; page--) await read(file, page);
  assert.ok(file.figures().misses < 30);
  await file.close();
});

test('misses to and fro load little beside themselves', () => {
  const readAhead = new ReadAhead(64);
  const loaded = Array.from({ length: 40 }, (_, turn) => readAhead.plan([turn % 2 ? 100 : 98], 1000)[0]);
  assert.ok(loaded.every(([first, last]) => last - first < 2));
});

test('a small file is wholly in memory once it is warm', async () => {
  const name = newName();
  await (await fileOf(name, 300)).close();
  const file = await PageFile.open(name, { hotBlocks: 1 });
  await file.warm();
  for (let page = 0; page < 300; page++) assert.equal(file.read(pageOf(0), 0, PAGE, page * PAGE), PAGE);
  await file.close();
});

test('a file that shrinks gives its blocks back', async () => {
  const name = newName();
  const file = await fileOf(name, 1024);
  file.truncate(16 * PAGE);
  await file.commit();
  await file.settleFold();
  const stored = await file.storedBytes();
  assert.ok(stored >= 4 * 16384 && stored < 5 * 16384, `${stored} bytes`);
  await file.close();
  assert.equal(await valuesIn(name, 'blocks'), 4);
});

test('the log is gone once it is folded, but for the marks of its openers', async () => {
  const name = newName();
  const file = await fileOf(name, 200);
  await file.close();
  const again = await PageFile.open(name);
  await again.fold();
  await again.close();
  assert.ok((await valuesIn(name, 'log')) <= 4);
});

test('growth that the quota will not bear is refused before it is written, and changes still work', async () => {
  const quota = 40 * MIB;
  const sizes = watchWrites();
  const usage = () => sizes.reduce((sum, size) => sum + size, 0);
  const file = await fileOf(newName(), 64, { estimate: async () => ({ quota, usage: usage() }) });
  let refused = null;
  for (let round = 0; !refused; round++) {
    for (let page = 0; page < 256; page++) write(file, 64 + round * 256 + page, pageOf(round));
    refused = await file.commit().then(() => null, (error) => error);
  }
  assert.equal(refused.name, 'QuotaExceededError');
  await file.reopen();
  await file.fold();
  const { size } = file;
  const used = usage();
  assert.ok(used < quota);

  for (let page = 0; page < 256; page++) write(file, size / PAGE + page, pageOf(1));
  await assert.rejects(file.commit(), { name: 'QuotaExceededError' });
  assert.equal(usage(), used);
  await file.reopen();
  assert.equal(file.size, size);
  write(file, 3, pageOf(99));
  await file.commit();
  assert.deepEqual(await read(file, 3), pageOf(99));
  await file.close();
});

test('a file can be read when there is no room even to open it, and written when there is again', async () => {
  const name = newName();
  await (await fileOf(name, 40)).close();
  injectAccidents(() => 'late-quota');
  const file = await PageFile.open(name);
  assert.deepEqual(await read(file, 30), pageOf(30));
  write(file, 30, pageOf(1));
  await assert.rejects(file.commit(), { name: 'QuotaExceededError' });
  injectAccidents(() => null);
  await file.reopen();
  write(file, 30, pageOf(2));
  await file.commit();
  await file.close();
  const again = await PageFile.open(name);
  assert.deepEqual(await read(again, 30), pageOf(2));
  await again.close();
});

test('of two that have the file open without a fence, one alone can write', async () => {
  const name = newName();
  const elder = await fileOf(name, 8);
  injectAccidents(() => 'late-quota');
  const heir = await PageFile.open(name);
  injectAccidents(() => null);
  write(elder, 1, pageOf(1));
  await elder.commit();
  write(heir, 1, pageOf(2));
  await assert.rejects(heir.commit(), { name: 'PageFileLost' });
  await elder.close();
});

test('a failed commit rejects with an Error and takes memory back to what is durable', async () => {
  const file = await fileOf(newName(), 8);
  injectAccidents(() => 'late-quota');
  write(file, 2, pageOf(77));
  write(file, 9, pageOf(77));
  const error = await file.commit().catch((reason) => reason);
  injectAccidents(() => null);
  assert.ok(error instanceof Error && !(error instanceof DOMException));
  assert.equal(error.name, 'QuotaExceededError');
  assert.equal(file.read(pageOf(0), 0, PAGE, 0), -1);
  await file.reopen();
  assert.equal(file.size, 8 * PAGE);
  assert.deepEqual(await read(file, 2), pageOf(2));
  await file.close();
});

test('a page that is cut while it is being flushed, and used again, is not compared with what it was', async () => {
  const name = newName();
  const file = await fileOf(name, 8);
  write(file, 5, pageOf(50));
  for (let page = 8; page < 300; page++) write(file, page, pageOf(page % 251)); // so that the flush takes a while
  let isFlushed = false;
  const flushed = file.commit().then(() => {
    isFlushed = true;
  });
  for (let turn = 0; turn < 20; turn++) await null; // the flush begins
  file.truncate(2 * PAGE);
  write(file, 7, pageOf(70));
  const old = await read(file, 5);
  assert.ok(!isFlushed);
  await flushed;
  old[0] ^= 1;
  write(file, 5, old);
  await file.commit();
  await file.close();
  const again = await PageFile.open(name);
  assert.deepEqual(await read(again, 5), old);
  await again.close();
});

test('what a failed commit read beyond the durable end is not built on', async () => {
  const name = newName();
  const file = await fileOf(name, 8);
  file.truncate(2 * PAGE);
  await file.commit();
  injectAccidents(() => 'late-quota');
  write(file, 7, pageOf(70));
  const refused = assert.rejects(file.commit(), { name: 'QuotaExceededError' });
  const old = await read(file, 5);
  await refused;
  injectAccidents(() => null);
  await file.reopen();
  await file.fold();
  old[0] ^= 1;
  write(file, 5, old);
  await file.commit();
  await file.close();
  const again = await PageFile.open(name);
  assert.deepEqual(await read(again, 5), old);
  await again.close();
});

test('an export is one moment of the file, whatever is written meanwhile', async () => {
  const file = await fileOf(newName(), 300, { batchBlocks: 8, logBytes: 300_000 });
  let exported = 0;
  for await (const chunk of file.exportImage()) {
    for (let at = 0; at < chunk.length; at += PAGE) assert.equal(chunk[at], ((exported + at) / PAGE) % 251);
    exported += chunk.length;
    for (let page = 0; page < 300; page += 7) write(file, page, pageOf(255));
    await file.commit();
  }
  assert.equal(exported, 300 * PAGE);
  await file.close();
});

test('an export that takes too long is given up, not the file', async () => {
  const file = await fileOf(newName(), 300, { batchBlocks: 1, logBytes: 10_000 });
  const slow = file.exportImage();
  await slow.next();
  for (let round = 0; round < 10; round++) {
    for (let page = 0; page < 30; page++) write(file, page, pageOf(round));
    await file.commit();
  }
  await assert.rejects(slow.next(), /took too long/);
  await file.settleFold();
  assert.ok(file.figures().logBytes < 200_000);
  assert.equal((await exportOf(file)).length, 300 * PAGE);
  await file.close();
});

test('an import replaces the file and ends its old opening', async () => {
  const name = newName();
  const file = await fileOf(name, 40);
  const image = Buffer.concat([headerPage(3), pageOf(1), pageOf(2)]);
  await file.importImage(new Blob([image]), { applicationId: 0x54616273 });
  assert.equal(file.read(pageOf(0), 0, PAGE, 0), -1);
  await assert.rejects(file.commit(), { name: 'PageFileLost' });
  const replaced = await PageFile.open(name);
  const exported = await exportOf(replaced);
  assert.equal(exported.length, 3 * PAGE);
  assert.deepEqual(exported.subarray(PAGE), image.subarray(PAGE));
  assert.deepEqual([...exported.subarray(16, 20)], [16, 0, 1, 1]); // no write-ahead log any more
  await replaced.close();
  assert.equal(await valuesIn(name, 'blocks'), 1); // the old ones are gone
  assert.ok((await valuesIn(name, 'log')) <= 4); // fences, and marks of the last steps
});

for (const [what, image] of /** @type {[string, Buffer][]} */ ([
  ['is no database', Buffer.alloc(PAGE)],
  ['is empty', Buffer.alloc(0)],
  ['is cut short', Buffer.concat([headerPage(3), pageOf(1)])],
  ['belongs to another application', Buffer.from(foreignPage())],
  ['is of a newer version', headerPage(1, 2)],
])) {
  test(`an import that ${what} is refused and the file goes on`, async () => {
    const name = newName();
    const file = await fileOf(name, 8);
    write(file, 0, headerPage(8, 1));
    await file.commit();
    await assert.rejects(file.importImage(image, { applicationId: 0x54616273 }), { name: 'UnusableImage' });
    write(file, 1, pageOf(42));
    await file.commit();
    assert.deepEqual(await read(file, 1), pageOf(42));
    await file.close();
    assert.equal(await valuesIn(name, 'blocks'), 2);
  });
}

test('a read that IndexedDB refuses is rejected with an Error, and may be tried again', async () => {
  const name = newName();
  await (await fileOf(name, 64)).close();
  const file = await PageFile.open(name, { hotBlocks: 1 });
  assert.equal(file.read(pageOf(0), 0, PAGE, 20 * PAGE), -1);
  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = () => {
    throw new DOMException('The connection is being closed.', 'InvalidStateError');
  };
  const error = await file.fault().catch((reason) => reason);
  IDBDatabase.prototype.transaction = transaction;
  assert.ok(error instanceof Error && !(error instanceof DOMException));
  assert.equal(error.name, 'InvalidStateError');
  assert.deepEqual(await read(file, 20), pageOf(20));
  await file.close();
});

test('a destroyed file is empty when it is opened again', async () => {
  const name = newName();
  const file = await fileOf(name, 8);
  await PageFile.destroy(name);
  await assert.rejects(file.commit(), { name: 'PageFileLost' });
  const again = await PageFile.open(name);
  assert.equal(again.size, 0);
  await again.close();
});

/** How many values a store holds. @param {string} name @param {string} store @returns {Promise<number>} */
function valuesIn(name, store) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const counting = opening.result.transaction(store).objectStore(store).count();
      counting.onsuccess = () => {
        opening.result.close();
        resolve(counting.result);
      };
    };
  });
}
