/** Plain `loadPyodide` with the imports of our worker: what a wake-up costs when nothing is done about it. */
import { startPlainPyodide } from './peer.js';

let started;

async function start() {
  const pyodide = await startPlainPyodide(['canonicaljson', 'cffi', 'pynacl', 'signedjson', 'unpaddedbase64']);
  const sources = await (await fetch('./assets/core.zip')).arrayBuffer();
  pyodide.unpackArchive(sources, 'zip');
  return pyodide.runPython(`
import json
import tabstead_edge.side_modules, tabstead_edge.bridge
lambda: json.dumps({"next_batch": "0"})
`);
}

const answer = async () => new Response((await (started ??= start()))(), { headers: { 'content-type': 'application/json' } });

self.addEventListener('fetch', (event) => {
  if (new URL(event.request.url).pathname.startsWith('/_matrix/')) event.respondWith(answer());
});

if (self.serviceWorker?.state === 'activated') started ??= start(); // as ours does: before the request is seen
