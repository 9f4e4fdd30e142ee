// @ts-check
/**
 * Builds the site into `dist/`: the page, Python as bytecode and as a memory snapshot, the service worker that knows all
 * of it. Everything is content-hashed but the pages, `service_worker.js` and `tabstead.json`.
 *
 * usage: build_site.mjs WHEELS [SITE]   the folder of our own wheels (build_wasm_wheels.py); the target, `dist` if not given
 * @module
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { hashOf, listFiles, writeAsset } from './site/assets.mjs';
import { buildPage, bundleHooks, bundleWorker } from './site/bundle.mjs';
import { resolvePackages } from './site/packages.mjs';
import { PYODIDE_FOLDER, ROOT } from './site/pyodide_in_node.mjs';
import { buildPyodideModule } from './site/pyodide_module.mjs';
import { buildPythonFiles } from './site/python_files.mjs';
import { buildSnapshot } from './site/snapshot.mjs';

/**
 * Not among the files that a visitor's browser keeps unchanged: the worker itself, what only a developer asks for, and the
 * configuration, which may change without a build.
 */
const NOT_KEPT = /^service_worker\.js$|\.whl$|^tabstead\.json$/;

/** Where the interpreter wants its extension modules (service_worker/tabstead_edge/side_modules.py). */
const SIDE_MODULES = '/lib/side_modules/';

/**
 * @template T
 * @param {string} name
 * @param {() => Promise<T> | T} work
 */
async function step(name, work) {
  const began = performance.now();
  const result = await work();
  console.log(`  ${name.padEnd(44)} ${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s`);
  return result;
}

/**
 * Build the site beside the old one, then put it in its place.
 * @param {string} wheels
 * @param {string} site
 */
async function replaceSite(wheels, site) {
  const work = `${site}.new`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  await buildSite(wheels, work);
  rmSync(site, { recursive: true, force: true });
  renameSync(work, site);
}

/**
 * @param {string} wheels
 * @param {string} site  an empty folder
 */
async function buildSite(wheels, site) {
  await step('the page', () => buildPage(site));
  const packages = await step('resolve Python packages', () => resolvePackages(wheels));
  const { zips, sideModules } = await step('compile Python to bytecode', () => buildPythonFiles(packages));
  const pyodideModule = writeAsset(site, 'pyodide.mjs', buildPyodideModule());
  const snapshot = await step('take the memory snapshot', () => buildSnapshot(zips, join(site, pyodideModule)));
  const hooks = await step("the pages' hooks", bundleHooks);
  const runtime = {
    wasm: writeAsset(site, 'pyodide.wasm', readFileSync(`${PYODIDE_FOLDER}pyodide.asm.wasm`)),
    standardLibrary: writeAsset(site, 'python.zip', zips.standardLibrary),
    packages: writeAsset(site, 'packages.zip', zips.packages),
    core: writeAsset(site, 'core.zip', zips.core),
    snapshot: writeAsset(site, 'snapshot.gz', await step('pack it', () => gzipSync(snapshot.file, { level: 9 }))),
    snapshotHead: snapshot.head,
    sideModules: Object.fromEntries(
      Object.entries(sideModules).map(([name, data]) => [SIDE_MODULES + name, writeAsset(site, name, data)]),
    ),
    clientHooks: writeAsset(site, 'client_hooks.js', hooks),
    lock: writeLock(site, packages),
  };
  if (!existsSync(join(site, 'tabstead.json'))) writeFileSync(join(site, 'tabstead.json'), '{}\n');
  const files = listFiles(site, (path) => !NOT_KEPT.test(path) && path !== pyodideModule);
  const version = hashOf(JSON.stringify([files, pyodideModule]));
  const worker = await step('the service worker', () => bundleWorker({ files, runtime, version }, pyodideModule));
  writeFileSync(join(site, 'service_worker.js'), worker);
  const megabytes = files.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
  console.log(`  ${files.length} files, ${megabytes.toFixed(1)} MB`);
}

/**
 * Pyodide's lock and the wheels it names, for a developer who installs packages at run time.
 * @param {string} site
 * @param {string} packages
 */
function writeLock(site, packages) {
  const lock = JSON.parse(readFileSync(join(packages, 'pyodide-lock.json'), 'utf8'));
  mkdirSync(join(site, 'assets/wheels'), { recursive: true });
  for (const entry of Object.values(lock.packages)) {
    writeFileSync(join(site, 'assets/wheels', entry.file_name), readFileSync(join(packages, entry.file_name)));
    entry.file_name = `wheels/${entry.file_name}`;
  }
  return writeAsset(site, 'pyodide-lock.json', JSON.stringify(lock));
}

const [wheels, site = `${ROOT}dist`] = process.argv.slice(2);
await replaceSite(resolve(wheels), resolve(site)).catch((error) => {
  console.error(String(error?.stack ?? error).slice(-4000)); // Node would print Pyodide's source, a single line of 1 MB
  process.exit(1);
});
