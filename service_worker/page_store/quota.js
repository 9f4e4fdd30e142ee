// @ts-check
/**
 * Refuses growth before the browser does, so that folding the log, cutting the file and small changes keep working
 * when the quota is nearly used up.
 *
 * `navigator.storage.estimate()` is slow and lags behind, so it is asked only when, by the last answer and what was
 * written since, there might be too little room. Chromium always says that there are 10 GiB left; what it refuses after
 * all is refused whole, and taken back in memory.
 */

/** Room left for the fold: a full log, written once more as blocks, and what IndexedDB itself needs meanwhile. */
export const RESERVE = 16 << 20;

/** Bytes of IndexedDB that a byte of a commit costs at most: once in the log, once in the blocks. */
const COST = 2;

/** @typedef {() => Promise<{ quota?: number, usage?: number }>} Estimate */

/** @type {Estimate} */
export const browserEstimate = async () => globalThis.navigator?.storage?.estimate?.() ?? {};

export class Quota {
  /** @type {Estimate} */
  #estimate;

  /** Room by the last estimate, less what was written since. @type {number} */
  #room = 0;

  /** @param {Estimate} estimate */
  constructor(estimate) {
    this.#estimate = estimate;
  }

  /** @param {number} bytes Whether so many can surely be written, by what is known without asking. */
  hasRoomFor(bytes) {
    return bytes * COST + RESERVE <= this.#room;
  }

  /**
   * @param {number} bytes
   * @returns {Promise<boolean>} whether they can be written
   */
  async findRoomFor(bytes) {
    await this.findRoom();
    return this.hasRoomFor(bytes);
  }

  /** @returns {Promise<number>} how many bytes are left */
  async findRoom() {
    const { quota = Infinity, usage = 0 } = await this.#estimate();
    this.#room = quota - usage;
    return this.#room;
  }

  /** @param {number} bytes written */
  spend(bytes) {
    this.#room -= bytes * COST;
  }
}

export function quotaExceeded() {
  const error = new Error('The quota of this origin is nearly used up: the file may not grow.');
  error.name = 'QuotaExceededError';
  return error;
}
