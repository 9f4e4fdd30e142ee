// @ts-check
/**
 * The site's own files, kept in the Cache API so that it works offline.
 *
 * Every version of the site has a cache of its own. A new version takes over what it shares with the previous one
 * instead of fetching it again; the previous cache stays until the pages that were opened with it are gone.
 * @module
 */
import { FILES, RUNTIME, VERSION, scopedName, urlOf } from './site.js';

/** The one file that whoever serves the site may change without building it anew. */
export const CONFIGURATION = 'tabstead.json';

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

const PREFIX = scopedName('files ');
const CACHE_NAME = `${PREFIX}${VERSION}`;

/** Within an old version's cache: the ids of the pages that may still ask for its files. */
const READERS = urlOf('.readers');

const DOWNLOADS_AT_ONCE = 6;

/** @typedef {(stage: 'download' | 'unpack', loaded: number, total: number, file?: string) => void} Report */

/** The key of a file: its address, with its revision where the name carries no hash. @param {(typeof FILES)[number]} file */
const keyOf = (file) => urlOf(file.revision ? `${file.path}?${file.revision}` : file.path);

/** @type {Map<string, string>} */
const KEYS = new Map(FILES.map((file) => [urlOf(file.path), keyOf(file)]));
for (const file of FILES) {
  if (file.path.endsWith('index.html')) KEYS.set(urlOf(file.path.slice(0, -'index.html'.length) || './'), keyOf(file));
}

/**
 * Fetch every file, or take it over from an older version. All or nothing: the installation fails when a file does.
 * @param {Report} report
 */
export async function install(report) {
  const total = FILES.reduce((sum, file) => sum + file.bytes, 0);
  let loaded = 0;
  /** @param {number} bytes */
  const advance = (bytes) => report('download', (loaded += bytes), total);
  const cache = await caches.open(CACHE_NAME);
  const waiting = [...FILES].sort((a, b) => b.bytes - a.bytes);
  const download = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      await store(cache, file, advance);
      report('download', loaded, total, file.path);
    }
  };
  await Promise.all([keepConfiguration(), ...Array.from({ length: DOWNLOADS_AT_ONCE }, download)]);
  report('unpack', total, total);
}

/** Keep the configuration as it is now; without one the defaults hold. For the next start: it may be called any time. */
export async function keepConfiguration() {
  const response = await fetch(urlOf(CONFIGURATION), { cache: 'no-cache' });
  const text = response.ok ? await response.text() : '{}';
  checkJson(text); // an error page, or a slip in the file, is not kept
  await (await caches.open(CACHE_NAME)).put(urlOf(CONFIGURATION), new Response(text));
}

/** @param {string} text */
function checkJson(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`${CONFIGURATION} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * @param {Cache} cache
 * @param {(typeof FILES)[number]} file
 * @param {(bytes: number) => void} advance
 */
async function store(cache, file, advance) {
  const key = keyOf(file);
  const kept = await findKept(key);
  if (kept) {
    advance(file.bytes);
    return cache.put(key, kept);
  }
  // A name without a hash may be in the browser's HTTP cache with older contents.
  const response = await fetch(urlOf(file.path), { cache: file.revision ? 'reload' : 'default' });
  if (!response.ok || !response.body) throw new Error(`${file.path}: the site answered with ${response.status}`);
  let bytes = 0;
  /** @type {TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>} */
  const counter = new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.length;
      advance(chunk.length);
      controller.enqueue(/** @type {Uint8Array<ArrayBuffer>} */ (chunk));
    },
    flush() {
      if (bytes !== file.bytes) throw new Error(`${file.path} has ${bytes} bytes instead of ${file.bytes}`);
    },
  });
  let body = response.body.pipeThrough(counter);
  if (file.path === RUNTIME.snapshot) body = body.pipeThrough(new DecompressionStream('gzip'));
  const headers = { 'content-type': response.headers.get('content-type') ?? 'application/octet-stream' };
  await cache.put(key, new Response(body, { headers }));
}

/** @param {string} key */
async function findKept(key) {
  for (const name of await versions()) {
    const kept = await (await caches.open(name)).match(key);
    if (kept) return kept;
  }
}

/** The caches of this scope, this version's first. */
async function versions() {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX));
  return names.sort((a, b) => Number(b === CACHE_NAME) - Number(a === CACHE_NAME));
}

/**
 * The kept file of an address: this version's, else an older one's, for a page that was opened with that.
 * @param {string} url
 * @returns {Promise<Response | undefined>}
 */
export function find(url) {
  const { origin, pathname } = new URL(url);
  const address = origin + pathname;
  return findKept(KEYS.get(address) ?? address);
}

/** This version's cache. @type {Promise<Cache> | null} */
let ownCache = null;

/** A file of this version, kept or fetched. @param {string} path */
export async function read(path) {
  ownCache ??= caches.open(CACHE_NAME);
  const address = urlOf(path);
  const kept = await (await ownCache).match(KEYS.get(address) ?? address);
  if (kept) return kept;
  if (path === RUNTIME.snapshot) return unpack(await fetch(urlOf(path)));
  const response = await fetch(urlOf(path));
  if (!response.ok) throw new Error(`${path} is neither kept nor to be had: ${response.status}`);
  return response;
}

/** @param {Response} response */
function unpack(response) {
  if (!response.ok || !response.body) throw new Error(`${response.url}: the site answered with ${response.status}`);
  return new Response(response.body.pipeThrough(new DecompressionStream('gzip')));
}

/** Note who may still read the older versions; called when this version takes over. */
export async function noteReaders() {
  const pages = (await worker.clients.matchAll({ includeUncontrolled: true })).map((client) => client.id);
  for (const name of await versions()) {
    const cache = await caches.open(name);
    if (name !== CACHE_NAME && !(await cache.match(READERS))) await cache.put(READERS, Response.json(pages));
  }
  await removeUnread();
}

/** Remove the older versions whose pages are gone. */
export async function removeUnread() {
  const older = (await versions()).filter((name) => name !== CACHE_NAME);
  if (older.length === 0 || worker.registration.active?.state !== 'activated') return;
  const open = new Set((await worker.clients.matchAll({ includeUncontrolled: true })).map((client) => client.id));
  for (const name of older) {
    const readers = await (await caches.open(name)).match(READERS);
    /** @type {string[]} */
    const ids = readers ? await readers.json() : [];
    if (readers && !ids.some((id) => open.has(id))) await caches.delete(name);
  }
}
