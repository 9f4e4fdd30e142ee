// @ts-check
/** The database in Pyodide, on the page store: see paged_database.py. */

import { test } from 'node:test';

import { startPython } from './helpers/pyodide.mjs';

const python = await startPython();
const promises = python.pyimport('paged_database');

for (const name of promises.names()) {
  test(name.replaceAll('_', ' '), () => promises.keep(name));
}
