// @ts-check
/**
 * The Python of the site, as three zips of bytecode: the standard library, the packages, and our own sources. What a
 * server never needs stays out of them. Extension modules can't be loaded from a zip and are files of their own.
 * @module
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PYODIDE_FOLDER, ROOT, readBytes, startPyodide } from './pyodide_in_node.mjs';

/** @typedef {import('pyodide').PyodideAPI} Pyodide */
/** @typedef {{ standardLibrary: Uint8Array, packages: Uint8Array, core: Uint8Array }} Zips */

/** Where the zips lie in the interpreter's file system; the first is where Pyodide wants it. */
export const ZIP_PATHS = { standardLibrary: '/lib/python314.zip', packages: '/lib/packages.zip', core: '/lib/core.zip' };

/** Modules of the standard library for people at a terminal, for tests, for protocols of other servers. */
const UNNEEDED_MODULES = new Set(
  `_pyio _pyrepl bdb cProfile cmd doctest ensurepip ftplib getpass idlelib imaplib lib2to3 mailbox
  modulefinder multiprocessing netrc nturl2path optparse pdb pickletools poplib profile pstats pyclbr pydoc pydoc_data
  rlcompleter sched shelve smtplib socketserver statistics tabnanny this timeit trace tracemalloc turtle unittest venv
  wsgiref xmlrpc zipapp`.split(/\s+/),
);

/** Of `encodings`, what the Web and zip files use; the others are tables for old documents. */
const NEEDED_ENCODINGS = new Set(
  `__init__ aliases ascii base64_codec charmap cp1252 cp437 hex_codec idna iso8859_1 latin_1 punycode raw_unicode_escape
  undefined unicode_escape utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_8 utf_8_sig`.split(/\s+/),
);

/** @param {string} name  of a file in the standard library's zip */
function isNeeded(name) {
  const [top, second] = name.replace(/\.py$/, '').split('/');
  if (top === 'encodings') return NEEDED_ENCODINGS.has(second);
  return !UNNEEDED_MODULES.has(top) && !top.startsWith('_sysconfigdata');
}

/** PyNaCl needs cffi's extension module but not its Python, which builds bindings; nor the C parser behind that. */
const PACKAGES = ['canonicaljson', 'nacl', 'signedjson', 'unpaddedbase64'];

/**
 * @param {string} packages  the folder of the resolved wheels
 * @returns {Promise<{ zips: Zips, sideModules: Record<string, Uint8Array> }>}
 */
export async function buildPythonFiles(packages) {
  const pyodide = await startPyodide();
  pyodide.runPython(readFileSync(`${ROOT}build_scripts/site/precompile.py`, 'utf8'));
  const wheels = readdirSync(packages).filter((name) => name.endsWith('.whl')).sort();
  const wheelFiles = wheels.flatMap((name) => readZip(pyodide, readBytes(join(packages, name))));
  const library = readZip(pyodide, readBytes(`${PYODIDE_FOLDER}python_stdlib.zip`));
  const packageFiles = wheelFiles.filter(([name]) => name.endsWith('.py') && PACKAGES.includes(name.split(/[./]/)[0]));
  const zips = {
    standardLibrary: precompile(pyodide, library.filter(([name]) => isNeeded(name)), ZIP_PATHS.standardLibrary),
    packages: precompile(pyodide, packageFiles, ZIP_PATHS.packages),
    core: precompile(pyodide, coreFiles(), ZIP_PATHS.core),
  };
  return { zips, sideModules: Object.fromEntries(wheelFiles.filter(([name]) => name.endsWith('.so'))) };
}

/** The homeserver and its Python edge, with their data files. @returns {[string, Uint8Array][]} */
function coreFiles() {
  const roots = [`${ROOT}core`, `${ROOT}service_worker`];
  const packages = ['tabstead', 'tabstead_edge'];
  return packages.flatMap((name, index) =>
    readdirSync(join(roots[index], name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(py|sql|json)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !/\/tabstead\/(native\/|__main__\.py$)/.test(path))
      .map((path) => /** @type {[string, Uint8Array]} */ ([path.slice(roots[index].length + 1), readBytes(path)])),
  );
}

/**
 * @param {Pyodide} pyodide
 * @param {Uint8Array} data
 * @returns {[string, Uint8Array][]}
 */
function readZip(pyodide, data) {
  const files = pyodide.globals.get('read_zip')(data);
  return files.toJs();
}

/**
 * @param {Pyodide} pyodide
 * @param {[string, Uint8Array][]} files
 * @param {string} location
 * @returns {Uint8Array}
 */
function precompile(pyodide, files, location) {
  return pyodide.globals.get('precompile')(files, location).toJs();
}
