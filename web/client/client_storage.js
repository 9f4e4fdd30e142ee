// @ts-check
/**
 * What the people's clients keep in this browser: local storage under the person's name, and one IndexedDB database per
 * session, in which their end-to-end keys are. `dump` and `restore` carry all of it in a value of plain JSON, so that a
 * copy of the server can still be read by the people in it.
 */

import { SITE_PATH } from '../page/people_store.js';

/**
 * @typedef {object} ClientDump
 * @property {string} origin where it was made
 * @property {Record<string, string>} localStorage
 * @property {DatabaseDump[]} databases
 */

/**
 * @typedef {object} DatabaseDump
 * @property {string} name
 * @property {number} version
 * @property {StoreDump[]} stores
 */

/**
 * @typedef {object} StoreDump
 * @property {string} name
 * @property {string | string[] | null} keyPath
 * @property {boolean} autoIncrement
 * @property {{name: string, keyPath: string | string[], unique: boolean, multiEntry: boolean}[]} indexes
 * @property {{key: any, value: any}[]} records
 */

/**
 * A key of the local storage that is one person's.
 * @param {string} name the person's
 * @param {string} what
 */
export const clientKey = (name, what) => `tabstead ${SITE_PATH} client ${name} ${what}`;

const PREFIX = `tabstead ${SITE_PATH} client `;
const SESSION_DATABASE = 'hydrogen_session_';

/**
 * The ids of all sessions that the people's clients have here.
 * @returns {string[]}
 */
function sessionIds() {
  const keys = Object.keys({ ...localStorage }).filter((key) => key.startsWith(PREFIX) && key.endsWith(' sessions'));
  return keys.flatMap((key) => JSON.parse(localStorage.getItem(key) ?? '[]').map((/** @type {any} */ session) => session.id));
}

/** The keys of the local storage that belong to the clients. */
function ownKeys() {
  const sessions = sessionIds().map((id) => `${SESSION_DATABASE}${id}.`);
  return Object.keys({ ...localStorage }).filter(
    (key) => key.startsWith(PREFIX) || sessions.some((prefix) => key.startsWith(prefix)),
  );
}

/** Stands for this site in the keys of a dump, so that a copy moves between sites. */
const SITE_MARK = '{site} ';

/** @param {string} key */
const portableKey = (key) => (key.startsWith(PREFIX) ? SITE_MARK + key.slice(PREFIX.length) : key);

/** @param {string} key */
const ownKey = (key) => (key.startsWith(SITE_MARK) ? PREFIX + key.slice(SITE_MARK.length) : key);

/** Delete it all. No client may be open. */
export async function forgetClients() {
  const databases = sessionIds().map((id) => SESSION_DATABASE + id);
  const keys = ownKeys();
  await Promise.all(databases.map((name) => done(indexedDB.deleteDatabase(name))));
  for (const key of keys) localStorage.removeItem(key);
}

/** @returns {Promise<ClientDump>} No client may be open. */
export async function dumpClients() {
  const values = Object.fromEntries(ownKeys().map((key) => [portableKey(key), localStorage.getItem(key) ?? '']));
  const databases = [];
  for (const id of sessionIds()) databases.push(await dumpDatabase(SESSION_DATABASE + id));
  return { origin: location.origin, localStorage: values, databases };
}

/**
 * Put a dump in the place of what is there. No client may be open.
 * @param {ClientDump} dump
 */
export async function restoreClients(dump) {
  await forgetClients();
  const renamed = renameSessions(dump);
  for (const database of dump.databases) await restoreDatabase({ ...database, name: renamed(database.name) });
  for (const [key, value] of Object.entries(dump.localStorage)) {
    const here = value.replaceAll(JSON.stringify(dump.origin), JSON.stringify(location.origin));
    localStorage.setItem(ownKey(renamed(key)), renamed(here));
  }
}

/**
 * Other names for a dump's sessions: the site that it was made of may be on this origin too, and goes on under its own.
 * @param {ClientDump} dump
 * @returns {(text: string) => string}
 */
function renameSessions({ databases }) {
  const ids = databases.map(({ name }) => name.slice(SESSION_DATABASE.length));
  const others = ids.map(() => crypto.getRandomValues(new Uint32Array(2)).join(''));
  return (text) => ids.reduce((renamed, id, at) => renamed.replaceAll(id, others[at]), text);
}

/**
 * @param {string} name
 * @returns {Promise<DatabaseDump>}
 */
async function dumpDatabase(name) {
  const database = await done(indexedDB.open(name));
  try {
    const names = [...database.objectStoreNames];
    const transaction = database.transaction(names, 'readonly');
    const stores = await Promise.all(names.map((store) => dumpStore(transaction.objectStore(store))));
    return { name, version: database.version, stores };
  } finally {
    database.close();
  }
}

/**
 * @param {IDBObjectStore} store
 * @returns {Promise<StoreDump>}
 */
async function dumpStore(store) {
  const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
  const indexes = [...store.indexNames].map((name) => {
    const { keyPath, unique, multiEntry } = store.index(name);
    return { name, keyPath, unique, multiEntry };
  });
  const records = keys.map((key, at) => ({ key: encode(key), value: encode(values[at]) }));
  return { name: store.name, keyPath: store.keyPath, autoIncrement: store.autoIncrement, indexes, records };
}

/** @param {DatabaseDump} dump */
async function restoreDatabase(dump) {
  await done(indexedDB.deleteDatabase(dump.name));
  const opening = indexedDB.open(dump.name, dump.version);
  opening.onupgradeneeded = () => dump.stores.forEach((store) => createStore(opening.result, store));
  const database = await done(opening);
  try {
    const transaction = database.transaction(dump.stores.map((store) => store.name), 'readwrite');
    const finished = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error ?? new Error('The copy could not be restored.'));
    });
    for (const { name, keyPath, records } of dump.stores) {
      const store = transaction.objectStore(name);
      for (const { key, value } of records) store.put(decode(value), keyPath === null ? decode(key) : undefined);
    }
    await finished;
  } finally {
    database.close();
  }
}

/**
 * @param {IDBDatabase} database
 * @param {StoreDump} dump
 */
function createStore(database, { name, keyPath, autoIncrement, indexes }) {
  const store = database.createObjectStore(name, { keyPath, autoIncrement });
  for (const index of indexes) {
    store.createIndex(index.name, index.keyPath, { unique: index.unique, multiEntry: index.multiEntry });
  }
}

/**
 * IndexedDB's values as JSON: bytes and undefined, which JSON has no word for, become `{"$bytes": …}` and
 * `{"$undefined": true}`.
 * @param {any} value
 * @returns {any}
 */
function encode(value) {
  if (value === undefined) return { $undefined: true };
  if (value instanceof ArrayBuffer) return { $bytes: toBase64(new Uint8Array(value)), of: 'ArrayBuffer' };
  if (value instanceof Uint8Array) return { $bytes: toBase64(value), of: 'Uint8Array' };
  if (Array.isArray(value)) return value.map(encode);
  if (value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, encode(inner)]));
  }
  if (value === null || typeof value !== 'object') return value;
  throw new TypeError(`A client keeps a ${value.constructor.name}, which a copy cannot hold.`);
}

/**
 * @param {any} value
 * @returns {any}
 */
function decode(value) {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(decode);
  if (value.$undefined) return undefined;
  if (typeof value.$bytes === 'string') {
    const bytes = Uint8Array.from(atob(value.$bytes), (character) => character.charCodeAt(0));
    return value.of === 'ArrayBuffer' ? bytes.buffer : bytes;
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, decode(inner)]));
}

/** @param {Uint8Array} bytes */
function toBase64(bytes) {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed.'));
  });
}
