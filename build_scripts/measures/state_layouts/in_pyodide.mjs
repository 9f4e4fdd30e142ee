// @ts-check
/** Measures one layout on one workload in Pyodide:  in_pyodide.mjs LAYOUT WORKLOAD SCALE  prints a line of JSON. @module */
import { readdirSync } from 'node:fs';
import { ROOT, startPyodide } from '../../site/pyodide_in_node.mjs';

const [layout, workload, scale] = process.argv.slice(2);
const [version] = readdirSync(`${ROOT}.venv/lib`);

/** The folders on Python's path; of the environment's packages, those in pure Python can be imported. */
const FOLDERS = {
  '/core': `${ROOT}core`,
  '/measures': `${ROOT}build_scripts/measures`,
  '/packages': `${ROOT}.venv/lib/${version}/site-packages`,
};

const python = await startPyodide();
for (const [folder, root] of Object.entries(FOLDERS)) {
  python.FS.mkdirTree(folder);
  python.FS.mount(python.FS.filesystems.NODEFS, { root }, folder);
}
python.runPython('import sys; sys.dont_write_bytecode = True; sys.path += ["/core", "/measures", "/packages"]');
try {
  console.log(python.pyimport('state_layouts.figures').measure_as_json(layout, workload, Number(scale)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
