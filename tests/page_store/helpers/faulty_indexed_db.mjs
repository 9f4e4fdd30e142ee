// @ts-check
/**
 * fake-indexeddb as the global IndexedDB, with the accidents that a real one has: transactions that fail, and the death
 * of the worker in the middle of one.
 */

import 'fake-indexeddb/auto';

/** @type {Set<IDBDatabase>} */
const alive = new Set();

/** @type {Map<IDBDatabase, Set<IDBTransaction>>} */
const unfinished = new Map();

/** @typedef {'throw' | 'quota' | 'abort' | 'late' | 'late-quota'} Accident */

/** @type {(storeName: string) => Accident | null} */
let chooseAccident = () => null;

/**
 * What a browser does when the disk is full.
 *
 * @param {any} transaction fake-indexeddb's own method takes the name of an error
 * @param {string} name
 */
const abortWith = (transaction, name) => transaction._abort(name);

/** @param {string} name */
const named = (name) => new DOMException(`injected ${name}`, name);

/** Writing transactions that the living may still complete. */
let transactionsLeft = Infinity;

/** Nobody who was alive when `killEverybody` was called does anything any more. */
let dead = false;

/** Bytes of the values written since `watchWrites`. @type {number[]} */
let writtenSizes = [];

const { transaction } = IDBDatabase.prototype;
IDBDatabase.prototype.transaction = function (...parameters) {
  if (unfinished.has(this) && !alive.has(this)) throw named('InvalidStateError');
  const opened = transaction.apply(this, parameters);
  alive.add(this);
  const ofThis = unfinished.get(this) ?? new Set();
  unfinished.set(this, ofThis.add(opened));
  for (const end of ['complete', 'abort']) opened.addEventListener(end, () => ofThis.delete(opened));
  if (opened.mode === 'readwrite') opened.addEventListener('complete', () => --transactionsLeft || killEverybody());
  return opened;
};

// It only hastens the end; without it a transaction can still be aborted late, as a browser does when the disk is full.
IDBTransaction.prototype.commit = () => {};

for (const method of /** @type {const} */ (['add', 'put'])) {
  const original = IDBObjectStore.prototype[method];
  IDBObjectStore.prototype[method] = function (value, key) {
    const accident = chooseAccident(this.name);
    if (accident === 'throw') throw named('UnknownError');
    if (accident === 'quota') throw named('QuotaExceededError');
    writtenSizes.push(value.byteLength ?? 0);
    const request = original.call(this, value, key);
    if (accident === 'abort') this.transaction.abort();
    if (accident === 'late') request.addEventListener('success', () => this.transaction.abort());
    if (accident === 'late-quota') request.addEventListener('success', () => abortWith(this.transaction, 'QuotaExceededError'));
    return request;
  };
}

/** @param {(storeName: string) => Accident | null} choose asked at every value that is written */
export function injectAccidents(choose) {
  chooseAccident = choose;
}

/** @returns {number[]} grows with the size in bytes of every value that is written from now on */
export function watchWrites() {
  writtenSizes = [];
  return writtenSizes;
}

/**
 * Begin a life that ends by itself with the completion of a writing transaction, before anybody hears of it.
 *
 * @param {number} transactions
 */
export function liveFor(transactions) {
  transactionsLeft = transactions;
  dead = false;
}

export const isDead = () => dead;

/** The workers that have a connection die: what they had begun never happens, and they do nothing more. */
export function killEverybody() {
  for (const database of alive) {
    for (const opened of unfinished.get(database) ?? []) {
      try {
        opened.abort();
      } catch {
        // it is being completed: the death came too late for it
      }
    }
  }
  alive.clear();
  dead = true;
}
