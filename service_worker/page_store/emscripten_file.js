// @ts-check
/**
 * Makes a page file a file of Emscripten's file system, so that the sqlite3 of Pyodide opens it by its path.
 *
 * The node is an ordinary one of MEMFS whose reads, writes, cuts and size are the page file's. A missing page fails the
 * read with EAGAIN, which SQLite reports as SQLITE_IOERR_READ without thinking of a corrupt disk, as it would for EIO.
 */

/** WASI's numbers, which Emscripten uses. */
const EAGAIN = 6;
const EIO = 29;
const ENODEV = 43;

/**
 * @param {any} FS Emscripten's file system
 * @param {string} path where the file appears; nothing may be there yet
 * @param {import('./page_file.js').PageFile} file
 */
export function mount(FS, path, file) {
  FS.mkdirTree(path.slice(0, path.lastIndexOf('/')) || '/');
  const node = FS.create(path);
  const { node_ops: nodeOps, stream_ops: streamOps } = node;
  const fail = (/** @type {number} */ errno) => {
    throw new FS.ErrnoError(errno);
  };
  node.node_ops = {
    ...nodeOps,
    getattr(/** @type {any} */ of) {
      return { ...nodeOps.getattr(of), size: file.size };
    },
    setattr(/** @type {any} */ of, /** @type {any} */ attributes) {
      const { size, ...others } = attributes;
      if (size !== undefined) file.truncate(size);
      nodeOps.setattr(of, others);
    },
  };
  node.stream_ops = {
    ...streamOps,
    read(/** @type {any} */ _, /** @type {Uint8Array} */ heap, /** @type {number} */ start, /** @type {number} */ length, /** @type {number} */ position) {
      const count = file.read(heap, start, length, position);
      return count < 0 ? fail(EAGAIN) : count;
    },
    write(/** @type {any} */ _, /** @type {Uint8Array} */ heap, /** @type {number} */ start, /** @type {number} */ length, /** @type {number} */ position) {
      const count = file.write(heap, start, length, position);
      return count < 0 ? fail(EIO) : count;
    },
    mmap: () => fail(ENODEV),
    msync: () => fail(ENODEV),
  };
}
