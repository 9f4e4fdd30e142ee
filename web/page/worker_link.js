// @ts-check
/**
 * The page's side of the service worker: registers it, gets the page under its control, carries requests and notices, and
 * hands a waiting newer worker over to whoever offers the update.
 */

import { IS_HOMESERVER } from '../../service_worker/client_hooks.js';
import { noticeChannelName } from '../../service_worker/messages.js';

/** @typedef {import("../../service_worker/messages.js").Notice} Notice */
/** @typedef {import("../../service_worker/messages.js").Reply} Reply */
/** @typedef {import("../../service_worker/messages.js").Request} Request */

/** The built worker lies beside the page. */
const SCRIPT = 'service_worker.js';

/** A worker that does not answer for so long has died; a first start on a slow phone takes less. */
const ANSWER_LIMIT_MS = 120_000;

/** The service worker could not be registered: the browser or its settings forbid it. */
export class WorkersForbidden extends Error {
  name = 'WorkersForbidden';
}

/** The worker answered that it could not do what it was asked, or did not answer. */
export class WorkerFailed extends Error {
  name = 'WorkerFailed';
}

export class WorkerLink {
  /** @param {ServiceWorkerRegistration} registration */
  constructor(registration) {
    this._registration = registration;
  }

  /**
   * Register the worker and wait until it controls this page.
   * @param {(notice: Notice) => void} onNotice
   * @returns {Promise<WorkerLink>}
   * @throws {WorkersForbidden | WorkerFailed}
   */
  static async connect(onNotice) {
    const scope = new URL('.', document.baseURI).href;
    const channel = new BroadcastChannel(noticeChannelName(scope));
    channel.onmessage = (event) => onNotice(event.data);
    const link = new WorkerLink(await register());
    await link._activated();
    await link._becomeControlled();
    return link;
  }

  /**
   * Ask the worker, starting it if it sleeps.
   * @param {Request} request
   * @returns {Promise<any>} the reply's value
   * @throws {WorkerFailed}
   */
  ask(request) {
    return askWorker(this._active, request);
  }

  /**
   * Call back once a newer worker waits, now or later.
   * @param {() => void} onWaiting
   */
  watchUpdates(onWaiting) {
    const registration = this._registration;
    if (registration.waiting) onWaiting();
    registration.addEventListener('updatefound', () => {
      const worker = registration.installing;
      worker?.addEventListener('statechange', () => {
        if (worker.state === 'installed' && registration.active) onWaiting();
      });
    });
  }

  /** Look for a newer version, as the browser does on its own once a day. */
  async checkForUpdate() {
    await this._registration.update().catch(() => undefined);
  }

  /** Hand the site over to the waiting worker; resolves when it controls this page. */
  async activateUpdate() {
    const waiting = this._registration.waiting;
    if (!waiting) return;
    const changed = nextController();
    await this.ask({ type: 'drain' }).catch(() => undefined);
    await askWorker(waiting, { type: 'skip-waiting' }).catch(() => undefined);
    await changed;
  }

  get _active() {
    const worker = this._registration.active;
    if (!worker) throw new WorkerFailed('The service worker is gone.');
    return worker;
  }

  async _activated() {
    const worker = this._registration.installing ?? this._registration.waiting;
    if (this._registration.active || !worker) return;
    await new Promise((resolve, reject) => {
      const look = () => {
        if (worker.state === 'activated') resolve(undefined);
        if (worker.state === 'redundant') reject(new WorkerFailed('The download did not finish.'));
      };
      worker.addEventListener('statechange', look);
      look();
    });
  }

  /** The page may have no worker yet, or that of another site above this one. */
  async _becomeControlled() {
    if (navigator.serviceWorker.controller?.scriptURL === this._active.scriptURL) return;
    const controlled = nextController();
    await this.ask({ type: 'claim' });
    await controlled;
  }
}

/** @returns {Promise<ServiceWorkerRegistration>} */
async function register() {
  try {
    const options = /** @type {const} */ ({ type: 'module', updateViaCache: 'none', [IS_HOMESERVER]: true });
    return await navigator.serviceWorker.register(SCRIPT, options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof DOMException && error.name === 'SecurityError') throw new WorkersForbidden(reason);
    throw new WorkerFailed(reason);
  }
}

/** @returns {Promise<void>} resolves when this page gets another controller, or has got its first. */
function nextController() {
  return new Promise((resolve) => {
    navigator.serviceWorker.addEventListener('controllerchange', () => resolve(), { once: true });
  });
}

/**
 * @param {ServiceWorker} worker
 * @param {Request} request
 * @returns {Promise<any>}
 */
function askWorker(worker, request) {
  return new Promise((resolve, reject) => {
    const { port1, port2 } = new MessageChannel();
    const limit = setTimeout(() => finish({ ok: false, error: 'The service worker does not answer.' }), ANSWER_LIMIT_MS);
    /** @param {Reply} reply */
    const finish = (reply) => {
      clearTimeout(limit);
      port1.close();
      if (reply.ok) resolve(reply.value);
      else reject(new WorkerFailed(reply.error));
    };
    port1.onmessage = (event) => finish(event.data);
    worker.postMessage(request, [port2]);
  });
}
