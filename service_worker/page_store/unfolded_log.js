// @ts-check
/**
 * The part of the log that isn't folded into the blocks yet, in memory, by block.
 *
 * A block's durable bytes are its base (in IndexedDB) with these patches on it, in the order of their numbers. A patch
 * says what the bytes are, not what they become, so putting one onto a base that already has it changes nothing: that
 * lets the fold be killed anywhere.
 */

import { PAGE_SIZE, PAGES_PER_BLOCK, blockOfPage } from './geometry.js';
import { decodeRecord } from './log_record.js';

/** @typedef {{ sequence: number, start: number, bytes: Uint8Array }} BlockPatch `start` is an offset in the block */

const PATCH_OVERHEAD = 8;

export class UnfoldedLog {
  /** @type {Map<number, BlockPatch[]>} */
  #patches = new Map();

  /** Bytes of the records that hold the patches. */
  bytes = 0;

  /**
   * @param {number} sequence the record's number in the log
   * @param {Uint8Array} record
   * @returns {number} the size of the file that the record states
   */
  add(sequence, record) {
    const { size, patches } = decodeRecord(record);
    for (const { page, offset, bytes } of patches) {
      const block = blockOfPage(page);
      const start = (page % PAGES_PER_BLOCK) * PAGE_SIZE + offset;
      const ofBlock = this.#patches.get(block);
      if (ofBlock) ofBlock.push({ sequence, start, bytes });
      else this.#patches.set(block, [{ sequence, start, bytes }]);
      this.bytes += bytes.length + PATCH_OVERHEAD;
    }
    return size;
  }

  /** @param {number} block */
  has(block) {
    return this.#patches.has(block);
  }

  /** The numbers of the blocks that have patches, ascending. */
  blocks() {
    return [...this.#patches.keys()].sort((a, b) => a - b);
  }

  /**
   * Bring a block's base up to date.
   *
   * @param {number} block
   * @param {Uint8Array} bytes the base, changed in place
   * @param {number} [upTo] the last record to apply
   */
  applyTo(block, bytes, upTo = Infinity) {
    for (const patch of this.#patches.get(block) ?? []) {
      if (patch.sequence > upTo) break;
      bytes.set(patch.bytes, patch.start);
    }
    return bytes;
  }

  /** @param {number} upTo forget the records up to this one: the blocks have them now */
  dropUpTo(upTo) {
    this.bytes = 0;
    for (const [block, patches] of this.#patches) {
      const later = patches.filter((patch) => patch.sequence > upTo);
      if (later.length) this.#patches.set(block, later);
      else this.#patches.delete(block);
      for (const patch of later) this.bytes += patch.bytes.length + PATCH_OVERHEAD;
    }
  }
}
