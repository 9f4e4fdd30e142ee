// @ts-check
/**
 * The Python packages of the site: micropip, running in Pyodide, resolves them among PyPI and our own wheels; every
 * file is held against the hash in packages.json. What was found is kept in `.cache/site_packages/`.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT, readBytes, startPyodide } from './pyodide_in_node.mjs';

const PINS = `${ROOT}build_scripts/site/packages.json`;
const CACHE = `${ROOT}.cache/site_packages`;

/**
 * @typedef {{ name: string, version: string, file_name: string, sha256: string, depends: string[] }} LockedPackage
 * @typedef {{ info: object, packages: Record<string, LockedPackage> }} Lock
 */

/** @param {string | Buffer} data */
const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/**
 * A folder with all wheels and their `pyodide-lock.json`, micropip's wheel among them.
 * @param {string} wheels  the folder of our own wheels
 */
export async function resolvePackages(wheels) {
  const own = readdirSync(wheels).sort();
  const inputs = [PINS, `${ROOT}build_scripts/site/resolve_packages.py`, ...own.map((name) => join(wheels, name))];
  const folder = join(CACHE, sha256(inputs.map((path) => sha256(readFileSync(path))).join()).slice(0, 20));
  if (existsSync(folder)) return folder;

  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, 'work-'));
  const pins = JSON.parse(readFileSync(PINS, 'utf8'));
  const micropip = downloadMicropip(pins.micropip, work);
  const lock = await resolve(micropip, wheels, pins.requirements);
  for (const [name, entry] of Object.entries(lock.packages)) {
    if (entry.sha256 !== pins.sha256[name]) throw new Error(`${name} has the hash ${entry.sha256}, see ${PINS}`);
    const file = basename(entry.file_name);
    writeFileSync(join(work, file), await readWheel(entry, wheels));
    entry.file_name = file;
  }
  lock.packages.micropip = lockedMicropip(micropip);
  writeFileSync(join(work, 'pyodide-lock.json'), JSON.stringify(lock, null, 1));
  renameSync(work, folder);
  return folder;
}

/**
 * micropip's wheel, by pip; it wants a newer Python than the host may have.
 * @param {string} requirement  with its hash
 * @param {string} folder
 */
function downloadMicropip(requirement, folder) {
  const list = join(folder, 'micropip.txt');
  writeFileSync(list, requirement);
  const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes'];
  const target = ['--only-binary=:all:', '--python-version=3.14', `--dest=${folder}`, `--requirement=${list}`];
  execFileSync(`${ROOT}.venv/bin/python`, [...pip, ...target], { stdio: 'inherit' });
  const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'));
  if (!wheel) throw new Error('pip downloaded no wheel of micropip');
  return join(folder, wheel);
}

/**
 * @param {string} micropip
 * @param {string} wheels
 * @param {string[]} requirements
 * @returns {Promise<Lock>}
 */
async function resolve(micropip, wheels, requirements) {
  const pyodide = await startPyodide();
  pyodide.unpackArchive(readBytes(micropip), 'wheel');
  pyodide.FS.mkdirTree('/wheels');
  const addresses = readdirSync(wheels).map((name) => {
    pyodide.FS.writeFile(`/wheels/${name}`, readBytes(join(wheels, name)));
    return `emfs:/wheels/${name}`;
  });
  pyodide.runPython(readFileSync(`${ROOT}build_scripts/site/resolve_packages.py`, 'utf8'));
  return JSON.parse(await pyodide.globals.get('resolve')(pyodide.toPy(addresses), pyodide.toPy(requirements)));
}

/**
 * @param {LockedPackage} entry
 * @param {string} wheels
 */
async function readWheel(entry, wheels) {
  if (entry.file_name.startsWith('emfs:')) return readFileSync(join(wheels, basename(entry.file_name)));
  const response = await fetch(entry.file_name);
  if (!response.ok) throw new Error(`${entry.file_name}: ${response.status}`);
  const data = Buffer.from(await response.arrayBuffer());
  if (sha256(data) !== entry.sha256) throw new Error(`${entry.file_name} is not what micropip resolved`);
  return data;
}

/**
 * @param {string} wheel
 * @returns {LockedPackage & Record<string, unknown>}
 */
function lockedMicropip(wheel) {
  const [name, version] = basename(wheel).split('-');
  const file = { file_name: basename(wheel), sha256: sha256(readFileSync(wheel)), install_dir: 'site' };
  return { name, version, ...file, imports: ['micropip'], depends: [] };
}
