// @ts-check
/**
 * Which blocks to load for those that were missed: the more, the longer the misses follow each other, up the file as in a
 * scan, or down, as when its last pages are moved to where there is room. Misses to and fro follow nothing: what they lead
 * on to would only drive out what is needed again.
 */

/** @typedef {import('./block_store.js').BlockRange} BlockRange */

export class ReadAhead {
  #first = -1;
  #next = -1;
  #window = 1;
  /** 1 up the file, -1 down, 0 neither */
  #direction = 0;

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
      const direction = this.#directionTo(block);
      this.#window = direction ? Math.min(this.#window * 2, this.maximum) : 1;
      this.#direction = direction;
      const first = direction < 0 ? Math.max(0, block - this.#window + 1) : block;
      const last = direction < 0 ? block : Math.max(block, Math.min(block + this.#window, blocks) - 1);
      this.#first = first;
      this.#next = last + 1;
      return [first, last];
    });
  }

  /** @param {number} block */
  #directionTo(block) {
    const reach = 2 * this.#window;
    if (this.#direction >= 0 && block >= this.#next && block - this.#next <= reach) return 1;
    if (this.#direction <= 0 && block < this.#first && this.#first - block <= reach) return -1;
    return 0;
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
