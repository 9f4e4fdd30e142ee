// @ts-check
/**
 * One tab at a time runs the clients: two would use the same encryption keys and break them.
 */

import { SITE_PATH } from './people_store.js';

const NAME = `tabstead ${SITE_PATH} page`;

/** A page that is being reloaded lets go of the lock a moment after its successor has started. */
const PATIENCE_MS = 2_000;

/**
 * Take the lock and keep it for the page's life.
 * @param {() => void} onLost another tab has taken it
 * @param {{steal?: boolean}} [options]
 * @returns {Promise<boolean>} false when another tab holds it
 */
export async function takePageLock(onLost, { steal = false } = {}) {
  return new Promise((resolve) => {
    let taken = false;
    const hold = () => {
      taken = true;
      resolve(true);
      return new Promise(() => {});
    };
    const options = steal ? { steal } : { signal: AbortSignal.timeout(PATIENCE_MS) };
    navigator.locks.request(NAME, options, hold).catch(() => (taken ? onLost() : resolve(false)));
  });
}
