// @ts-check
/**
 * The whole homeserver as a file, out and in. Both work on the database's file, so they help also where no homeserver starts
 * on it.
 * @module
 */
import { PageFile } from './page_store/index.js';
import { betweenLives, ensureHomeserver, openFile } from './boot.js';
import { scopedName } from './site.js';

/** Pieces of an export that are put into one blob: blobs lie on the disk, pieces in memory. */
const PIECES_PER_BLOB = 16;

/** SQLite's application id of our databases, "Tabs" (core/tabstead/storage/migrations). */
const APPLICATION_ID = 0x54616273;

/** @returns {Promise<Blob>} the database */
export async function exportHomeserver() {
  const homeserver = await ensureHomeserver().catch(() => null); // told by the start
  return homeserver ? toBlob(homeserver.file) : withFile(toBlob);
}

/**
 * Replace the homeserver by that of a database. The former one goes on when the file is none, or no homeserver starts on it.
 * @param {Blob} database
 */
export async function importHomeserver(database) {
  /** @type {Blob | null} */
  let former = null;
  const replace = async (/** @type {PageFile} */ file) => {
    const copy = await toBlob(file);
    await file.importImage(database, { applicationId: APPLICATION_ID });
    former = copy;
  };
  try {
    await betweenLives(() => withFile(replace));
  } catch (error) {
    if (former) await betweenLives(() => putBack(/** @type {Blob} */ (former)));
    throw error;
  }
}

/** @param {Blob} former */
function putBack(former) {
  if (former.size === 0) return PageFile.destroy(scopedName('homeserver')); // there was none
  return withFile((file) => file.importImage(former, { applicationId: APPLICATION_ID, newestSchema: Infinity }));
}

/**
 * @template T
 * @param {(file: PageFile) => Promise<T>} work
 */
async function withFile(work) {
  const file = await openFile();
  try {
    return await work(file);
  } finally {
    await file.close().catch(() => {}); // an import has closed it
  }
}

/** @param {PageFile} file */
async function toBlob(file) {
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
