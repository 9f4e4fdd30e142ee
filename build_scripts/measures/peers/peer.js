/** What the peers' workers have in common: their life, and commands as our worker has them. */
import createPyodideModule from './assets/pyodide/pyodide.asm.mjs';
import { loadPyodide } from './assets/pyodide/pyodide.mjs';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

/** Pyodide as it comes, with the wheels of our site. */
export async function startPlainPyodide(packages) {
  const lock = await (await fetch('./assets/pyodide-lock.json')).json();
  const pyodide = await loadPyodide({
    createPyodideModule,
    indexURL: new URL('./assets/pyodide/', self.location).href,
    lockFileContents: lock,
    packageBaseUrl: new URL('./assets/', self.location).href,
  });
  if (packages.length) await pyodide.loadPackage(packages, { messageCallback: () => {} });
  return pyodide;
}

/** Answer messages of these types. */
export function answerCommands(commands) {
  const all = { claim: () => self.clients.claim(), ...commands };
  self.addEventListener('message', (event) => {
    const { data, ports } = event;
    if (!all[data?.type]) return;
    const answer = Promise.resolve()
      .then(() => all[data.type](data))
      .then((value) => ports[0]?.postMessage({ ok: true, value }))
      .catch((error) => ports[0]?.postMessage({ ok: false, error: String(error?.stack ?? error) }));
    event.waitUntil(answer);
  });
}

/**
 * Run transactions one by one (`atOnce` 1) or as they come when so many wait at once; the latency of each in ms.
 * `run` gets those that wait.
 */
export async function timeTransactions(transactions, atOnce, run) {
  const latencies = [];
  for (let first = 0; first < transactions.length; first += atOnce) {
    const asked = performance.now();
    await run(transactions.slice(first, first + atOnce), () => latencies.push(performance.now() - asked));
  }
  return latencies;
}
