// @ts-check
/**
 * Vite's part of the build: the page, the page's hooks, the service worker.
 * @module
 */
import { existsSync } from 'node:fs';
import { build } from 'vite';
import { ROOT } from './pyodide_in_node.mjs';

const VIRTUAL = 'virtual:site';

/** @type {import('vite').InlineConfig} */
const COMMON = { configFile: false, root: `${ROOT}service_worker`, logLevel: 'warn', publicDir: false };

/**
 * Build the page into an empty folder.
 * @param {string} site
 */
export async function buildPage(site) {
  const configFile = `${ROOT}web/vite.config.js`;
  if (existsSync(configFile)) await build({ configFile, logLevel: 'warn', build: { outDir: site, emptyOutDir: true } });
}

/** The hooks as a script that needs no module loader. @returns {Promise<string>} */
export async function bundleHooks() {
  return bundle({
    ...COMMON,
    build: {
      write: false,
      target: 'es2022',
      lib: { entry: 'client_hooks.js', formats: ['iife'], name: 'tabsteadHooks', fileName: 'client_hooks' },
    },
  });
}

/**
 * The worker as one module beside Pyodide's own.
 * @param {{ files: object[], runtime: object, version: string }} site  becomes `virtual:site`
 * @param {string} pyodideModule  path of `pyodide.asm.mjs` relative to the site
 * @returns {Promise<string>}
 */
export async function bundleWorker({ files, runtime, version }, pyodideModule) {
  const exports = { FILES: files, RUNTIME: runtime, VERSION: version };
  const source = Object.entries(exports).map(([name, value]) => `export const ${name} = ${JSON.stringify(value, null, 1)};`);
  return bundle({
    ...COMMON,
    plugins: [
      {
        name: 'tabstead-site',
        enforce: 'pre',
        resolveId(id) {
          if (id === VIRTUAL) return `\0${VIRTUAL}`;
          return id === 'pyodide/pyodide.asm.mjs' ? { id: `./${pyodideModule}`, external: true } : undefined;
        },
        load: (id) => (id === `\0${VIRTUAL}` ? source.join('\n') : undefined),
      },
    ],
    build: {
      write: false,
      target: 'es2024',
      minify: false,
      lib: { entry: 'service_worker.js', formats: ['es'], fileName: 'service_worker' },
      rolldownOptions: { external: [/^node:/, 'ws'], output: { codeSplitting: false } },
    },
  });
}

/** @param {import('vite').InlineConfig} config */
async function bundle(config) {
  const built = /** @type {any} */ (await build(config));
  const { output } = Array.isArray(built) ? built[0] : built;
  if (output.length !== 1) throw new Error(`One file was expected, not ${output.map((/** @type {any} */ file) => file.fileName)}`);
  return output[0].code;
}
