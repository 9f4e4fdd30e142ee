// @ts-check
/** The first 100 bytes of an SQLite database file, as far as an import must know them. */

import { PAGE_SIZE } from './geometry.js';

const MAGIC = 'SQLite format 3\0';

/**
 * @typedef {object} Expected what an imported database must be
 * @property {number} [applicationId] PRAGMA application_id
 * @property {number} [newestSchema] the highest PRAGMA user_version that can be opened
 */

/** The imported file is not a database that can be opened. */
export class UnusableImage extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'UnusableImage';
  }
}

/**
 * Check a database's header. Throws UnusableImage.
 *
 * @param {Uint8Array} header at least 100 bytes
 * @param {Expected} expected
 * @returns {number} the size of the file in bytes, as the header states it
 */
export function checkHeader(header, expected) {
  if (header.length < 100 || String.fromCharCode(...header.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new UnusableImage('The file is not an SQLite database.');
  }
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  if (view.getUint16(16) !== PAGE_SIZE) throw new UnusableImage(`The database's pages are not ${PAGE_SIZE} bytes long.`);
  if (expected.applicationId !== undefined && view.getUint32(68) !== expected.applicationId) {
    throw new UnusableImage('The file is a database of another application.');
  }
  if (expected.newestSchema !== undefined && view.getUint32(60) > expected.newestSchema) {
    throw new UnusableImage('The database was written by a newer version.');
  }
  return view.getUint32(28) * PAGE_SIZE;
}

/**
 * Mark a database as one with a rollback journal: the write-ahead log stays behind with the server that had it.
 *
 * @param {Uint8Array} header changed in place
 */
export function leaveWriteAheadLog(header) {
  header[18] = header[19] = 1;
}
