// @ts-check
/**
 * The pages that were written and aren't durable yet, with what is durable of them.
 *
 * A page is *dirty* from its first write until a flush begins, then it is *flying* until that flush has ended; it may be
 * dirty again meanwhile. For each, the bytes that its first write replaced are kept, or null when they weren't in memory.
 * They are what is durable (of a page that is dirty and flying, the flying one's are). So a failed flush is undone in
 * memory, the log holds only what has changed, and the fold writes nothing that isn't durable.
 */

import { PAGES_PER_BLOCK, PAGE_SIZE, blockOfPage } from './geometry.js';

export class WrittenPages {
  /** @type {Map<number, Uint8Array | null>} */
  #dirty = new Map();

  /** @type {Map<number, Uint8Array | null>} */
  #flying = new Map();

  /** Flying pages that were cut off the file since. @type {Set<number>} */
  #cutInFlight = new Set();

  /** @param {import('./block_cache.js').BlockCache} cache */
  constructor(cache) {
    this.cache = cache;
  }

  /** How many pages the next flush will have. */
  get dirtyCount() {
    return this.#dirty.size;
  }

  /**
   * @param {number} page
   * @param {Uint8Array} bytes
   */
  write(page, bytes) {
    if (!this.#dirty.has(page)) this.#dirty.set(page, this.cache.peek(page)?.slice() ?? null);
    this.cache.write(page, bytes);
  }

  /** @param {number} firstPage The file ends before this page now: what comes there later isn't compared with what was. */
  cutFrom(firstPage) {
    this.cache.forgetFrom(firstPage);
    for (const page of this.#dirty.keys()) if (page >= firstPage) this.#dirty.delete(page);
    for (const page of this.#flying.keys()) if (page >= firstPage) this.#cutInFlight.add(page);
  }

  /**
   * A flush begins.
   *
   * @returns {import('./log_record.js').PageChange[]} what it must write; the bytes are views, to be read at once
   */
  takeOff() {
    this.#flying = this.#dirty;
    this.#dirty = new Map();
    return Array.from(this.#flying, ([page, before]) => {
      const after = this.cache.peek(page);
      if (!after) throw new Error(`Page ${page} was written, but isn't in memory.`);
      return { page, before, after };
    });
  }

  /** The flush has succeeded. */
  land() {
    for (const page of this.#cutInFlight) {
      // It may have been loaded again, or begun anew, with the bytes that were durable before this flush.
      if (this.#dirty.has(page)) this.#dirty.set(page, null);
      else this.cache.forget(page);
    }
    this.#flying = new Map();
    this.#cutInFlight.clear();
  }

  /** @param {number} durablePages The flush has failed: memory goes back to what is durable, a file of so many pages. */
  rollBack(durablePages) {
    for (const pages of [this.#dirty, this.#flying]) {
      for (const [page, before] of pages) {
        if (before) this.cache.write(page, before);
        else this.cache.forget(page);
      }
    }
    this.#dirty = new Map();
    this.#flying = new Map();
    this.#cutInFlight.clear();
    this.cache.forgetFrom(durablePages);
  }

  /** The blocks that must stay in memory. */
  blocks() {
    return new Set([...this.#dirty.keys(), ...this.#flying.keys()].map(blockOfPage));
  }

  /**
   * A block's durable bytes, if memory has them all and nothing is flying.
   *
   * @param {number} block
   * @returns {Uint8Array | null} a copy
   */
  durableCopyOf(block) {
    const bytes = this.cache.copyOf(block);
    for (let index = 0; bytes && index < PAGES_PER_BLOCK; index++) {
      const before = this.#dirty.get(block * PAGES_PER_BLOCK + index);
      if (before === null) return null;
      if (before) bytes.set(before, index * PAGE_SIZE);
    }
    return bytes;
  }
}
