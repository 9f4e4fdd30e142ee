// @ts-check
/**
 * IndexedDB as promises that reject with real `Error`s only: a DOMException as a rejection's value leaves the Python
 * task that awaits it hanging for ever.
 */

/** Chromium says no more of it than the name. */
const NO_ROOM = 'This browser gives the server no more storage.';

/**
 * @param {unknown} cause
 * @returns {Error} an Error with the cause's name
 */
export function asError(cause) {
  if (cause instanceof Error && !isDOMException(cause)) return cause;
  const { name, message } = /** @type {{ name?: string, message?: string }} */ (cause ?? {});
  const error = new Error(name === 'QuotaExceededError' ? NO_ROOM : message || 'The IndexedDB transaction was aborted.');
  error.name = name || 'AbortError';
  return error;
}

/** @param {Error} error */
const isDOMException = (error) => typeof DOMException !== 'undefined' && error instanceof DOMException;

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
export function resultOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(asError(request.error));
  });
}

/**
 * Resolves when the transaction is complete: durable, if it asked for that.
 *
 * @param {IDBTransaction} transaction
 * @returns {Promise<void>}
 */
export function completionOf(transaction) {
  const completion = new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(undefined);
    transaction.onabort = () => reject(asError(transaction.error));
  });
  completion.catch(() => {}); // whoever awaits it hears of it; a failing request may be heard of first
  return completion;
}

/**
 * @param {string} name
 * @param {string[]} storeNames created in a new database
 * @returns {Promise<{ database: IDBDatabase, loss: string | null }>} `loss`: what the browser says when the database is
 *   new because it found the former one damaged and deleted it; Chromium alone says so
 */
export function openDatabase(name, storeNames) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    /** @type {string | null} */
    let loss = null;
    request.onupgradeneeded = (event) => {
      const { dataLoss, dataLossMessage } = /** @type {{ dataLoss?: string, dataLossMessage?: string }} */ (event);
      if (dataLoss === 'total') loss = dataLossMessage || 'It does not say why.';
      for (const storeName of storeNames) request.result.createObjectStore(storeName);
    };
    request.onsuccess = () => resolve({ database: request.result, loss });
    request.onerror = () => reject(asError(request.error));
    request.onblocked = () => reject(new Error(`Another version of the IndexedDB database ${name} is open.`));
  });
}

/**
 * @param {string} name
 * @returns {Promise<void>}
 */
export function deleteDatabase(name) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(asError(request.error));
  });
}
