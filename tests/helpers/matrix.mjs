// @ts-check
/**
 * A person at the homeserver, through a page's `fetch`.
 * @module
 */
import assert from 'node:assert/strict';
import { fetchJson } from './browser.mjs';

/**
 * Register a user.
 * @param {import('puppeteer-core').Page} page
 * @param {string} username
 * @param {string} [base]  of the homeserver, if it isn't the origin's root
 */
export async function register(page, username, base = '') {
  const body = JSON.stringify({ username, password: `secret of ${username}`, auth: { type: 'm.login.dummy' } });
  const answer = await fetchJson(page, `${base}/_matrix/client/v3/register`, { method: 'POST', body });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return { userId: String(answer.body.user_id), headers: { authorization: `Bearer ${answer.body.access_token}` } };
}
