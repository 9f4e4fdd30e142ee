// @ts-check
/**
 * What a page file keeps in IndexedDB, and the only module that speaks to it.
 *
 *     store "blocks"  generation and block number -> the block's base, BLOCK_SIZE bytes
 *     store "log"     number -> record (log_record.js): committed, and perhaps not folded into the blocks yet
 *     store "meta"    "base"    -> which generation of blocks counts, and the last record folded into it
 *                     "hot"     -> blocks that were in use last, a hint for the next opener
 *                     "ballast" -> never there: written and deleted in one transaction
 *                     "discard" -> generations of blocks that nobody needs: an import's that was killed, or the
 *                                  one that an import replaced
 *
 * Invariants
 * - One writing transaction is in flight at a time; the caller sees to it.
 * - Every writing transaction add()s the log number that follows the last one known here. An opener claims the number
 *   after the last as its *fence*, so that whatever an older opener (a zombie) writes afterwards collides with it and
 *   is aborted as a whole. Fences outlive the records around them.
 */

import { BLOCK_SIZE } from './geometry.js';
import { asError, completionOf, deleteDatabase, openDatabase, resultOf } from './indexed_db.js';
import { RecordKind, encodeMark, readHeader } from './log_record.js';

const STORES = ['blocks', 'log', 'meta'];
const BLOCKS_PER_GENERATION = 2 ** 32;
const FENCES_KEPT = 256;

/** More than Chromium writes to one log file, in values that it does not put into files of their own. */
const BALLAST = { values: 85, bytes: 60_000 };

/** @typedef {{ generation: number, size: number, sequence: number }} Base */
/** @typedef {[first: number, last: number]} BlockRange */
/** @typedef {{ records: Array<[number, Uint8Array]>, hot: number[] }} Contents the records that aren't folded yet */

/** Another opener owns the page file now, or it is gone: nothing can be read or written here any more. */
export class PageFileLost extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'PageFileLost';
  }
}

export class BlockStore {
  /** @type {IDBDatabase} */
  #database;

  /** @type {IDBTransactionDurability} */
  #durability;

  /** @type {Base} */
  base = { generation: 0, size: 0, sequence: 0 };

  /** The last log number known to be taken. */
  sequence = 0;

  /** Log numbers of fences, ascending. @type {number[]} */
  #fences = [];

  /** @type {PageFileLost | null} */
  lost = null;

  /**
   * @param {IDBDatabase} database
   * @param {IDBTransactionDurability} durability
   * @param {string | null} loss
   */
  constructor(database, durability, loss) {
    this.#database = database;
    this.#durability = durability;

    /** Why the browser deleted what was stored before; null when it did not. */
    this.loss = loss;
    database.onversionchange = () => this.close('The database is being deleted.');
    database.onclose = () => this.close('The browser closed the database.');
  }

  /**
   * @param {string} name
   * @param {IDBTransactionDurability} durability
   */
  static async open(name, durability) {
    const { database, loss } = await openDatabase(name, STORES);
    return new BlockStore(database, durability, loss);
  }

  /** @param {string} name */
  static destroy(name) {
    return deleteDatabase(name);
  }

  /** @param {string} reason */
  close(reason) {
    this.lost ??= new PageFileLost(reason);
    this.#database.close();
  }

  /**
   * Take the page file over from whoever had it, and read what isn't folded yet.
   *
   * When there isn't even room for the fence, the file can still be read, and will be written when there is room again;
   * if an older opener writes before that, the first thing written here collides.
   *
   * @returns {Promise<Contents>}
   */
  async claim() {
    try {
      return await this.#readContents(this.#write(STORES), true);
    } catch (cause) {
      if (asError(cause).name !== 'QuotaExceededError') throw cause;
      return this.#readContents(this.#database.transaction(STORES, 'readonly'), false);
    }
  }

  /**
   * @param {IDBTransaction} transaction
   * @param {boolean} withFence whether to claim the next log number in the same transaction
   * @returns {Promise<Contents>}
   */
  async #readContents(transaction, withFence) {
    const log = transaction.objectStore('log');
    const meta = transaction.objectStore('meta');
    const completion = completionOf(transaction);
    const [base, hot, numbers, records] = await Promise.all([
      resultOf(meta.get('base')),
      resultOf(meta.get('hot')),
      resultOf(log.getAllKeys()),
      resultOf(log.getAll()),
    ]);
    if (base) this.base = base;
    const numbered = numbers.map((number, index) => /** @type {[number, Uint8Array]} */ ([number, records[index]]));
    const unfolded = numbered.filter(([number]) => number > this.base.sequence);
    const [last, size] = unfolded.length
      ? [unfolded[unfolded.length - 1][0], readHeader(unfolded[unfolded.length - 1][1]).size]
      : [this.base.sequence, this.base.size];
    this.sequence = last;
    this.#fences = numbered.filter(([, record]) => readHeader(record).kind === RecordKind.FENCE).map(([number]) => number);
    if (withFence) {
      this.#fences.push(++this.sequence);
      log.add(encodeMark(size, RecordKind.FENCE), this.sequence);
    }
    await completion;
    return { records: unfolded, hot: [...(hot ?? [])] };
  }

  /**
   * Append a commit's records in one strict transaction.
   *
   * @param {Uint8Array[]} records
   * @returns {Promise<number>} the first one's number
   */
  async append(records) {
    const first = this.sequence + 1;
    await this.#writing(['log'], (transaction) => {
      const log = transaction.objectStore('log');
      records.forEach((record, index) => log.add(record, first + index));
      transaction.commit();
    });
    this.sequence += records.length;
    return first;
  }

  /**
   * Read bases; a block that was never folded has none and is missing from the answer.
   *
   * @param {BlockRange[]} ranges
   * @returns {Promise<Map<number, Uint8Array>>}
   */
  async readBlocks(ranges) {
    const store = this.#read('blocks').objectStore('blocks');
    /** @type {Map<number, Uint8Array>} */
    const blocks = new Map();
    const start = this.#keyOf(0);
    await Promise.all(
      ranges.map(async ([first, last]) => {
        const keys = IDBKeyRange.bound(this.#keyOf(first), this.#keyOf(last));
        const [found, values] = await Promise.all([resultOf(store.getAllKeys(keys)), resultOf(store.getAll(keys))]);
        found.forEach((key, index) => blocks.set(/** @type {number} */ (key) - start, values[index]));
      }),
    );
    return blocks;
  }

  /**
   * One step of the fold: new bases for some blocks.
   *
   * @param {number} size of the durable file
   * @param {number[]} blocks
   * @param {(block: number) => Uint8Array | null} known the new base, when memory has it
   * @param {(block: number, base: Uint8Array) => Uint8Array} update the new base, made from the old one
   */
  async foldBlocks(size, blocks, known, update) {
    await this.#step(['blocks'], size, (transaction) => {
      const store = transaction.objectStore('blocks');
      for (const block of blocks) {
        const key = this.#keyOf(block);
        const bytes = known(block);
        if (bytes) {
          store.put(bytes, key);
          continue;
        }
        const request = store.get(key);
        request.onsuccess = () => {
          try {
            store.put(update(block, request.result ?? new Uint8Array(BLOCK_SIZE)), key);
          } catch {
            transaction.abort();
          }
        };
      }
    });
  }

  /**
   * The last step of the fold: the blocks have all records up to `upTo`.
   *
   * @param {Base} base
   * @param {number} keepBlocks bases from this block on are deleted
   * @param {number[]} hot
   */
  async finishFold(base, keepBlocks, hot) {
    await this.#step(STORES, base.size, (transaction) => {
      const meta = transaction.objectStore('meta');
      meta.put(base, 'base');
      meta.put(Uint32Array.from(hot), 'hot');
      this.#deleteRecords(transaction.objectStore('log'), base.sequence);
      const beyond = IDBKeyRange.bound(this.#keyOf(keepBlocks), this.#keyOf(BLOCKS_PER_GENERATION), false, true);
      transaction.objectStore('blocks').delete(beyond);
    });
    this.base = base;
  }

  /** Bytes of all blocks and records, those included that nobody needs any more. */
  async storedBytes() {
    const blocks = await resultOf(this.#read('blocks').objectStore('blocks').count());
    /** @type {Uint8Array[]} */
    const records = await resultOf(this.#read('log').objectStore('log').getAll());
    return records.reduce((sum, record) => sum + record.length, blocks * BLOCK_SIZE);
  }

  /**
   * Remember which blocks are in use. It is only a hint, so nobody waits for it.
   *
   * @param {number[]} hot
   */
  noteHot(hot) {
    try {
      const transaction = this.#database.transaction('meta', 'readwrite', { durability: 'relaxed' });
      completionOf(transaction);
      transaction.objectStore('meta').put(Uint32Array.from(hot), 'hot');
    } catch {
      // lost, or out of space: the next opener does without
    }
  }

  /** Write, and delete again, so much that the browser begins a new log file of its own. */
  async beginNewLogFile() {
    const transaction = this.#database.transaction('meta', 'readwrite', { durability: 'relaxed' });
    const completion = completionOf(transaction);
    const meta = transaction.objectStore('meta');
    for (let value = 0; value < BALLAST.values; value++) meta.put(new Uint8Array(BALLAST.bytes), 'ballast');
    meta.delete('ballast');
    await completion;
  }

  /**
   * Write blocks of a generation that doesn't count yet.
   *
   * @param {number} size of the durable file
   * @param {number} generation
   * @param {number} firstBlock
   * @param {Uint8Array[]} blocks
   */
  async stageBlocks(size, generation, firstBlock, blocks) {
    await this.#step(['blocks', 'meta'], size, (transaction) => {
      transaction.objectStore('meta').put([generation], 'discard');
      const store = transaction.objectStore('blocks');
      blocks.forEach((block, index) => store.put(block, generation * BLOCKS_PER_GENERATION + firstBlock + index));
    });
  }

  /**
   * Make a staged generation the one that counts, in one transaction.
   *
   * @param {number} generation
   * @param {number} size
   */
  async adoptGeneration(generation, size) {
    const base = { generation, size, sequence: this.sequence + 1 };
    await this.#step(['log', 'meta'], size, (transaction) => {
      const meta = transaction.objectStore('meta');
      meta.put(base, 'base');
      meta.put([this.base.generation], 'discard');
      meta.delete('hot');
      this.#deleteRecords(transaction.objectStore('log'), base.sequence);
    });
    this.base = base;
  }

  /**
   * Delete what a killed or finished import left behind.
   *
   * @param {number} size of the durable file
   */
  async discardLeftovers(size) {
    const meta = this.#read('meta').objectStore('meta');
    /** @type {number[] | undefined} */
    const generations = await resultOf(meta.get('discard'));
    if (!generations) return;
    await this.#step(['blocks', 'meta'], size, (transaction) => {
      for (const generation of generations) {
        if (generation === this.base.generation) continue;
        const from = generation * BLOCKS_PER_GENERATION;
        transaction.objectStore('blocks').delete(IDBKeyRange.bound(from, from + BLOCKS_PER_GENERATION, false, true));
      }
      transaction.objectStore('meta').delete('discard');
    });
  }

  /** @param {number} block */
  #keyOf(block) {
    return this.base.generation * BLOCKS_PER_GENERATION + block;
  }

  /**
   * Delete the folded records, but not the fences among them.
   *
   * @param {IDBObjectStore} log
   * @param {number} upTo
   */
  #deleteRecords(log, upTo) {
    let from = this.base.sequence + 1;
    for (const fence of this.#fences) {
      if (fence > upTo) break;
      if (fence < from) continue;
      if (from < fence) log.delete(IDBKeyRange.bound(from, fence, false, true));
      from = fence + 1;
    }
    if (from <= upTo) log.delete(IDBKeyRange.bound(from, upTo));
    while (this.#fences.length > FENCES_KEPT && this.#fences[0] <= upTo) {
      log.delete(/** @type {number} */ (this.#fences.shift()));
    }
  }

  /**
   * A writing transaction that isn't a commit takes a log number too, so that it collides with a fence.
   *
   * @param {string[]} stores
   * @param {number} size
   * @param {(transaction: IDBTransaction) => void} fill
   */
  async #step(stores, size, fill) {
    await this.#writing([...new Set([...stores, 'log'])], (transaction) => {
      transaction.objectStore('log').add(encodeMark(size, RecordKind.STEP), this.sequence + 1);
      fill(transaction);
    });
    this.sequence += 1;
  }

  /**
   * @param {string[]} stores
   * @param {(transaction: IDBTransaction) => void} fill
   */
  async #writing(stores, fill) {
    this.#checkNotLost();
    try {
      const transaction = this.#write(stores);
      const completion = completionOf(transaction);
      try {
        fill(transaction);
      } catch (cause) {
        transaction.abort(); // or the half of it would be committed
        throw cause;
      }
      await completion;
    } catch (cause) {
      const error = asError(cause);
      if (error.name === 'ConstraintError') this.close('Another instance took over the database.');
      throw this.lost ?? error;
    }
  }

  /** @param {string} storeName */
  #read(storeName) {
    this.#checkNotLost();
    try {
      return this.#database.transaction(storeName, 'readonly');
    } catch (cause) {
      throw asError(cause); // the connection is being closed
    }
  }

  /** @param {string[]} stores */
  #write(stores) {
    return this.#database.transaction(stores, 'readwrite', { durability: this.#durability });
  }

  #checkNotLost() {
    if (this.lost) throw this.lost;
  }
}
