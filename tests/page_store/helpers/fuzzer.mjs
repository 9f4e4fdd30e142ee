// @ts-check
/**
 * A page file beside a model of it, driven by random transactions, cuts, loads, folds, failing flushes, a filling quota,
 * exports, imports, and deaths at any moment.
 *
 * The model is a size and the bytes of every page. `candidates` are the states that a crash may leave: the last one that
 * was acknowledged, and all that were committed after it. A life ends by a kill, between any two transactions (what is in
 * flight never happens), or by a takeover (the old one lives on as a zombie and must not change anything any more); the
 * next life's file must equal one candidate in every page.
 */

import assert from 'node:assert/strict';

import { PageFile } from '../../../service_worker/page_store/index.js';
import { injectAccidents, isDead, killEverybody, liveFor } from './faulty_indexed_db.mjs';
import { Random } from './random.mjs';

const PAGE = 4096;

/** @typedef {{ size: number, pages: Map<number, Uint8Array> }} State */

/** @param {State} state @returns {State} */
const copyOf = ({ size, pages }) => ({ size, pages: new Map(pages) });

/** @param {Uint8Array} a @param {Uint8Array} b */
const equal = (a, b) => Buffer.compare(a, b) === 0;

const nextTurn = () => new Promise((resolve) => setTimeout(resolve, 0));

export class Fuzzer {
  counts = {
    lives: 0, commits: 0, pagesCompared: 0, failedCommits: 0, folds: 0, failedFolds: 0, cuts: 0,
    exports: 0, imports: 0, failedImports: 0, kills: 0, takeovers: 0, zombieCommits: 0, misses: 0,
    evictions: 0,
  };

  /** Page files of earlier lives that were not killed. @type {PageFile[]} */
  #zombies = [];

  /** @param {number} seed */
  constructor(seed) {
    this.seed = seed;
    this.random = new Random(seed);
    this.accidentsPerWrite = 0;
    injectAccidents(() => {
      if (!this.random.happens(this.accidentsPerWrite)) return null;
      if (this.accidentsPerWrite === 1) return 'late-quota';
      return this.random.one(/** @type {const} */ (['throw', 'quota', 'abort', 'late', 'late']));
    });
  }

  /** @param {number} lives of one page file */
  async run(lives) {
    const name = `fuzz-${this.seed}-${this.counts.lives}`;
    /** @type {{ possibleStates(): State[] }} */
    let previous = { possibleStates: () => [{ size: 0, pages: new Map() }] };
    for (let life = 0; life < lives; life++) previous = await this.#live(name, previous);
    killEverybody();
    await PageFile.destroy(name);
  }

  /**
   * @param {string} name
   * @param {{ possibleStates(): State[] }} previous the life before
   */
  async #live(name, previous) {
    const { random } = this;
    liveFor(Infinity);
    const isFull = !this.#zombies.length && random.happens(0.1); // no room even for the fence
    this.accidentsPerWrite = isFull ? 1 : 0;
    const file = await PageFile.open(name, {
      cacheBytes: random.one([1 << 16, 200_000, 1 << 22]),
      logBytes: random.one([20_000, 100_000, 1 << 22]),
      maxReadAhead: random.one([1, 8]),
      hotBlocks: random.one([1, 4, 64]),
      batchBlocks: random.one([1, 3, 64]),
      estimate: async () => ({ quota: 1 << 30, usage: random.happens(0.05) ? (1 << 30) - 1000 : 0 }),
    });
    this.accidentsPerWrite = 0;
    this.counts.lives++;
    const life = new Life(this, file, await this.#recognise(file, previous.possibleStates()));
    this.accidentsPerWrite = random.one([0, 0.004, 0.02, 0.1]);
    if (random.happens(0.4)) liveFor(1 + random.below(40));
    for (let step = 20 + random.below(60); step > 0 && !life.over && !isDead(); step--) {
      await life.step();
      if (random.happens(0.05)) await this.#disturb();
    }
    this.accidentsPerWrite = 0;
    for (const key of /** @type {const} */ (['misses', 'evictions'])) this.counts[key] += file.figures()[key];
    if (random.happens(0.3)) await life.settle();
    if (isDead() || random.happens(0.5)) {
      this.counts.kills++;
      killEverybody();
      this.#zombies = [];
    } else {
      this.counts.takeovers++;
      this.#zombies.push(file);
    }
    return life;
  }

  /** A zombie commits something, and must not be told that it is durable. */
  async #disturb() {
    if (!this.#zombies.length) return;
    const zombie = this.random.one(this.#zombies);
    if (zombie.write(new Uint8Array(PAGE), 0, PAGE, this.random.below(20) * PAGE) < 0) return;
    this.counts.zombieCommits++;
    const outcome = await zombie.commit().then(
      () => 'acknowledged',
      () => 'refused',
    );
    if (outcome !== 'refused') this.fail('a zombie was told that its commit is durable');
  }

  /**
   * @param {PageFile} file
   * @param {State[]} candidates
   */
  async #recognise(file, candidates) {
    /** @type {string[]} */
    const differences = [];
    for (const candidate of candidates) {
      const difference = await this.#difference(file, candidate);
      if (!difference) return candidate;
      differences.push(difference);
    }
    return this.fail(`the file is none of the ${candidates.length} states it may have: ${differences.join(', ')}`);
  }

  /**
   * @param {PageFile} file
   * @param {State} state
   */
  async #difference(file, state) {
    if (file.size !== state.size) return `size ${file.size} for ${state.size}`;
    for (const [page, bytes] of state.pages) {
      this.counts.pagesCompared++;
      if (!equal(await this.readPage(file, page), bytes)) return `page ${page}`;
    }
    return null;
  }

  /**
   * @param {PageFile} file
   * @param {number} page
   */
  async readPage(file, page) {
    const bytes = new Uint8Array(PAGE);
    for (let attempt = 0; attempt < 20; attempt++) {
      const count = file.read(bytes, 0, PAGE, page * PAGE);
      if (count >= 0) return bytes.subarray(0, count);
      if (file.stale) throw file.stale;
      await file.fault();
    }
    return this.fail(`page ${page} never comes`);
  }

  /**
   * @param {string} message
   * @returns {never}
   */
  fail(message) {
    assert.fail(`seed ${this.seed}, life ${this.counts.lives}: ${message}`);
  }
}

/** One opening of the page file, until its owner dies. */
class Life {
  over = false;

  /** @type {Promise<unknown>[]} */
  #background = [];

  /** Why something in the background proved wrong. @type {unknown} */
  #failure = null;

  /**
   * @param {Fuzzer} fuzzer
   * @param {PageFile} file
   * @param {State} state
   */
  constructor(fuzzer, file, state) {
    this.fuzzer = fuzzer;
    this.random = fuzzer.random;
    this.file = file;
    this.live = copyOf(state);

    /** What a crash may leave: the last state that was acknowledged, and those committed after it. */
    this.candidates = [state];

    /** All states since the last failed commit, oldest first. */
    this.history = [state];

    /** The state of an import under way, or of one that succeeded. @type {State | null} */
    this.imported = null;
  }

  possibleStates() {
    if (this.imported && this.over) return [this.imported];
    return this.imported ? [...this.candidates, this.imported] : this.candidates;
  }

  async step() {
    try {
      await this.#step();
    } catch (error) {
      if (!isDead() || error instanceof assert.AssertionError) throw error;
    }
  }

  async #step() {
    if (this.#failure) throw this.#failure;
    if (this.file.stale) return this.#recover();
    const choice = this.random.next();
    if (choice < 0.62) return this.#transact();
    if (choice < 0.72) return nextTurn();
    if (choice < 0.8) return this.#inBackground(this.#load());
    if (choice < 0.88) return this.#inBackground(this.#fold());
    if (choice < 0.96) return this.#look();
    if (choice < 0.985) return this.#inBackground(this.#export());
    return this.#inBackground(this.#import());
  }

  async settle() {
    await Promise.allSettled(this.#background);
    if (this.#failure) throw this.#failure;
  }

  /** @param {Promise<unknown>} work */
  async #inBackground(work) {
    const watched = work.catch((failure) => {
      if (!isDead() || failure instanceof assert.AssertionError) this.#failure ??= failure;
    });
    this.#background.push(watched);
    if (this.random.happens(0.3)) await watched;
  }

  /** After a failed commit the file is what was acknowledged last. */
  async #recover() {
    await this.settle();
    if (this.over) return;
    if (this.file.store.lost) this.fuzzer.fail(`it was lost while it was alone: ${this.file.store.lost.message}`);
    await this.file.reopen();
    this.candidates = [this.candidates[0]];
    this.history = [this.candidates[0]];
    this.live = copyOf(this.candidates[0]);
    if (this.file.size !== this.live.size) this.fuzzer.fail('a failed commit left its size behind');
  }

  async #transact() {
    const { file, random, live } = this;
    const count = live.size / PAGE;
    const pages = Array.from({ length: 1 + random.below(6) }, () => random.below(count + 3));
    file.hold();
    const before = await this.#readAll(pages.filter((page) => page < count)).finally(() => file.release());
    if (!before || file.stale) return;
    // from here on nothing waits, as in SQLite's COMMIT
    for (const page of pages) {
      const bytes = this.#changed(random.happens(0.8) ? before.get(page) : undefined);
      if (file.write(bytes, 0, PAGE, page * PAGE) !== PAGE) this.fuzzer.fail('a write was refused');
      before.set(page, bytes);
      live.pages.set(page, bytes);
      live.size = Math.max(live.size, (page + 1) * PAGE);
    }
    if (random.happens(0.12) && live.size > 8 * PAGE) this.#cut();
    await this.#commit();
  }

  /**
   * @param {number[]} pages
   * @returns {Promise<Map<number, Uint8Array> | null>} null when the file became stale meanwhile
   */
  async #readAll(pages) {
    const found = new Map();
    for (const page of pages) {
      try {
        found.set(page, (await this.fuzzer.readPage(this.file, page)).slice());
      } catch (error) {
        if (this.file.stale) return null;
        throw error;
      }
      const expected = this.live.pages.get(page);
      if (expected && !equal(found.get(page), expected)) this.fuzzer.fail(`page ${page} differs while in use`);
    }
    return found;
  }

  /** @param {Uint8Array | undefined} old */
  #changed(old) {
    const { random } = this;
    const bytes = old?.slice() ?? new Uint8Array(PAGE);
    for (let run = 1 + random.below(old ? 4 : 30); run > 0; run--) {
      const start = random.below(PAGE - 40);
      for (let at = start; at < start + 1 + random.below(40); at++) bytes[at] = random.below(256);
    }
    return bytes;
  }

  #cut() {
    const { live } = this;
    live.size = (1 + this.random.below(live.size / PAGE - 1)) * PAGE;
    for (const page of [...live.pages.keys()]) if (page * PAGE >= live.size) live.pages.delete(page);
    this.file.truncate(live.size);
    this.fuzzer.counts.cuts++;
  }

  async #commit() {
    const state = copyOf(this.live);
    this.candidates.push(state);
    this.history.push(state);
    this.fuzzer.counts.commits++;
    const acknowledged = this.file.commit().then(
      () => {
        const index = this.candidates.indexOf(state);
        if (index > 0) this.candidates.splice(0, index);
      },
      (error) => {
        if (isDead()) return;
        if (!(error instanceof Error) || error instanceof DOMException) this.fuzzer.fail('rejected without an Error');
        if (!this.file.stale) this.fuzzer.fail(`a failed commit left the file as if nothing had happened: ${error}`);
        this.fuzzer.counts.failedCommits++;
      },
    );
    const done = this.#inBackground(acknowledged);
    if (this.random.happens(0.5)) await done;
  }

  async #look() {
    const { random, live } = this;
    this.file.hold();
    const page = random.below(live.size / PAGE);
    if (live.size) await this.#readAll([page]).finally(() => this.file.release());
    else this.file.release();
  }

  /** What read-ahead and `warm` do. */
  async #load() {
    const block = this.random.below(Math.ceil(this.live.size / 16384) + 2);
    await this.file.load([[block, block + this.random.below(8)]]);
  }

  async #fold() {
    try {
      await this.file.fold(1 + this.random.below(4));
      this.fuzzer.counts.folds++;
    } catch (error) {
      this.fuzzer.counts.failedFolds++;
    }
  }

  /** An export is a state that was durable between its beginning and its first bytes. */
  async #export() {
    if (!this.live.size) return;
    const [acknowledged] = this.candidates;
    /** @type {State[]} */
    let possible = [];
    /** @type {Uint8Array[]} */
    const chunks = [];
    try {
      for await (const chunk of this.file.exportImage()) {
        if (!chunks.length) possible = this.history.slice(this.history.indexOf(acknowledged));
        chunks.push(chunk);
        if (this.random.happens(0.5)) await nextTurn();
        if (this.random.happens(0.05)) return;
      }
    } catch (error) {
      return;
    }
    const image = Buffer.concat(chunks);
    if (!possible.some((state) => isImageOf(image, state))) this.fuzzer.fail('an export is no state that was durable');
    this.fuzzer.counts.exports++;
  }

  /** A crash during an import leaves the old file or the new one. */
  async #import() {
    if (this.imported) return;
    const state = (this.imported = this.#databaseState());
    try {
      await this.file.importImage(this.#inChunks(imageOf(state)));
    } catch (error) {
      this.fuzzer.counts.failedImports++;
      if (!this.file.store.lost) this.imported = null;
      return;
    }
    this.fuzzer.counts.imports++;
    this.over = true;
  }

  #databaseState() {
    const count = 1 + this.random.below(200);
    /** @type {State} */
    const state = { size: count * PAGE, pages: new Map() };
    for (let page = 0; page < count; page++) state.pages.set(page, this.#changed(undefined));
    const header = /** @type {Uint8Array} */ (state.pages.get(0));
    header.set(new TextEncoder().encode('SQLite format 3\0'));
    const view = new DataView(header.buffer);
    view.setUint16(16, PAGE);
    view.setUint16(18, 0x0101);
    view.setUint32(28, count);
    view.setUint32(60, 0);
    return state;
  }

  /** @param {Uint8Array} image */
  async *#inChunks(image) {
    for (let at = 0; at < image.length; ) {
      const length = 1 + this.random.below(300_000);
      yield image.subarray(at, at + length);
      at += length;
      if (this.random.happens(0.5)) await nextTurn();
      if (this.random.happens(0.05)) throw new Error('the upload was interrupted');
    }
  }
}

/** @param {State} state */
function imageOf({ size, pages }) {
  const image = new Uint8Array(size);
  for (const [page, bytes] of pages) image.set(bytes, page * PAGE);
  return image;
}

/** @param {Uint8Array} image @param {State} state */
function isImageOf(image, { size, pages }) {
  if (image.length !== size) return false;
  return [...pages].every(([page, bytes]) => equal(image.subarray(page * PAGE, (page + 1) * PAGE), bytes));
}
