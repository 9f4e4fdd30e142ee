// @ts-check
/**
 * How many events per second can be parsed, checked and authorised: in CPython, and in Pyodide with the wheels of the site.
 * Both run `event_throughput.py`, one after the other.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { resolvePackages } from '../site/packages.mjs';
import { ROOT, startPyodide } from '../site/pyodide_in_node.mjs';
import { printTable, rounded, say } from './report.mjs';

/** @typedef {{ python: string, events: number, perSecond: Record<string, number> }} Throughput */

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '2' } } });
const seconds = Number(values.seconds);
const python = `${ROOT}.venv/bin/python`;
const measures = join(ROOT, 'build_scripts/measures');

/** @returns {Throughput} */
function measureCPython() {
  return JSON.parse(execFileSync(python, [join(measures, 'event_throughput.py'), String(seconds)], { encoding: 'utf8' }));
}

/** @returns {Promise<Throughput>} */
async function measurePyodide() {
  const wheels = execFileSync(python, [join(ROOT, 'build_scripts/build_wasm_wheels.py')], { encoding: 'utf8' }).trim();
  const packages = await resolvePackages(wheels);
  const lock = readFileSync(join(packages, 'pyodide-lock.json'), 'utf8');
  const pyodide = await startPyodide({ lockFileContents: lock, packageBaseUrl: packages });
  await pyodide.loadPackage(['canonicaljson', 'pynacl', 'signedjson', 'unpaddedbase64'], { messageCallback: () => {} });
  for (const [folder, root] of Object.entries({ '/core': join(ROOT, 'core'), '/measures': measures })) {
    pyodide.FS.mkdirTree(folder);
    pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root }, folder);
  }
  pyodide.runPython('import sys; sys.dont_write_bytecode = True; sys.path[:0] = ["/core", "/measures"]');
  return JSON.parse(pyodide.runPython(`import event_throughput; event_throughput.measure(${seconds})`));
}

say('CPython');
const native = measureCPython();
say('Pyodide');
const browser = await measurePyodide();

const results = Object.keys(native.perSecond).map((step) => ({
  'events per second': step,
  [`CPython ${native.python}`]: native.perSecond[step],
  [`Pyodide ${browser.python}`]: browser.perSecond[step],
  'times slower': rounded(native.perSecond[step] / browser.perSecond[step], 1),
}));
printTable(results);
console.log(JSON.stringify({ measure: 'events', seconds, events: native.events, results }));
