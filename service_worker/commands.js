// @ts-check
/**
 * What a page may ask of the worker (messages.js has the shapes): one function per type of request.
 * @module
 */
import { PageFile } from './page_store/index.js';
import { betweenLives, ensureHomeserver, resetHomeserver } from './boot.js';
import { drain } from './draining.js';
import { sentenceOf } from './matrix_errors.js';
import { currentStatus } from './status.js';

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

/** Pieces of an export that are put into one blob: blobs lie on the disk, pieces in memory. */
const PIECES_PER_BLOB = 16;

/** SQLite's application id of our databases, "Tabs" (core/tabstead/storage/migrations). */
const APPLICATION_ID = 0x54616273;

/** @type {{ [Type in import('./messages.js').Request['type']]: (request: any) => Promise<unknown> }} */
const COMMANDS = {
  status: currentStatus,
  start: async () => {
    await ensureHomeserver();
    return currentStatus();
  },
  claim: () => worker.clients.claim(),
  export: async () => exportDatabase((await ensureHomeserver()).file),
  import: async ({ file }) => {
    const homeserver = await ensureHomeserver();
    await homeserver.file.importImage(file, { applicationId: APPLICATION_ID });
    await betweenLives(async () => {});
  },
  reset: resetHomeserver,
  drain,
  'skip-waiting': () => worker.skipWaiting(),
  python: async ({ code }) => (await ensureHomeserver()).bridge.runPython(code),
  micropip: async ({ packages }) => (await ensureHomeserver()).bridge.installPackages(packages),
};

/**
 * Carry out a page's request and answer on its port.
 * @param {ExtendableMessageEvent} event
 */
export async function answerCommand({ data, ports }) {
  const command = COMMANDS[/** @type {keyof typeof COMMANDS} */ (data?.type)];
  const [port] = ports;
  if (!command) return;
  try {
    const value = await command(data);
    port?.postMessage({ ok: true, value });
  } catch (error) {
    console.error(`${data.type} failed:`, error);
    port?.postMessage({ ok: false, error: sentenceOf(error) });
  }
}

/** @param {PageFile} file */
async function exportDatabase(file) {
  const type = 'application/vnd.sqlite3';
  let blob = new Blob([], { type });
  /** @type {BlobPart[]} */
  let pieces = [];
  for await (const piece of file.exportImage()) {
    pieces.push(/** @type {Uint8Array<ArrayBuffer>} */ (piece));
    if (pieces.length < PIECES_PER_BLOB) continue;
    blob = new Blob([blob, ...pieces], { type });
    pieces = [];
  }
  return new Blob([blob, ...pieces], { type });
}
