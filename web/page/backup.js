// @ts-check
/**
 * The whole homeserver as one file, out and in, and its end.
 *
 * The file is a tar: `homeserver.sqlite`, the server's database with its signing key, which `tabstead serve` opens too; and
 * `clients.json`, the people's credentials and what their clients keep here, without which nobody could read the encrypted
 * messages in it. All three run while the clients are closed, so that a client's keys and the server agree.
 *
 * A server keeps its name wherever it is imported: only its address changes.
 */

import { dumpClients, forgetClients, restoreClients } from '../client/client_storage.js';
import { element } from './dom.js';
import { forgetPeople, loadPeople, savePeople } from './people_store.js';
import { packTar, unpackTar } from './tar.js';

/** @typedef {import("./worker_link.js").WorkerLink} WorkerLink */

const DATABASE = 'homeserver.sqlite';
const CLIENTS = 'clients.json';
const SQLITE_MAGIC = 'SQLite format 3\0';

/**
 * @param {WorkerLink} link
 * @returns {Promise<Blob>}
 */
export async function exportServer(link) {
  const clients = JSON.stringify({ people: loadPeople(), clients: await dumpClients() });
  const database = await link.ask({ type: 'export' });
  return packTar({ [DATABASE]: database, [CLIENTS]: new Blob([clients], { type: 'application/json' }) });
}

/**
 * Replace the server and the clients by those of a file; of a bare database, by its server alone.
 * @param {WorkerLink} link
 * @param {Blob} file
 * @throws {Error} saying what is wrong with the file; the server and the clients are as before then
 */
export async function importServer(link, file) {
  const { database, clients } = await openCopy(file);
  await link.ask({ type: 'import', file: database });
  if (clients) {
    await restoreClients(clients.clients);
    savePeople(clients.people);
  } else {
    await forgetClients();
    forgetPeople();
  }
}

/** @param {WorkerLink} link */
export async function resetServer(link) {
  await link.ask({ type: 'reset' });
  await forgetClients();
  forgetPeople();
}

/**
 * Save a file as the browser saves files.
 * @param {Blob} blob
 */
export function saveCopy(blob) {
  const today = new Date().toISOString().slice(0, 10);
  const link = element('a', { href: URL.createObjectURL(blob), download: `tabstead ${today}.tar` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * @param {Blob} file
 * @returns {Promise<{database: Blob, clients: any}>}
 */
async function openCopy(file) {
  if (await isDatabase(file)) return { database: file, clients: null };
  const files = await unpackTar(file).catch(() => /** @type {Record<string, Blob>} */ ({}));
  const database = files[DATABASE];
  if (!database || !(await isDatabase(database))) throw new Error('This file is not a copy of a Tabstead homeserver.');
  const clients = files[CLIENTS] && JSON.parse(await files[CLIENTS].text());
  return { database, clients: clients?.people ? clients : null };
}

/** @param {Blob} file */
async function isDatabase(file) {
  return (await file.slice(0, SQLITE_MAGIC.length).text()) === SQLITE_MAGIC;
}
