// @ts-check
/**
 * The sites that are measured, each a folder to serve: ours as it was built, and peers that do the same in another way.
 * Every site has its own origin, and answers to the tests' `openControlledPage` and `askWorker`.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DIST } from '../../tests/helpers/browser.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PEERS = `${ROOT}build_scripts/measures/peers/`;
export const PYTHON = `${ROOT}.venv/bin/python`;

/** A new folder, deleted when this process ends. */
export function makeFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'tabstead-measure-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** Our site, whose worker also counts what it gives to IndexedDB. */
export function makeCountingSite() {
  const folder = makeFolder();
  cpSync(DIST, folder, { recursive: true });
  const worker = join(folder, 'service_worker.js');
  writeFileSync(worker, readFileSync(`${PEERS}counting.js`, 'utf8') + readFileSync(worker, 'utf8'));
  return folder;
}

/**
 * A peer's site: its worker, the stock Pyodide, our wheels and our sources.
 * @param {string} name  of the worker's file in `peers/`
 */
export function makePeerSite(name) {
  const folder = makeFolder();
  const assets = join(folder, 'assets');
  mkdirSync(assets);
  for (const file of readdirSync(PEERS)) copyFileSync(PEERS + file, join(folder, file));
  copyFileSync(`${PEERS}${name}.js`, join(folder, 'service_worker.js'));
  cpSync(`${ROOT}node_modules/pyodide`, join(assets, 'pyodide'), { recursive: true });
  cpSync(`${ROOT}node_modules/wa-sqlite`, join(assets, 'wa-sqlite'), { recursive: true });
  cpSync(join(DIST, 'assets/wheels'), join(assets, 'wheels'), { recursive: true });
  const lock = readdirSync(join(DIST, 'assets')).find((file) => file.startsWith('pyodide-lock'));
  copyFileSync(join(DIST, 'assets', lock ?? ''), join(assets, 'pyodide-lock.json'));
  execFileSync(PYTHON, [`${ROOT}build_scripts/measures/zip_sources.py`, join(assets, 'core.zip')]);
  return folder;
}

/**
 * A database with messages (fill_database.py).
 * @param {string} path
 * @param {{ serverName: string, megabytes: number, events?: number }} options
 * @returns {{ token: string, room_id: string, since: string, events: number, sends: string[][] }}
 */
export function fillDatabase(path, { serverName, megabytes, events = 0 }) {
  const program = [`${ROOT}build_scripts/measures/fill_database.py`, path, serverName, String(megabytes), String(events)];
  return JSON.parse(execFileSync(PYTHON, program, { encoding: 'utf8', maxBuffer: 1 << 30 }));
}

/**
 * Give a site's homeserver a database. In the page's worker it takes the place of the one that is there.
 * @param {import('puppeteer-core').Page} page
 * @param {string} url
 */
export function importDatabase(page, url) {
  return page.evaluate(async (address) => {
    const { active } = await navigator.serviceWorker.ready;
    const file = await (await fetch(address)).blob();
    const { port1, port2 } = new MessageChannel();
    const reply = await new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
      active?.postMessage({ type: 'import', file }, [port2]);
    });
    if (!reply.ok) throw new Error(reply.error);
  }, url);
}
