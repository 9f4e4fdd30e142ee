// @ts-check
/**
 * The memory snapshot: an interpreter's whole memory after it imported the homeserver, so that a waking worker need not.
 *
 * A new interpreter has most of its static data already, and more than half of the pages are zeros. So the file has only
 * the pages that are to be changed: their count, their numbers, and the pages of 4,096 bytes; all numbers are 32-bit
 * little-endian. What Pyodide wants to know before that, a hundred bytes, is the snapshot's *head*.
 * @module
 */
import nodeCrypto from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ZIP_PATHS } from './python_files.mjs';
import { ROOT, startPyodide } from './pyodide_in_node.mjs';

const PAGE = 4096;

/** @typedef {(settings: object) => Promise<any>} CreatePyodideModule */

/** The time in every snapshot. */
const BUILT_AT = Date.UTC(2026, 0, 1);

/**
 * @param {import('./python_files.mjs').Zips} zips
 * @param {string} pyodideModule  path of the file that the worker has as well (pyodide_module.mjs)
 * @returns {Promise<{ head: number[], file: Uint8Array }>}
 */
export async function buildSnapshot(zips, pyodideModule) {
  const { default: createPyodideModule } = await import(pathToFileURL(pyodideModule).href);
  const melt = freezeSurroundings();
  const snapshot = await takeSnapshot(zips, createPyodideModule).finally(melt);
  const [, offset] = new Uint32Array(snapshot.buffer, 0, 2); // after Pyodide's mark: where the memory begins
  const head = snapshot.slice(0, offset);
  const { memory, heapBase } = await startInterpreter(head, createPyodideModule);
  return { head: [...head], file: pack(snapshot.subarray(offset), memory, heapBase) };
}

/**
 * Stop the clocks and take away chance, so that equal sources in the same folder make equal snapshots: both are in the
 * memory, as times of files and as the allocator's cookies. Returns how to end that.
 */
function freezeSurroundings() {
  const clock = mock.method(Date, 'now', () => BUILT_AT);
  const stopwatch = mock.method(performance, 'now', () => 0);
  const fill = (/** @type {Uint8Array} */ target) => target.fill(7);
  const chance = mock.method(crypto, 'getRandomValues', fill);
  const chanceInNode = mock.method(nodeCrypto, 'randomFillSync', fill);
  return () => [clock, stopwatch, chance, chanceInNode].forEach(({ mock: replaced }) => replaced.restore());
}

/**
 * @param {import('./python_files.mjs').Zips} zips
 * @param {CreatePyodideModule} createPyodideModule
 * @returns {Promise<Uint8Array>} as Pyodide makes it: the head, then the memory
 */
async function takeSnapshot(zips, createPyodideModule) {
  const folder = mkdtempSync(join(tmpdir(), 'tabstead-'));
  const library = join(folder, 'python.zip');
  writeFileSync(library, zips.standardLibrary);
  const pyodide = await startPyodide({
    createPyodideModule,
    _makeSnapshot: true,
    _sysExecutable: '/usr/bin/python3',
    env: { HOME: '/home/pyodide', PYTHONHASHSEED: '0' },
    stdLibURL: library,
    fsInit: async (FS) => {
      FS.writeFile(ZIP_PATHS.packages, zips.packages);
      FS.writeFile(ZIP_PATHS.core, zips.core);
    },
  });
  rmSync(folder, { recursive: true });
  pyodide.runPython(readFileSync(`${ROOT}build_scripts/site/snapshot.py`, 'utf8'));
  pyodide.runPython(`load(${JSON.stringify([ZIP_PATHS.core, ZIP_PATHS.packages])}, ["tabstead_edge.side_modules", "tabstead_edge.bridge"])`);
  pyodide.runPython('del load; gc.collect()');
  return pyodide.makeMemorySnapshot();
}

/**
 * A new interpreter at the point where a worker restores its memory.
 * @param {Uint8Array} head
 * @param {CreatePyodideModule} createPyodideModule
 * @returns {Promise<{ memory: Uint8Array, heapBase: number }>}
 */
function startInterpreter(head, createPyodideModule) {
  return new Promise((resolve, reject) => {
    /** @param {object} settings */
    const start = async (settings) => {
      const module = await createPyodideModule(settings);
      resolve({ memory: module.HEAPU8.slice(), heapBase: module.___heap_base });
      return new Promise(() => {}); // it has served its purpose
    };
    startPyodide({ _loadSnapshot: head, createPyodideModule: start }).catch(reject);
  });
}

/**
 * The pages that make a new interpreter's memory the snapshot's. Of the heap that is every page that has something in it
 * before or afterwards: what lies there at the start depends on the environment.
 * @param {Uint8Array} snapshot  the memory
 * @param {Uint8Array} memory  a new interpreter's
 * @param {number} heapBase
 */
function pack(snapshot, memory, heapBase) {
  if (memory.length !== snapshot.length) throw new Error("The snapshot's memory has grown: a worker would have to grow its own");
  const zeros = new Uint8Array(PAGE);
  const isChanged = (/** @type {number} */ page) => {
    const [after, before] = [pageOf(snapshot, page), pageOf(memory, page)];
    const isHeap = (page + 1) * PAGE > heapBase;
    return isHeap ? !isEqual(after, zeros) || !isEqual(before, zeros) : !isEqual(after, before);
  };
  const changed = [...Array(memory.length / PAGE).keys()].filter(isChanged);
  const header = Buffer.from(Uint32Array.of(changed.length, ...changed).buffer);
  return Buffer.concat([header, ...changed.map((page) => pageOf(snapshot, page))]);
}

/** @param {Uint8Array} memory @param {number} page */
const pageOf = (memory, page) => memory.subarray(page * PAGE, (page + 1) * PAGE);

/** @param {Uint8Array} a @param {Uint8Array} b */
const isEqual = (a, b) => Buffer.compare(a, b) === 0;
