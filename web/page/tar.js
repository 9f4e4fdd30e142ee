// @ts-check
/**
 * Reads and writes tar files, of plain files with short names in the ustar format: the one archive that every system opens
 * and that is only headers and bytes.
 */

const BLOCK = 512;
const text = new TextEncoder();

/**
 * @param {Record<string, Blob>} files by name
 * @returns {Blob}
 */
export function packTar(files) {
  const parts = [];
  for (const [name, file] of Object.entries(files)) {
    parts.push(buildHeader(name, file.size), file, new Uint8Array(padding(file.size)));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts, { type: 'application/x-tar' });
}

/**
 * @param {Blob} tar
 * @returns {Promise<Record<string, Blob>>} the files by name
 * @throws {Error} when it is no such tar file
 */
export async function unpackTar(tar) {
  /** @type {Record<string, Blob>} */
  const files = {};
  for (let at = 0; at + BLOCK <= tar.size; ) {
    const header = new Uint8Array(await tar.slice(at, at + BLOCK).arrayBuffer());
    if (header[0] === 0) break;
    if (readField(header, 257, 5) !== 'ustar') throw new Error('This is not a tar file.');
    const size = parseInt(readField(header, 124, 12), 8);
    if (at + BLOCK + size > tar.size) throw new Error('The file is cut off.');
    files[readField(header, 0, 100)] = tar.slice(at + BLOCK, at + BLOCK + size);
    at += BLOCK + size + padding(size);
  }
  return files;
}

/** @param {number} size */
const padding = (size) => (BLOCK - (size % BLOCK)) % BLOCK;

/**
 * @param {string} name at most 100 ASCII characters
 * @param {number} size in bytes
 */
function buildHeader(name, size) {
  const header = new Uint8Array(BLOCK);
  /** @type {(at: number, value: string) => void} */
  const put = (at, value) => header.set(text.encode(value), at);
  put(0, name);
  put(100, '0000644\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, `${Math.floor(Date.now() / 1000).toString(8).padStart(11, "0")}\0`);
  put(148, '        ');
  put(156, '0');
  put(257, 'ustar\0' + '00');
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return header;
}

/**
 * @param {Uint8Array} header
 * @param {number} at
 * @param {number} length
 */
function readField(header, at, length) {
  const field = new TextDecoder().decode(header.subarray(at, at + length));
  return field.split('\0')[0].trim();
}
