// @ts-check
/**
 * Starts Python from its memory snapshot, with our zips where the snapshot remembers them.
 * @module
 */
import createPyodideModule from 'pyodide/pyodide.asm.mjs';
import { loadPyodide } from 'pyodide';
import { RUNTIME, urlOf } from './site.js';
import { read } from './static_files.js';
import { withCompiledModule } from './quirks.js';
import { Watchdog } from './watchdog.js';

/** @typedef {import('pyodide').PyodideAPI} Pyodide */

const PAGE = 4096;

/** Where the snapshot's zips lie; the build has the same paths (build_scripts/site/python_files.mjs). */
const LIBRARY_PATHS = {
  '/lib/python314.zip': RUNTIME.standardLibrary,
  '/lib/packages.zip': RUNTIME.packages,
  '/lib/core.zip': RUNTIME.core,
};

/** Pyodide asks for files that the snapshot already has: it gets empty ones, without a request. */
const NOWHERE = 'data:application/octet-stream,';
const EMPTY_ZIP = 'data:application/zip;base64,UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==';

/**
 * Start an interpreter.
 * @param {(error: unknown) => void} onFatal  called when the interpreter died; it can't be used any more
 * @returns {Promise<Pyodide>}
 */
export async function startInterpreter(onFatal) {
  const compiled = compile();
  const contents = readBytes(RUNTIME.snapshot);
  const libraries = Promise.all(Object.entries({ ...LIBRARY_PATHS, ...RUNTIME.sideModules }).map(readLibrary));
  for (const promise of [contents, libraries]) promise.catch(() => {}); // awaited below; they may fail before that
  const pyodide = await withCompiledModule(compiled, () =>
    loadPyodide({
      createPyodideModule: async (/** @type {any} */ settings) => {
        const module = await createPyodideModule(settings);
        restoreMemory(module.HEAPU8, await contents);
        return module;
      },
      indexURL: NOWHERE,
      stdLibURL: EMPTY_ZIP,
      lockFileContents: readLock(),
      packageBaseUrl: urlOf('assets/'),
      env: { HOME: '/home/pyodide' },
      _loadSnapshot: Uint8Array.from(RUNTIME.snapshotHead),
    }),
  );
  for (const [path, bytes] of await libraries) {
    pyodide.FS.mkdirTree(path.slice(0, path.lastIndexOf('/')));
    pyodide.FS.writeFile(path, bytes, { canOwn: true });
  }
  Object.assign(/** @type {any} */ (pyodide)._api, { on_fatal: onFatal });
  pyodide.setInterruptBuffer(/** @type {any} */ (new Watchdog()));
  return pyodide;
}

/** The packages that a developer may load. */
async function readLock() {
  return (await read(RUNTIME.lock)).text();
}

/** From the HTTP cache where possible: only there the browser keeps the compiled code. */
async function compile() {
  try {
    return await WebAssembly.compileStreaming(fetch(urlOf(RUNTIME.wasm)));
  } catch {
    return WebAssembly.compileStreaming(read(RUNTIME.wasm));
  }
}

/**
 * @param {[string, string]} entry
 * @returns {Promise<[string, Uint8Array]>}
 */
async function readLibrary([path, file]) {
  return [path, new Uint8Array(await readBytes(file))];
}

/** @param {string} file */
async function readBytes(file) {
  return (await read(file)).arrayBuffer();
}

/**
 * Make a new interpreter's memory that of the snapshot: its file has the pages that differ (build_scripts/site/snapshot.mjs).
 * @param {Uint8Array} memory
 * @param {ArrayBuffer} file
 */
function restoreMemory(memory, file) {
  const [count] = new Uint32Array(file, 0, 1);
  const pages = new Uint32Array(file, 4, count);
  const contents = 4 + 4 * count;
  for (let first = 0; first < count; ) {
    let next = first + 1;
    while (next < count && pages[next] === pages[next - 1] + 1) next++;
    memory.set(new Uint8Array(file, contents + first * PAGE, (next - first) * PAGE), pages[first] * PAGE);
    first = next;
  }
}
