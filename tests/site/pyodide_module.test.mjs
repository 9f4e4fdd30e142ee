// @ts-check
/**
 * Pyodide's JavaScript as the site has it (build_scripts/site/pyodide_module.mjs) does whatever links and calls need: what
 * was put off is done when somebody asks.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, after, suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { PYODIDE_FOLDER, startPyodide } from '../../build_scripts/site/pyodide_in_node.mjs';
import { buildPyodideModule } from '../../build_scripts/site/pyodide_module.mjs';
import { DIST } from '../helpers/browser.mjs';

const ASSETS = join(DIST, 'assets/');

suite("Pyodide's JavaScript", () => {
  /** @type {import('pyodide').PyodideAPI} */
  let pyodide;

  const folder = mkdtempSync(join(tmpdir(), 'tabstead-'));
  after(() => rmSync(folder, { recursive: true }));

  before(async () => {
    const file = join(folder, 'pyodide.mjs');
    writeFileSync(file, buildPyodideModule());
    const { default: createPyodideModule } = await import(pathToFileURL(file).href);
    const lock = readdirSync(ASSETS).find((name) => name.startsWith('pyodide-lock'));
    const lockFileContents = readFileSync(join(ASSETS, String(lock)), 'utf8');
    pyodide = await startPyodide({ createPyodideModule, lockFileContents, packageBaseUrl: ASSETS });
  });

  test('links extension modules to the symbols they ask for', async () => {
    await pyodide.loadPackage(['cffi', 'pynacl'], { messageCallback: () => {} });
    const code = `
from nacl.signing import SigningKey
key = SigningKey(bytes(32))
key.verify_key.verify(key.sign(b"news")).decode()`;
    assert.equal(pyodide.runPython(code), 'news');
  });

  test('finds the address of an exported function, always the same', () => {
    const code = `
import ctypes
def address(): return ctypes.cast(ctypes.PyDLL(None).PyUnicode_FromString, ctypes.c_void_p).value
address() == address() > 0 and ctypes.pythonapi.PyLong_AsLong(ctypes.py_object(7))`;
    assert.equal(pyodide.runPython(code), 7);
  });

  test('lets C call a function of Python', () => {
    const code = `
import ctypes
values = (ctypes.c_int * 3)(3, 1, 2)
order = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
ctypes.CDLL(None).qsort(values, 3, ctypes.sizeof(ctypes.c_int), order(lambda a, b: a[0] - b[0]))
list(values)`;
    assert.deepEqual(pyodide.runPython(code).toJs(), [1, 2, 3]);
  });

  test('gives exports to who asks the module for them by name', () => {
    const module = /** @type {any} */ (pyodide)._module;
    assert.equal(typeof module._PyDict_Size, 'function');
    assert.equal(typeof module.__PyRuntime, 'number');
    assert.equal(module._nothing_of_that_name, undefined);
  });

  test('is not made from another version of Pyodide', () => {
    const original = readFileSync(`${PYODIDE_FOLDER}pyodide.asm.mjs`, 'utf8');
    assert.throws(() => buildPyodideModule(original.replace('updateGOT(origExports)', 'updateGOT(exports)')), /has changed/);
    assert.throws(() => buildPyodideModule(original.replace('function assignWasmExports(', 'function assign(')), /has changed/);
  });
});
