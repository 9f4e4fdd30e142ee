// @ts-check
/**
 * `tabstead.json` beside the page: what the server's owner decides (docs/configuration.md; tabstead_edge/configuration.py
 * reads it), and the site's address, to which it leaves the rest.
 * @module
 */
import { SCOPE, urlOf } from './site.js';
import { CONFIGURATION, keepConfiguration, read } from './static_files.js';

/** @typedef {{ text: string, host: string, baseUrl: string }} Configuration */

/** @returns {Promise<Configuration>} as it was kept when the site's files were, or after the last start */
export async function readConfiguration() {
  const text = await (await read(CONFIGURATION)).text();
  return { text, host: new URL(SCOPE).host, baseUrl: urlOf('.').replace(/\/$/, '') };
}

/** Keep what the owner says now for the next start; the present one goes on, without a network as well. */
export const refreshConfiguration = () => keepConfiguration().catch(() => {});
