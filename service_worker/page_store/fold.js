// @ts-check
/**
 * The fold: moves the log into the blocks, a few blocks a transaction, between flushes.
 *
 * It may be killed, or fail, after any step: the log stays until the last step, and putting its patches onto blocks
 * that already have them changes nothing. A step writes what is durable at its time, never what only memory has.
 */

import { BLOCK_SIZE, blocksIn } from './geometry.js';

/**
 * @param {import('./page_file.js').PageFile} file
 * @param {number} blocksAtOnce
 */
export async function fold(file, blocksAtOnce) {
  const { store, log } = file;
  let sequence = 0;
  /** @type {number[]} */
  let blocks = [];
  await file.exclusively(async () => {
    sequence = store.sequence;
    blocks = log.blocks();
  });
  for (let next = 0; next < blocks.length; next += blocksAtOnce) {
    const some = blocks.slice(next, next + blocksAtOnce);
    await file.exclusively(() => foldSome(file, some));
  }
  await file.exclusively(() => finish(file, sequence));
}

/**
 * @param {import('./page_file.js').PageFile} file
 * @param {number[]} blocks
 */
async function foldSome(file, blocks) {
  await file.store.foldBlocks(
    file.durableSize,
    blocks,
    (block) => file.written.durableCopyOf(block),
    (block, base) => file.log.applyTo(block, base),
  );
  file.counters.foldedBytes += blocks.length * BLOCK_SIZE;
}

/**
 * @param {import('./page_file.js').PageFile} file
 * @param {number} sequence the last record that every block has
 */
async function finish(file, sequence) {
  const { store } = file;
  const cut = file.cutBytes;
  const size = file.durableSize;
  // Pages beyond the durable size may be in memory already, with bytes that rest on the old bases: keep those.
  await store.finishFold({ ...store.base, size, sequence }, blocksIn(Math.max(size, file.size)), file.hotBlocks());
  file.log.dropUpTo(sequence);
  file.epoch++;
  file.cutBytes -= cut;
  file.counters.folds++;
}
