// @ts-check
/**
 * The two people of the demo, in this origin's local storage, under the path of the site: two sites on one origin are two
 * homeservers.
 */

/**
 * @typedef {object} Person
 * @property {string} name of the person's frame and storage
 * @property {string} displayName
 * @property {string} userId
 * @property {string} deviceId
 * @property {string} accessToken
 * @property {string} password
 */

/**
 * @typedef {object} People
 * @property {Person[]} people
 * @property {string} roomId the encrypted room they share
 */

/** The path of the site, which names all that it keeps in this origin's storage. */
export const SITE_PATH = new URL('.', document.baseURI).pathname;

const KEY = `tabstead ${SITE_PATH} people`;

/** @returns {People | null} */
export function loadPeople() {
  const text = localStorage.getItem(KEY);
  return text === null ? null : JSON.parse(text);
}

/** @param {People} people */
export function savePeople(people) {
  localStorage.setItem(KEY, JSON.stringify(people));
}

export function forgetPeople() {
  localStorage.removeItem(KEY);
}
