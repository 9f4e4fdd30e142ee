// @ts-check
/**
 * Ways around what the browser or Pyodide does, each with the reason.
 * @module
 */
import { SCOPE } from './site.js';

const COOKIE = 'tabstead-browser-life';

/**
 * Do something once in each life of a Chromium.
 *
 * Chromium keeps IndexedDB in LevelDB, and a new life of the browser goes on with the log file of the life before. If that
 * was killed between the two writes that make a record, the records that follow come after half of one; and the life
 * after finds a checksum wrong and deletes all that the origin has stored. So a new log file must begin early in each
 * life. What tells one life from the next is a cookie for the session.
 * @param {() => Promise<void>} work
 */
export async function onceInBrowserLife(work) {
  const { cookieStore } = /** @type {any} */ (self);
  if (!cookieStore || !('dataLoss' in IDBVersionChangeEvent.prototype)) return; // not Chromium
  if (await cookieStore.get(COOKIE)) return;
  await work();
  await cookieStore.set({ name: COOKIE, value: '1', path: new URL(SCOPE).pathname, sameSite: 'strict' });
}

/**
 * Run `start` with a module that is being compiled already.
 *
 * Pyodide fetches and compiles its wasm only after the snapshot was read, and only through `instantiateStreaming`. While
 * `start` runs, that function instantiates the given module instead, so that both go in parallel and the file may come
 * from the Cache API.
 * @template T
 * @param {Promise<WebAssembly.Module>} compiled
 * @param {() => Promise<T>} start
 */
export async function withCompiledModule(compiled, start) {
  const original = WebAssembly.instantiateStreaming;
  WebAssembly.instantiateStreaming = async (_source, imports) => {
    const module = await compiled;
    return { module, instance: await WebAssembly.instantiate(module, imports) };
  };
  try {
    return await start();
  } finally {
    WebAssembly.instantiateStreaming = original;
  }
}
