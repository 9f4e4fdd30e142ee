// @ts-check
/**
 * What this worker is the worker of: the built site's files and the scope they are served under.
 *
 * Two scopes on one origin are two homeservers, so whatever is kept by name in the browser carries the scope.
 * @module
 */
import { FILES, RUNTIME, VERSION } from 'virtual:site';

export { FILES, RUNTIME, VERSION };

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

/** The scope, a URL that ends with a slash. */
export const SCOPE = new URL('./', worker.registration.scope).href;

/** The scope's path: `/`, or `/some/folder/`. */
export const SCOPE_PATH = new URL(SCOPE).pathname;

/** @param {string} path  relative to the site's base */
export const urlOf = (path) => new URL(path, SCOPE).href;

/** The name of a lock, a database or a cache of this scope. @param {string} purpose */
export const scopedName = (purpose) => `tabstead ${SCOPE_PATH} ${purpose}`;
