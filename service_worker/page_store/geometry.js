// @ts-check
/** Sizes that every part of the page store shares. */

/** Bytes of a page: what SQLite reads and writes at a time. */
export const PAGE_SIZE = 4096;

/** Bytes of a block: what IndexedDB keeps under one key. Chromium stores values from 64 KiB on as files, slowly. */
export const BLOCK_SIZE = 16384;

export const PAGES_PER_BLOCK = BLOCK_SIZE / PAGE_SIZE;

/** @param {number} page */
export const blockOfPage = (page) => Math.floor(page / PAGES_PER_BLOCK);

/** @param {number} size bytes */
export const blocksIn = (size) => Math.ceil(size / BLOCK_SIZE);
