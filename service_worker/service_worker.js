// @ts-check
/**
 * The service worker: the homeserver of its scope, and the keeper of the site's files. Three events of its life, and two
 * of its work; everything else is in the modules it imports.
 * @module
 */
import { ensureHomeserver } from './boot.js';
import { answerCommand } from './commands.js';
import { lendTime } from './compaction.js';
import { answerMatrixRequest, matrixTarget } from './matrix_requests.js';
import { sentenceOf } from './matrix_errors.js';
import { announce, announceProgress } from './notices.js';
import { answerPageRequest, isPageRequest } from './pages.js';
import { install, noteReaders } from './static_files.js';

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

/** Keep the site's files. The first worker of a scope need not wait for anyone; a newer one waits to be asked. */
async function handleInstall() {
  try {
    await install(announceProgress);
  } catch (error) {
    announce({ type: 'failure', phase: 'install', message: sentenceOf(error) });
    throw error;
  }
  if (!worker.registration.active) await worker.skipWaiting();
}

async function handleActivate() {
  await worker.clients.claim();
  await noteReaders();
}

/** @param {FetchEvent} event */
function handleFetch(event) {
  const target = matrixTarget(new URL(event.request.url));
  if (target !== null) {
    const answer = answerMatrixRequest(event, target);
    event.respondWith(answer);
    lendTime(event, answer);
  } else if (isPageRequest(event.request)) event.respondWith(answerPageRequest(event));
}

worker.addEventListener('install', (event) => event.waitUntil(handleInstall()));
worker.addEventListener('activate', (event) => event.waitUntil(handleActivate()));
worker.addEventListener('fetch', handleFetch);
worker.addEventListener('message', (event) => event.waitUntil(answerCommand(event)));

// A worker that the browser wakes has been asked for something: start before the request is seen.
if (worker.registration.active?.scriptURL === worker.location.href && worker.serviceWorker?.state === 'activated') {
  ensureHomeserver().catch(() => {}); // whoever asks is told
}
