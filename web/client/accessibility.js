// @ts-check
/** What Hydrogen's interface leaves unsaid to those who don't see it. */

/** @type {[selector: string, attribute: string, value: string][]} */
const ATTRIBUTES = [
  ['.MessageComposer_input textarea', 'aria-label', 'Message'],
  ['.RoomHeader .close-middle', 'aria-label', 'Close room'],
];

/**
 * Keep the attributes in place while Hydrogen changes its views.
 * @param {HTMLElement} container
 */
export function improveAccessibility(container) {
  const improve = () => {
    for (const [selector, attribute, value] of ATTRIBUTES) {
      for (const element of container.querySelectorAll(`${selector}:not([${attribute}])`)) element.setAttribute(attribute, value);
    }
  };
  new MutationObserver(improve).observe(container, { childList: true, subtree: true });
  improve();
}
