// @ts-check
/**
 * A file of pages (an SQLite database) that lives in IndexedDB and is read on demand.
 *
 * SQLite calls `read`, `write` and `truncate` synchronously. A page that isn't in memory fails the read and is noted;
 * the caller rolls back, awaits `fault`, and tries again. What SQLite's COMMITs wrote becomes durable with the next
 * flush: one IndexedDB transaction of strict durability that appends the changed byte ranges to a log. Commits that
 * arrive while a flush is under way share the next one. In the background the log is folded into the blocks (fold.js).
 *
 * Invariants
 * - A page in memory that wasn't written since (written_pages.js) has its durable bytes: its block's base with the log's
 *   patches on it. No block beyond the file's end is in memory: the fold may delete its base.
 * - Writing transactions follow each other; after a failed flush nothing is written that builds on it.
 * - At any await, memory has whole transactions of SQLite's only (cache_spill=OFF, journal_mode=MEMORY).
 */

import { BlockCache } from './block_cache.js';
import { BlockStore } from './block_store.js';
import { fold } from './fold.js';
import { BLOCK_SIZE, PAGE_SIZE, blockOfPage, blocksIn } from './geometry.js';
import { exportImage, importImage } from './image.js';
import { asError } from './indexed_db.js';
import { encodeCommit } from './log_record.js';
import { Quota, browserEstimate, quotaExceeded } from './quota.js';
import { ReadAhead, toRanges } from './read_ahead.js';
import { expectSuccessorOf } from './sqlite_header.js';
import { UnfoldedLog } from './unfolded_log.js';
import { WrittenPages } from './written_pages.js';

/**
 * @typedef {object} Options
 * @property {number} cacheBytes blocks kept in memory, beside dirty ones and those of a transaction being repeated
 * @property {number} logBytes the log is folded when it is longer
 * @property {number} maxReadAhead blocks loaded at once when misses follow each other
 * @property {number} hotBlocks blocks that the next opener loads at once
 * @property {number} batchBlocks blocks that an import, an export or `warm` handles at once
 * @property {IDBTransactionDurability} durability
 * @property {import('./quota.js').Estimate} estimate
 */

/** @type {Options} */
const DEFAULTS = {
  cacheBytes: 32 << 20,
  logBytes: 4 << 20,
  maxReadAhead: 128,
  hotBlocks: 128,
  batchBlocks: 64,
  durability: 'strict',
  estimate: browserEstimate,
};

/** How many times `logBytes` the log may have when commits wait for the fold, and when they are refused. */
const SLOW_AT = 2;
const REFUSE_AT = 8;

/** Loads after which the hot blocks are noted. */
const NOTE_HOT_EVERY = 64;

/** Bytes cut off the file that are worth a fold of their own. */
const WORTH_GIVING_BACK = 1 << 20;

export class PageFile {
  #holds = 0;

  /** @type {Promise<unknown>} */
  #lastWriting = Promise.resolve();

  /** The flush whose transaction is under way. @type {Promise<void> | null} */
  #flushing = null;

  /** The flush that will take what is written now. @type {Promise<void> | null} */
  #nextFlush = null;

  /** Bytes of the file as of the last flush that began. */
  #flushedSize = 0;

  /** @type {Promise<void> | null} */
  #folding = null;
  #foldFailed = false;

  /** @type {Quota} */
  #quota;

  /** @type {ReadAhead} */
  #readAhead;

  /** Blocks that failed reads wanted. @type {Set<number>} */
  #missed = new Set();

  /** @type {Error | null} */
  #stale = null;

  counters = { flushes: 0, flushedBytes: 0, folds: 0, foldedBytes: 0, loads: 0, loadedBlocks: 0, misses: 0, evictions: 0 };

  /**
   * @param {BlockStore} store
   * @param {Options} options
   */
  constructor(store, options) {
    this.store = store;
    this.options = options;
    this.cache = new BlockCache(options.cacheBytes);
    this.written = new WrittenPages(this.cache);
    this.log = new UnfoldedLog();
    this.#quota = new Quota(options.estimate);
    this.#readAhead = new ReadAhead(options.maxReadAhead);

    /** Bytes of the file, as SQLite sees it. */
    this.size = 0;

    /** Bytes of the file that a crash would leave. */
    this.durableSize = 0;

    /** Grows when folded patches are dropped from memory. */
    this.epoch = 0;

    /** Bytes that the file lost since the last fold. */
    this.cutBytes = 0;

    /** Exports under way: the fold waits for them. @type {Set<{ revoked: boolean }>} */
    this.exports = new Set();
  }

  /**
   * Open or create, taking the file over from any earlier opener.
   *
   * @param {string} name of the IndexedDB database
   * @param {Partial<Options>} [options]
   */
  static async open(name, options = {}) {
    const complete = { ...DEFAULTS, ...options };
    const store = await BlockStore.open(name, complete.durability);
    try {
      const file = new PageFile(store, complete);
      await file.#takeOver();
      return file;
    } catch (cause) {
      store.close('It could not be opened.');
      throw asError(cause);
    }
  }

  /**
   * Delete a page file, open or not.
   *
   * @param {string} name
   */
  static destroy(name) {
    return BlockStore.destroy(name);
  }

  async #takeOver() {
    const { records, hot } = await this.store.claim();
    this.size = this.store.base.size;
    for (const [sequence, record] of records) this.size = this.log.add(sequence, record);
    this.durableSize = this.#flushedSize = this.size;
    await this.load(toRanges([0, ...hot.slice(-this.options.hotBlocks)]));
    this.exclusively(() => this.store.discardLeftovers(this.durableSize)).catch(() => {});
  }

  /** What the browser said when it found the former file damaged and deleted it; null when this is that file. */
  get loss() {
    return this.store.loss;
  }

  // ---- what SQLite calls

  /**
   * @param {Uint8Array} target
   * @param {number} start in the target
   * @param {number} length
   * @param {number} position in the file
   * @returns {number} bytes read, 0 at the file's end, -1 when a page is missing
   */
  read(target, start, length, position) {
    if (this.stale) return -1;
    const end = Math.min(position + length, this.size);
    for (let at = position; at < end; ) {
      const page = Math.floor(at / PAGE_SIZE);
      const bytes = this.cache.read(page);
      if (!bytes) {
        this.#missed.add(blockOfPage(page));
        this.counters.misses++;
        return -1;
      }
      const from = at % PAGE_SIZE;
      const to = Math.min(PAGE_SIZE, from + end - at);
      target.set(bytes.subarray(from, to), start + at - position);
      at += to - from;
    }
    return Math.max(0, end - position);
  }

  /**
   * @param {Uint8Array} source
   * @param {number} start in the source
   * @param {number} length whole pages: SQLite writes nothing else to a database file
   * @param {number} position in the file
   * @returns {number} bytes written, -1 when refused
   */
  write(source, start, length, position) {
    if (this.stale || position % PAGE_SIZE || length % PAGE_SIZE) return -1;
    for (let offset = 0; offset < length; offset += PAGE_SIZE) {
      const bytes = source.subarray(start + offset, start + offset + PAGE_SIZE);
      this.written.write((position + offset) / PAGE_SIZE, bytes);
    }
    this.size = Math.max(this.size, position + length);
    return length;
  }

  /** @param {number} size */
  truncate(size) {
    if (this.stale) return;
    if (size < this.size) {
      this.cutBytes += this.size - size;
      this.written.cutFrom(Math.ceil(size / PAGE_SIZE));
    }
    this.size = size;
  }

  // ---- pages on demand

  /** Whether a read failed, since the last `fault`, for want of a page. */
  get missed() {
    return this.#missed.size > 0;
  }

  /**
   * Load what failed reads wanted, and what probably comes next.
   *
   * @returns {Promise<boolean>} false when nothing was wanted
   */
  async fault() {
    const blocks = [...this.#missed].sort((a, b) => a - b);
    this.#missed.clear();
    if (!blocks.length) return false;
    await this.load(this.#readAhead.plan(blocks, blocksIn(this.size)));
    return true;
  }

  /** Evict nothing until `release`: a transaction that is repeated must end up with all its pages in memory. */
  hold() {
    this.#holds++;
  }

  release() {
    this.#holds--;
    this.evict();
  }

  /**
   * @param {import('./block_store.js').BlockRange[]} ranges
   */
  async load(ranges) {
    const { epoch } = this;
    const bases = await this.store.readBlocks(ranges);
    // IndexedDB's order of transactions already sees to it that no base is older than the log's patches in memory; were
    // it not so, the caller would find its pages still missing and ask again.
    if (epoch !== this.epoch) return;
    for (const [first, last] of ranges) {
      for (let block = first; block <= last; block++) this.#install(block, bases.get(block));
    }
    this.evict();
    if (++this.counters.loads % NOTE_HOT_EVERY === 0) this.store.noteHot(this.hotBlocks());
  }

  /**
   * @param {number} block
   * @param {Uint8Array | undefined} base
   */
  #install(block, base) {
    if (block >= blocksIn(this.size) || this.cache.isComplete(block)) return;
    this.cache.install(block, this.log.applyTo(block, base ?? new Uint8Array(BLOCK_SIZE)));
    this.counters.loadedBlocks++;
  }

  evict() {
    if (this.#holds || this.cache.bytes <= this.cache.capacity) return;
    this.counters.evictions += this.cache.evict(this.written.blocks().add(0));
  }

  hotBlocks() {
    return this.cache.mostRecent(this.options.hotBlocks);
  }

  // ---- durability

  /** Whether something was written that isn't durable yet. */
  get pending() {
    return this.#isDirty || this.#flushing !== null;
  }

  get #isDirty() {
    return this.written.dirtyCount > 0 || this.size !== this.#flushedSize;
  }

  /** Why SQLite must close the file and, after `reopen`, open it again; null when it needn't. */
  get stale() {
    return this.store.lost ?? this.#stale;
  }

  /**
   * Resolves once everything written so far is durable, or rejects, and then none of it has remained: with a
   * QuotaExceededError, a PageFileLost, or whatever IndexedDB says. Slows writers down that outrun the fold.
   */
  async commit() {
    await this.flush();
    if (this.#folding && this.log.bytes > SLOW_AT * this.options.logBytes) await this.#folding.catch(() => {});
  }

  /** @returns {Promise<void>} */
  flush() {
    if (this.stale) return Promise.reject(this.stale);
    if (!this.#isDirty) return this.#flushing ?? Promise.resolve();
    this.#nextFlush ??= this.exclusively(() => this.#writeLog());
    return this.#nextFlush;
  }

  /** Make the durable file readable again after `stale`, when SQLite has closed it. */
  async reopen() {
    await this.#lastWriting;
    if (this.store.lost) throw this.store.lost;
    this.#missed.clear();
    await this.load([[0, 0]]);
    this.#stale = null;
  }

  /** Flush and let go; the page file can't be used afterwards. */
  async close() {
    try {
      if (this.pending) await this.flush();
    } finally {
      await this.#lastWriting;
      this.store.close('It was closed.');
    }
  }

  /**
   * Run `work` when no other writing transaction is under way.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  exclusively(work) {
    const run = this.#lastWriting.then(work);
    this.#lastWriting = run.catch(() => {});
    return run;
  }

  async #writeLog() {
    try {
      if (this.stale) throw this.stale;
      await this.#checkRoom();
    } catch (cause) {
      this.#nextFlush = null;
      throw this.#rollBack(cause);
    }
    this.#flushing = this.#nextFlush;
    this.#nextFlush = null;
    this.#flushedSize = this.size;
    try {
      const records = encodeCommit(this.size, this.written.takeOff());
      const first = await this.store.append(records);
      this.#noteDurable(first, records);
    } catch (cause) {
      throw this.#rollBack(cause);
    } finally {
      this.#flushing = null;
    }
    this.evict();
    if (this.log.bytes > this.options.logBytes || this.cutBytes > WORTH_GIVING_BACK) this.fold().catch(() => {});
  }

  /** Refuse what the browser would refuse sooner or later; the file may always shrink and change. */
  async #checkRoom() {
    if (this.#foldFailed && this.log.bytes > REFUSE_AT * this.options.logBytes) throw quotaExceeded();
    const bytes = this.written.dirtyCount * PAGE_SIZE;
    if (this.#quota.hasRoomFor(bytes) || this.size <= this.durableSize) return;
    if (!(await this.#quota.findRoomFor(bytes))) throw quotaExceeded();
  }

  /**
   * @param {number} first number of the first record
   * @param {Uint8Array[]} records
   */
  #noteDurable(first, records) {
    records.forEach((record, index) => {
      this.durableSize = this.log.add(first + index, record);
      this.counters.flushedBytes += record.length;
      this.#quota.spend(record.length);
    });
    this.written.land();
    this.counters.flushes++;
  }

  /**
   * Go back to the durable file, in memory too. SQLite's own cache is stale from here on.
   *
   * @param {unknown} cause
   */
  #rollBack(cause) {
    this.size = this.#flushedSize = this.durableSize;
    this.written.rollBack(Math.ceil(this.size / PAGE_SIZE));
    this.#stale ??= asError(cause);
    return this.stale;
  }

  // ---- in the background

  /**
   * Fold the log into the blocks; done by itself when the log is long.
   *
   * @param {number} [blocksAtOnce] blocks of one transaction
   * @returns {Promise<void>} rejects when it failed; nothing is lost then, and the next one goes on
   */
  fold(blocksAtOnce = 16) {
    if (this.#folding) return this.#folding;
    if (this.exports.size && this.log.bytes <= REFUSE_AT * this.options.logBytes) return Promise.resolve();
    for (const lease of this.exports) lease.revoked = true;
    this.#folding = fold(this, blocksAtOnce)
      .then(
        () => {
          this.#foldFailed = false;
        },
        (cause) => {
          this.#foldFailed = true;
          throw asError(cause);
        },
      )
      .finally(() => {
        this.#folding = null;
      });
    return this.#folding;
  }

  /** Wait for a fold that is under way. */
  async settleFold() {
    await this.#folding?.catch(() => {});
  }

  /** Load blocks from the file's start until most of the cache is used: a small database is then wholly in memory. */
  async warm() {
    const step = this.options.batchBlocks;
    const blocks = Math.min(blocksIn(this.size), Math.floor((this.cache.capacity * 0.75) / BLOCK_SIZE));
    for (let block = 0; block < blocks && !this.stale; block += step) {
      await this.load([[block, Math.min(block + step, blocks) - 1]]);
    }
  }

  // ---- the whole file

  /**
   * The bytes of the file as they are durable now, in order; later commits don't change them.
   *
   * @returns {AsyncGenerator<Uint8Array, void, void>}
   */
  exportImage() {
    return exportImage(this);
  }

  /**
   * Replace the file by an SQLite database of ours, at once and durably. Killed on the way, it leaves the old file.
   * Afterwards this page file is lost: open it again, with everything that was built on it. Rejects with an
   * UnusableImage, and goes on, when the source isn't a whole database or, unless told otherwise, has a newer schema
   * than the file.
   *
   * @param {import('./image.js').ImageSource} source
   * @param {import('./sqlite_header.js').Expected} [expected]
   */
  importImage(source, expected = {}) {
    return importImage(this, source, { ...expectSuccessorOf(this.cache.peek(0)), ...expected });
  }

  /** Have the browser begin a new log file: what a crash left of the last record in the present one goes with it. */
  beginNewLogFile() {
    return this.store.beginNewLogFile();
  }

  /** How many bytes the browser says it can still store. */
  findRoom() {
    return this.#quota.findRoom();
  }

  /** What IndexedDB keeps for the file, in bytes: blocks and the log. */
  storedBytes() {
    return this.store.storedBytes();
  }

  /** Sizes in bytes and counters since it was opened. */
  figures() {
    return {
      size: this.size,
      durableSize: this.durableSize,
      cachedBytes: this.cache.bytes,
      logBytes: this.log.bytes,
      ...this.counters,
    };
  }
}
