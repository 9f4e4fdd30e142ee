// @ts-check
/**
 * Log records: what one commit changed, as byte ranges.
 *
 *     record = size of the file (float64), kind (uint8), patch*
 *     patch  = page (uint32), offset (uint16), length (uint16), bytes
 *
 * Little-endian. A commit that does not fit one record becomes several, written in one IndexedDB transaction. Records
 * without patches mark a number of the log as taken: by an opener (fence), or by a step of the fold.
 */

import { PAGE_SIZE } from './geometry.js';

const HEADER_SIZE = 9;
const PATCH_HEADER_SIZE = 8;
const MAX_RECORD_SIZE = 60_000;

/** Equal words between two changed ranges that are cheaper to repeat than to skip (a patch's header is two words). */
const MAX_GAP_WORDS = 3;

export const RecordKind = Object.freeze({ PATCHES: 0, FENCE: 1, STEP: 2 });

/** @typedef {{ page: number, before: Uint8Array | null, after: Uint8Array }} PageChange `before` is null when unknown */
/** @typedef {{ page: number, offset: number, bytes: Uint8Array }} Patch */

/**
 * @param {number} size of the file after the commit
 * @param {number} kind a RecordKind without patches
 */
export function encodeMark(size, kind) {
  const record = new Uint8Array(HEADER_SIZE);
  writeHeader(record, size, kind);
  return record;
}

/**
 * @param {number} size of the file after the commit
 * @param {Iterable<PageChange>} changes
 * @returns {Uint8Array[]} at least one record
 */
export function encodeCommit(size, changes) {
  /** @type {Uint8Array[]} */
  const records = [];
  let record = new Uint8Array(MAX_RECORD_SIZE);
  let end = HEADER_SIZE;
  const finish = () => {
    writeHeader(record, size, RecordKind.PATCHES);
    records.push(record.slice(0, end));
    end = HEADER_SIZE;
  };
  for (const { page, before, after } of changes) {
    for (const [from, to] of changedRanges(before, after)) {
      if (end + PATCH_HEADER_SIZE + to - from > MAX_RECORD_SIZE) finish();
      const view = new DataView(record.buffer, end);
      view.setUint32(0, page, true);
      view.setUint16(4, from, true);
      view.setUint16(6, to - from, true);
      record.set(after.subarray(from, to), end + PATCH_HEADER_SIZE);
      end += PATCH_HEADER_SIZE + to - from;
    }
  }
  finish();
  return records;
}

/**
 * @param {Uint8Array} record
 * @returns {{ size: number, kind: number, patches: Patch[] }} the patches' bytes are views of the record
 */
export function decodeRecord(record) {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  /** @type {Patch[]} */
  const patches = [];
  for (let at = HEADER_SIZE; at < record.length; ) {
    const from = at + PATCH_HEADER_SIZE;
    const length = view.getUint16(at + 6, true);
    const bytes = record.subarray(from, from + length);
    patches.push({ page: view.getUint32(at, true), offset: view.getUint16(at + 4, true), bytes });
    at = from + length;
  }
  return { ...readHeader(record), patches };
}

/**
 * @param {Uint8Array} record
 * @returns {{ size: number, kind: number }}
 */
export function readHeader(record) {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  return { size: view.getFloat64(0, true), kind: view.getUint8(8) };
}

/**
 * @param {Uint8Array} record
 * @param {number} size
 * @param {number} kind
 */
function writeHeader(record, size, kind) {
  const view = new DataView(record.buffer, record.byteOffset);
  view.setFloat64(0, size, true);
  view.setUint8(8, kind);
}

/**
 * The byte ranges [from, to) in which a page changed, compared by words of four bytes.
 *
 * @param {Uint8Array | null} before
 * @param {Uint8Array} after
 * @returns {Iterable<[number, number]>}
 */
function* changedRanges(before, after) {
  if (!before) {
    yield [0, PAGE_SIZE];
    return;
  }
  const words = PAGE_SIZE / 4;
  const old = new Int32Array(before.buffer, before.byteOffset, words);
  const now = new Int32Array(after.buffer, after.byteOffset, words);
  for (let word = 0; word < words; ) {
    if (old[word] === now[word]) {
      word++;
      continue;
    }
    let last = word;
    for (let next = word + 1; next < words && next - last <= MAX_GAP_WORDS + 1; next++) {
      if (old[next] !== now[next]) last = next;
    }
    yield [word * 4, (last + 1) * 4];
    word = last + 1;
  }
}
