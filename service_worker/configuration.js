// @ts-check
/**
 * `tabstead.json` beside the page: what the server's owner decides (docs/configuration.md), and what it leaves to the
 * site's address.
 * @module
 */
import { SCOPE, urlOf } from './site.js';
import { CONFIGURATION, read } from './static_files.js';

/** @typedef {{ text: string, serverName: string, baseUrl: string }} Configuration */

/** @type {Promise<Configuration> | null} */
let configuration = null;

/** The configuration of this life of the worker. */
export function readConfiguration() {
  configuration ??= load();
  return configuration;
}

/** @returns {Promise<Configuration>} */
async function load() {
  const text = await (await read(CONFIGURATION)).text();
  const serverName = JSON.parse(text).server_name ?? new URL(SCOPE).host;
  return { text, serverName, baseUrl: urlOf('.').replace(/\/$/, '') };
}
