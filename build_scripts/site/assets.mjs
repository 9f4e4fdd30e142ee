// @ts-check
/**
 * The site's folder: files under names that carry a hash of their contents, and the list of all of them.
 * @module
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';

/** Vite's names end like this, and so do ours. */
const HASHED = /^assets\/.*-[\w-]{8,}\.\w+$/;

/** @param {string | Uint8Array} data */
export const hashOf = (data) => createHash('sha256').update(data).digest('base64url').slice(0, 10).replace(/^-|-$/g, '_');

/**
 * Write a file under a name with its hash.
 * @param {string} site  the folder
 * @param {string} name  such as `core.zip`
 * @param {string | Uint8Array} data
 * @returns {string} its path relative to the site
 */
export function writeAsset(site, name, data) {
  const extension = extname(name);
  const path = `assets/${name.slice(0, -extension.length)}-${hashOf(data)}${extension}`;
  mkdirSync(dirname(join(site, path)), { recursive: true });
  writeFileSync(join(site, path), data);
  return path;
}

/**
 * Every file of the site, in a stable order; those without a hash in the name have their revision beside it.
 * @param {string} site
 * @param {(path: string) => boolean} isWanted
 */
export function listFiles(site, isWanted) {
  return readdirSync(site, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(site, join(entry.parentPath, entry.name)))
    .filter(isWanted)
    .sort()
    .map((path) => {
      const bytes = statSync(join(site, path)).size;
      return HASHED.test(path) ? { path, bytes } : { path, bytes, revision: hashOf(readFileSync(join(site, path))) };
    });
}
