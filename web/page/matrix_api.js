// @ts-check
/** The few calls of the Client-Server API that the page itself makes. */

/** An answer that is not a success. */
export class MatrixError extends Error {
  name = 'MatrixError';

  /**
   * @param {number} status
   * @param {string} errcode
   * @param {string} message
   */
  constructor(status, errcode, message) {
    super(message);
    this.status = status;
    this.errcode = errcode;
  }
}

/**
 * @param {string} method
 * @param {string} path below /_matrix/client/v3
 * @param {{token?: string, body?: object}} [options]
 * @returns {Promise<any>} the answer's JSON
 * @throws {MatrixError}
 */
export async function callMatrix(method, path, { token, body } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers['Content-Type'] = 'application/json';
  const response = await fetch(`/_matrix/client/v3${path}`, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const message = answer.error ?? `The homeserver answered ${response.status}.`;
    throw new MatrixError(response.status, answer.errcode ?? '', message);
  }
  return answer;
}
