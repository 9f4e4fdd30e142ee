// @ts-check
/** Browsers may delete a site's data when space runs low, unless they were asked not to, which only a window may do. */

import { byId } from './dom.js';

/**
 * @param {(text: string) => void} tell
 */
export async function offerPersistence(tell) {
  const button = /** @type {HTMLButtonElement} */ (byId('persist'));
  if (!navigator.storage?.persist) {
    button.hidden = true;
    return;
  }
  if (await navigator.storage.persisted()) return showKept(button);
  button.onclick = async () => {
    byId('menu').hidePopover();
    if (await navigator.storage.persist()) {
      showKept(button);
      tell('The browser will keep this data.');
    } else {
      tell('The browser would not promise. Export now and then, or bookmark or install this page and ask again.');
    }
  };
}

/** @param {HTMLButtonElement} button */
function showKept(button) {
  button.disabled = true;
  byId('persist-state').textContent = 'The browser has promised to.';
}
