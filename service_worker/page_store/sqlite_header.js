// @ts-check
/** The first 100 bytes of an SQLite database file, as far as an import must know them. */

import { PAGE_SIZE } from './geometry.js';

const MAGIC = 'SQLite format 3\0';

/** Offsets of big-endian numbers. */
const PAGE_SIZE_AT = 16;
const FILE_FORMAT_AT = 18;
const PAGE_COUNT_AT = 28;
const USER_VERSION_AT = 60;
const APPLICATION_ID_AT = 68;

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
  if (!isHeader(header)) throw new UnusableImage('The file is not an SQLite database.');
  const view = viewOf(header);
  if (view.getUint16(PAGE_SIZE_AT) !== PAGE_SIZE) throw new UnusableImage(`The database's pages are not ${PAGE_SIZE} bytes long.`);
  if (expected.applicationId !== undefined && view.getUint32(APPLICATION_ID_AT) !== expected.applicationId) {
    throw new UnusableImage('The file is a database of another application.');
  }
  if (expected.newestSchema !== undefined && view.getUint32(USER_VERSION_AT) > expected.newestSchema) {
    throw new UnusableImage('The database was written by a newer version.');
  }
  return view.getUint32(PAGE_COUNT_AT) * PAGE_SIZE;
}

/**
 * Mark a database as one with a rollback journal: the write-ahead log stays behind with the server that had it.
 *
 * @param {Uint8Array} header changed in place
 */
export function leaveWriteAheadLog(header) {
  viewOf(header).setUint16(FILE_FORMAT_AT, 0x0101);
}

/**
 * What a database must be to take the place of this one, which its server has brought up to date.
 *
 * @param {Uint8Array | null} header
 * @returns {Expected}
 */
export function expectSuccessorOf(header) {
  return header && isHeader(header) ? { newestSchema: viewOf(header).getUint32(USER_VERSION_AT) } : {};
}

/** @param {Uint8Array} bytes */
const isHeader = (bytes) => bytes.length >= 100 && String.fromCharCode(...bytes.subarray(0, MAGIC.length)) === MAGIC;

/** @param {Uint8Array} bytes */
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
