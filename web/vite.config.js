// @ts-check
/**
 * How the page is built: two entries with stable names, everything else content-hashed, all addresses relative, so that
 * the site works under any path. `build_scripts/build` says where to; TABSTEAD_OUT does for a build of the page alone.
 */

import { defineConfig } from 'vite';

import { mendHydrogen } from './client/mend_hydrogen.js';

const folder = import.meta.dirname;

export default defineConfig({
  root: folder,
  base: './',
  plugins: [mendHydrogen()],
  build: {
    outDir: process.env.TABSTEAD_OUT ?? `${folder}/../dist`,
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    chunkSizeWarningLimit: 1200,
    rolldownOptions: {
      input: { index: `${folder}/index.html`, client: `${folder}/client.html` },
    },
  },
});
