// @ts-check
/**
 * The blocks in memory, least recently used first, each with a bit per page that it really holds.
 *
 * A page can be in memory without the rest of its block: SQLite may write one that was never read.
 */

import { BLOCK_SIZE, PAGE_SIZE, PAGES_PER_BLOCK, blockOfPage, blocksIn } from './geometry.js';

const ALL_PAGES = 2 ** PAGES_PER_BLOCK - 1;

/** @typedef {{ bytes: Uint8Array, held: number }} CachedBlock */

/** @param {number} page */
const bitOf = (page) => 1 << (page % PAGES_PER_BLOCK);

/** @param {number} page */
const startOf = (page) => (page % PAGES_PER_BLOCK) * PAGE_SIZE;

export class BlockCache {
  /** @type {Map<number, CachedBlock>} */
  #blocks = new Map();

  /** @param {number} capacity bytes that remain after `evict` */
  constructor(capacity) {
    this.capacity = capacity;
  }

  get bytes() {
    return this.#blocks.size * BLOCK_SIZE;
  }

  /**
   * A page's bytes, as a view that later writes change; null when it isn't in memory.
   *
   * @param {number} page
   */
  peek(page) {
    const cached = this.#blocks.get(blockOfPage(page));
    return cached && cached.held & bitOf(page) ? cached.bytes.subarray(startOf(page), startOf(page) + PAGE_SIZE) : null;
  }

  /**
   * Like `peek`, and the block counts as used.
   *
   * @param {number} page
   */
  read(page) {
    const block = blockOfPage(page);
    const cached = this.#blocks.get(block);
    if (!cached) return null;
    this.#blocks.delete(block);
    this.#blocks.set(block, cached);
    return this.peek(page);
  }

  /**
   * @param {number} page
   * @param {Uint8Array} bytes copied
   */
  write(page, bytes) {
    const block = blockOfPage(page);
    let cached = this.#blocks.get(block);
    if (!cached) {
      cached = { bytes: new Uint8Array(BLOCK_SIZE), held: 0 };
      this.#blocks.set(block, cached);
    }
    cached.bytes.set(bytes, startOf(page));
    cached.held |= bitOf(page);
  }

  /** @param {number} block */
  isComplete(block) {
    return this.#blocks.get(block)?.held === ALL_PAGES;
  }

  /**
   * A copy of a complete block, or null.
   *
   * @param {number} block
   */
  copyOf(block) {
    const cached = this.#blocks.get(block);
    return cached?.held === ALL_PAGES ? cached.bytes.slice() : null;
  }

  /**
   * Complete a block with what was read from IndexedDB; pages already in memory are newer and stay.
   *
   * @param {number} block
   * @param {Uint8Array} bytes taken over, not copied
   */
  install(block, bytes) {
    const cached = this.#blocks.get(block);
    for (let index = 0; cached && index < PAGES_PER_BLOCK; index++) {
      const start = index * PAGE_SIZE;
      if (cached.held & (1 << index)) bytes.set(cached.bytes.subarray(start, start + PAGE_SIZE), start);
    }
    this.#blocks.delete(block);
    this.#blocks.set(block, { bytes, held: ALL_PAGES });
  }

  /** @param {number} page */
  forget(page) {
    const cached = this.#blocks.get(blockOfPage(page));
    if (cached) cached.held &= ~bitOf(page);
  }

  /**
   * Forget every page from here on: the file was cut.
   *
   * @param {number} firstPage
   */
  forgetFrom(firstPage) {
    const kept = blocksIn(firstPage * PAGE_SIZE);
    for (const block of this.#blocks.keys()) {
      if (block >= kept) this.#blocks.delete(block);
    }
    for (let page = firstPage; page < kept * PAGES_PER_BLOCK; page++) this.forget(page);
  }

  clear() {
    this.#blocks.clear();
  }

  /**
   * Drop least recently used blocks until the capacity is kept.
   *
   * @param {Set<number>} pinned blocks that stay
   * @returns {number} how many were dropped
   */
  evict(pinned) {
    let excess = this.#blocks.size - Math.floor(this.capacity / BLOCK_SIZE);
    let dropped = 0;
    for (const block of this.#blocks.keys()) {
      if (excess <= 0) break;
      if (pinned.has(block)) continue;
      this.#blocks.delete(block);
      excess--;
      dropped++;
    }
    return dropped;
  }

  /** @param {number} count the most recently used blocks */
  mostRecent(count) {
    return [...this.#blocks.keys()].slice(-count);
  }
}
