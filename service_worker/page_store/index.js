// @ts-check
/** The page store: an SQLite database file in IndexedDB. See page_file.js for how it works. */

export { PageFile } from './page_file.js';
export { PageFileLost } from './block_store.js';
export { UnusableImage } from './sqlite_header.js';
export { mount } from './emscripten_file.js';
