// @ts-check
/**
 * The memory snapshot: an interpreter's whole memory after it imported the homeserver, so that a waking worker need not.
 *
 * Its file is sparse, since more than half of the pages are zeros: two numbers (bytes in all, pages that follow), the
 * numbers of these pages, and the pages of 4,096 bytes; all numbers are 32-bit little-endian.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ZIP_PATHS } from './python_files.mjs';
import { ROOT, startPyodide } from './pyodide_in_node.mjs';

const PAGE = 4096;

/**
 * @param {import('./python_files.mjs').Zips} zips
 * @returns {Promise<Uint8Array>} the sparse file
 */
export async function buildSnapshot(zips) {
  const folder = mkdtempSync(join(tmpdir(), 'tabstead-'));
  const library = join(folder, 'python.zip');
  writeFileSync(library, zips.standardLibrary);
  const pyodide = await startPyodide({
    _makeSnapshot: true,
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
  return packSparse(pyodide.makeMemorySnapshot());
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
