// @ts-check
/**
 * Pyodide in Node, with the core and what it depends on, the edge and the tests' Python on its path, and page files to be
 * opened from Python.
 */

import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { loadPyodide } from 'pyodide';

import { PageFile, mount } from '../../../service_worker/page_store/index.js';
import { injectAccidents } from './faulty_indexed_db.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** In this order; of the environment's packages, only those in pure Python can be imported. */
const SOURCES = ['core', 'service_worker', 'tests/storage', 'tests/page_store', ...globSync('.venv/lib/*/site-packages', { cwd: ROOT })];

export async function startPython() {
  const python = await loadPyodide();
  for (const source of SOURCES) {
    const folder = `/sources/${source}`;
    python.FS.mkdirTree(folder);
    python.FS.mount(python.FS.filesystems.NODEFS, { root: ROOT + source }, folder);
  }
  python.runPython(`import sys; sys.dont_write_bytecode = True; sys.path += ${JSON.stringify(SOURCES.map((source) => `/sources/${source}`))}`);
  python.registerJsModule('page_files', {
    /**
     * @param {string} name
     * @param {string} path
     * @param {number} cacheBytes
     */
    async open(name, path, cacheBytes) {
      const file = await PageFile.open(name, { cacheBytes, logBytes: 1 << 18, maxReadAhead: 8, hotBlocks: 1 });
      if (python.FS.analyzePath(path).exists) python.FS.unlink(path);
      mount(python.FS, path, file);
      return file;
    },

    /** @param {boolean} full whether IndexedDB refuses to store anything more */
    setFull(full) {
      injectAccidents(() => (full ? 'late-quota' : null));
    },
  });
  return python;
}
