// @ts-check
/**
 * What a page may ask of the worker (messages.js has the shapes): one function per type of request.
 * @module
 */
import { ensureHomeserver, resetHomeserver } from './boot.js';
import { exportHomeserver, importHomeserver } from './copies.js';
import { drain } from './draining.js';
import { sentenceOf } from './matrix_errors.js';
import { currentStatus } from './status.js';

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

/** @type {{ [Type in import('./messages.js').Request['type']]: (request: any) => Promise<unknown> }} */
const COMMANDS = {
  status: currentStatus,
  start: async () => {
    await ensureHomeserver();
    return currentStatus();
  },
  claim: () => worker.clients.claim(),
  export: exportHomeserver,
  import: ({ file }) => importHomeserver(file),
  reset: resetHomeserver,
  drain,
  'skip-waiting': () => worker.skipWaiting(),
  python: async ({ code }) => (await ensureHomeserver()).bridge.runPython(code),
  micropip: async ({ packages }) => (await ensureHomeserver()).bridge.installPackages(packages),
};

/**
 * Carry out a page's request and answer on its port.
 * @param {ExtendableMessageEvent} event
 */
export async function answerCommand({ data, ports }) {
  const command = COMMANDS[/** @type {keyof typeof COMMANDS} */ (data?.type)];
  const [port] = ports;
  if (!command) return;
  try {
    const value = await command(data);
    port?.postMessage({ ok: true, value });
  } catch (error) {
    console.error(`${data.type} failed:`, error);
    port?.postMessage({ ok: false, error: sentenceOf(error) });
  }
}
