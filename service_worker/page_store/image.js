// @ts-check
/**
 * The whole file out and in.
 *
 * An export reads the blocks with the log up to one record on them, while later commits go on; the fold waits for it,
 * unless it takes so long that the log gets too big. An import writes the new blocks beside the old ones, as a new
 * generation, and then makes that the one that counts, in a single transaction.
 */

import { BLOCK_SIZE, blocksIn } from './geometry.js';
import { asError } from './indexed_db.js';
import { UnusableImage, checkHeader, leaveWriteAheadLog } from './sqlite_header.js';

/** @typedef {Uint8Array | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>} ImageSource */

/**
 * @param {import('./page_file.js').PageFile} file
 * @returns {AsyncGenerator<Uint8Array, void, void>}
 */
export async function* exportImage(file) {
  const lease = { revoked: false };
  const step = file.options.batchBlocks;
  file.exports.add(lease);
  try {
    await file.settleFold();
    await file.flush();
    const { size, sequence } = await file.exclusively(async () => ({
      size: file.durableSize,
      sequence: file.store.sequence,
    }));
    const blocks = blocksIn(size);
    for (let first = 0; first < blocks; first += step) {
      const last = Math.min(first + step, blocks) - 1;
      const bases = await file.store.readBlocks([[first, last]]);
      if (lease.revoked) throw new Error('The export took too long: the database has changed too much meanwhile.');
      const bytes = new Uint8Array((last - first + 1) * BLOCK_SIZE);
      for (let block = first; block <= last; block++) {
        const start = (block - first) * BLOCK_SIZE;
        const base = bases.get(block);
        if (base) bytes.set(base, start);
        file.log.applyTo(block, bytes.subarray(start, start + BLOCK_SIZE), sequence);
      }
      yield bytes.subarray(0, size - first * BLOCK_SIZE);
    }
  } finally {
    file.exports.delete(lease);
  }
}

/**
 * @param {import('./page_file.js').PageFile} file
 * @param {ImageSource} source
 * @param {import('./sqlite_header.js').Expected} expected
 */
export async function importImage(file, source, expected) {
  const { store } = file;
  const generation = store.base.generation + 1;
  await file.exclusively(() => store.discardLeftovers(file.durableSize));
  try {
    const size = await stage(file, generation, source, expected);
    await file.exclusively(async () => {
      await store.adoptGeneration(generation, size);
      store.close('The database was replaced.'); // before anything that rests on the old blocks is written
    });
  } catch (cause) {
    await file.exclusively(() => store.discardLeftovers(file.durableSize)).catch(() => {}); // else the next opener does
    throw asError(cause);
  }
}

/**
 * @param {import('./page_file.js').PageFile} file
 * @param {number} generation
 * @param {ImageSource} source
 * @param {import('./sqlite_header.js').Expected} expected
 * @returns {Promise<number>} the image's size
 */
async function stage(file, generation, source, expected) {
  let size = 0;
  let statedSize = 0;
  for await (const bytes of inPieces(chunksOf(source), file.options.batchBlocks * BLOCK_SIZE)) {
    if (size === 0) {
      statedSize = checkHeader(bytes, expected);
      leaveWriteAheadLog(bytes);
    }
    const firstBlock = size / BLOCK_SIZE;
    await file.exclusively(() => file.store.stageBlocks(file.durableSize, generation, firstBlock, toBlocks(bytes)));
    size += bytes.length;
  }
  if (size === 0 || size !== statedSize) throw new UnusableImage('The file is not complete.');
  return size;
}

/**
 * @param {ImageSource} source
 * @returns {AsyncIterable<Uint8Array>}
 */
async function* chunksOf(source) {
  if (source instanceof Uint8Array) {
    yield source;
  } else if (Symbol.asyncIterator in source) {
    yield* source;
  } else {
    const reader = (source instanceof Blob ? source.stream() : source).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  }
}

/**
 * The same bytes in pieces of equal length, but for the last.
 *
 * @param {AsyncIterable<Uint8Array>} chunks
 * @param {number} length
 */
async function* inPieces(chunks, length) {
  let piece = new Uint8Array(length);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + length - filled);
      piece.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < length) continue;
      yield piece;
      piece = new Uint8Array(length);
      filled = 0;
    }
  }
  if (filled) yield piece.subarray(0, filled);
}

/**
 * @param {Uint8Array} bytes
 * @returns {Uint8Array[]} copies of its blocks; the last one is filled up with zeros
 */
function toBlocks(bytes) {
  return Array.from({ length: blocksIn(bytes.length) }, (_, index) => {
    const block = new Uint8Array(BLOCK_SIZE);
    block.set(bytes.subarray(index * BLOCK_SIZE, (index + 1) * BLOCK_SIZE));
    return block;
  });
}
