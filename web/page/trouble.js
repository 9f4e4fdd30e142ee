// @ts-check
/** Why there is no homeserver, in plain words, and what to do about it. */

import { byId, element } from './dom.js';
import { WorkersForbidden } from './worker_link.js';

/**
 * @typedef {object} Trouble
 * @property {string} title
 * @property {string} reason
 * @property {string[]} remedies
 * @property {string} action the button's words
 */

const TRY_AGAIN = 'Try again';

/** @satisfies {Record<string, Trouble>} */
export const TROUBLES = {
  insecure: {
    title: 'This address is not secure enough',
    reason: 'Browsers run a homeserver in a tab only on encrypted addresses, and this page came over plain HTTP.',
    remedies: ['Open it with https:// in front.', 'Or, on the computer that serves it, open it as http://localhost.'],
    action: TRY_AGAIN,
  },
  blocked: {
    title: 'This window can’t run a homeserver',
    reason: 'Tabstead lives in a service worker, and this window does not allow those.',
    remedies: [
      'In a private window? Open this page in a normal one.',
      'Is site data blocked, or deleted when the browser closes? Allow it for this site in the privacy settings.',
      'Is the browser old, or inside another app? Open this page in a current Chromium, Firefox or Safari.',
    ],
    action: TRY_AGAIN,
  },
  noStorage: {
    title: 'This window can’t store anything',
    reason: 'Tabstead keeps its database in this browser, and the browser refuses to.',
    remedies: [
      'In a private window? Open this page in a normal one.',
      'Allow site data for this site in the privacy settings.',
      'Is the disk full? Make some room.',
    ],
    action: TRY_AGAIN,
  },
  noWebAssembly: {
    title: 'This browser can’t run WebAssembly',
    reason: 'The homeserver is Python compiled to WebAssembly, which is missing or switched off here.',
    remedies: [
      'Switch off lockdown or “strict” modes for this site.',
      'Or open this page in a current Chromium, Firefox or Safari.',
    ],
    action: TRY_AGAIN,
  },
  elsewhere: {
    title: 'Open in another tab',
    reason:
      'Alice and Bob are already at home in another tab of this browser. Their encryption keys can be used in one place ' +
      'at a time.',
    remedies: [],
    action: 'Use it here',
  },
  failed: {
    title: 'The homeserver did not start',
    reason: 'What is stored is untouched. Trying again often helps; the details say what happened.',
    remedies: [
      'Check the connection if this is the first visit.',
      'Close other tabs if the device is short of memory, and make some room if its disk is full.',
      'If nothing helps, export or reset it in the “Server” menu.',
    ],
    action: TRY_AGAIN,
  },
};

/**
 * What this browser lacks, before anything was tried.
 * @returns {Promise<Trouble | null>}
 */
export async function findTrouble() {
  if (!window.isSecureContext) return TROUBLES.insecure;
  if (!('serviceWorker' in navigator)) return TROUBLES.blocked;
  if (typeof WebAssembly === 'undefined') return TROUBLES.noWebAssembly;
  if (!(await canStore())) return TROUBLES.noStorage;
  return null;
}

/** What the browser said when it found the origin's storage damaged and deleted it: to the first who opened some. */
export let loss = '';

/** @returns {Promise<boolean>} */
function canStore() {
  return new Promise((resolve) => {
    try {
      const opening = indexedDB.open('tabstead probe');
      opening.onupgradeneeded = (event) => {
        const { dataLoss, dataLossMessage } = /** @type {{ dataLoss?: string, dataLossMessage?: string }} */ (event);
        if (dataLoss === 'total') loss = dataLossMessage || 'It does not say why.';
      };
      opening.onsuccess = () => {
        opening.result.close();
        indexedDB.deleteDatabase('tabstead probe');
        resolve(true);
      };
      opening.onerror = () => resolve(false);
    } catch {
      resolve(false);
    }
  });
}

/**
 * @param {unknown} error
 * @returns {Trouble}
 */
export function troubleOf(error) {
  return error instanceof WorkersForbidden ? TROUBLES.blocked : TROUBLES.failed;
}

/**
 * @param {Trouble} trouble
 * @param {{error?: unknown, onAction?: () => void}} [options] the action reloads the page unless told otherwise
 */
export function showTrouble(trouble, { error, onAction = () => window.location.reload() } = {}) {
  byId('boot').hidden = true;
  byId('trouble-title').textContent = trouble.title;
  byId('trouble-reason').textContent = trouble.reason;
  byId('trouble-remedies').replaceChildren(...trouble.remedies.map((remedy) => element('li', {}, [remedy])));
  byId('trouble-action').textContent = trouble.action;
  byId('trouble-action').onclick = onAction;
  byId('trouble-details').hidden = error === undefined;
  byId('trouble-detail').textContent = describe(error);
  byId('trouble').hidden = false;
}

/** @param {unknown} error */
function describe(error) {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return `${what}\n${navigator.userAgent}`;
}
