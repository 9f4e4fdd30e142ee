// @ts-check
/**
 * The memory snapshot: an interpreter's whole memory after it imported the homeserver, so that a waking worker need not.
 *
 * Its file is sparse, since more than half of the pages are zeros: two numbers (bytes in all, pages that follow), the
 * numbers of these pages, and the pages of 4,096 bytes; all numbers are 32-bit little-endian.
 * @module
 */
import nodeCrypto from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock } from 'node:test';
import { ZIP_PATHS } from './python_files.mjs';
import { ROOT, startPyodide } from './pyodide_in_node.mjs';

const PAGE = 4096;

/** The time in every snapshot. */
const BUILT_AT = Date.UTC(2026, 0, 1);

/**
 * @param {import('./python_files.mjs').Zips} zips
 * @returns {Promise<Uint8Array>} the sparse file
 */
export async function buildSnapshot(zips) {
  const melt = freezeSurroundings();
  try {
    return packSparse(await takeSnapshot(zips));
  } finally {
    melt();
  }
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

/** @param {import('./python_files.mjs').Zips} zips */
async function takeSnapshot(zips) {
  const folder = mkdtempSync(join(tmpdir(), 'tabstead-'));
  const library = join(folder, 'python.zip');
  writeFileSync(library, zips.standardLibrary);
  const pyodide = await startPyodide({
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

/** @param {Uint8Array} memory */
function packSparse(memory) {
  const count = Math.ceil(memory.length / PAGE);
  const pages = Array.from({ length: count }, (_, page) => memory.subarray(page * PAGE, (page + 1) * PAGE));
  const used = [...pages.keys()].filter((page) => pages[page].some((byte) => byte !== 0));
  const last = Buffer.alloc(used.at(-1) === count - 1 ? count * PAGE - memory.length : 0); // the file ends with a whole page
  const header = Buffer.from(Uint32Array.of(memory.length, used.length, ...used).buffer);
  return Buffer.concat([header, ...used.map((page) => pages[page]), last]);
}
