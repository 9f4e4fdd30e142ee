// @ts-check
/**
 * Which blocks to load for those that were missed: the more, the longer the misses follow each other, up the file as in a
 * scan, or down, as when its last pages are moved to where there is room.
 */

/** @typedef {import('./block_store.js').BlockRange} BlockRange */

export class ReadAhead {
  #first = -1;
  #next = -1;
  #window = 1;

  /** @param {number} maximum blocks loaded for one that was missed */
  constructor(maximum) {
    this.maximum = maximum;
  }

  /**
   * @param {number[]} missed blocks, ascending
   * @param {number} blocks in the file
   * @returns {BlockRange[]}
   */
  plan(missed, blocks) {
    return missed.map((block) => {
      const rises = block >= this.#next && block - this.#next <= 2 * this.#window;
      const falls = block < this.#first && this.#first - block <= 2 * this.#window;
      this.#window = rises || falls ? Math.min(this.#window * 2, this.maximum) : 1;
      const first = falls ? Math.max(0, block - this.#window + 1) : block;
      const last = falls ? block : Math.max(block, Math.min(block + this.#window, blocks) - 1);
      this.#first = first;
      this.#next = last + 1;
      return [first, last];
    });
  }
}

/**
 * @param {number[]} blocks
 * @returns {BlockRange[]} the same blocks as ascending ranges
 */
export function toRanges(blocks) {
  /** @type {BlockRange[]} */
  const ranges = [];
  for (const block of [...blocks].sort((a, b) => a - b)) {
    const range = ranges[ranges.length - 1];
    if (range && block <= range[1] + 1) range[1] = block;
    else ranges.push([block, block]);
  }
  return ranges;
}
