// @ts-check
/**
 * Pyodide in Node, for the steps of the build that only Pyodide's own Python can do.
 * @module
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadPyodide } from 'pyodide';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The folder of the npm package. */
export const PYODIDE_FOLDER = `${ROOT}node_modules/pyodide/`;

/** Pyodide's lock without its packages: all of ours come from PyPI. */
export function emptyLock() {
  const lock = JSON.parse(readFileSync(`${PYODIDE_FOLDER}pyodide-lock.json`, 'utf8'));
  return { info: lock.info, packages: {} };
}

/**
 * @param {Parameters<typeof loadPyodide>[0]} [options]
 */
export function startPyodide(options) {
  return loadPyodide({
    indexURL: PYODIDE_FOLDER,
    lockFileContents: JSON.stringify(emptyLock()),
    packageBaseUrl: ROOT,
    ...options,
  });
}

/**
 * A file's bytes in a type that Pyodide knows; it doesn't know Node's Buffer.
 * @param {string} path
 */
export const readBytes = (path) => new Uint8Array(readFileSync(path));
