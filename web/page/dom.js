// @ts-check
/** The DOM in few words. */

/**
 * An element with properties and children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/**
 * The element of this id, which the page has.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}.`);
  return found;
}

const BYTES = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/**
 * Bytes for people: "6.3 MB".
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  for (const [size, unit] of /** @type {const} */ ([[1e9, 'GB'], [1e6, 'MB'], [1e3, 'KB']])) {
    if (bytes >= size) return `${BYTES.format(bytes / size)} ${unit}`;
  }
  return `${bytes} B`;
}
