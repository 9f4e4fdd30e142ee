// @ts-check
/**
 * Requests that the homeserver makes to other servers (service_worker/tabstead_edge/outbound.py), with fetch: the browser's
 * rules hold, so the other server must allow this origin by CORS. No cookies, no cache, no referrer.
 * @module
 */

export const outbound = {
  /**
   * Rejects with an Error whose message is a sentence; one that begins with "Too large" for a body of more than `maxBytes`.
   * @param {string} method
   * @param {string} url
   * @param {string} headers  a JSON object
   * @param {Uint8Array<ArrayBuffer> | null} body
   * @param {number} timeoutMs
   * @param {number} maxBytes
   * @param {boolean} follow  redirects
   * @returns {Promise<{ status: number, url: string, headers: string, body: Uint8Array }>}
   */
  async send(method, url, headers, body, timeoutMs, maxBytes, follow) {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url, {
        method,
        headers: JSON.parse(headers),
        body,
        signal,
        redirect: follow ? 'follow' : 'error',
        credentials: 'omit',
        cache: 'no-store',
        referrerPolicy: 'no-referrer',
      });
      const received = await readBody(response, maxBytes);
      const responseHeaders = JSON.stringify(Object.fromEntries(response.headers));
      return { status: response.status, url: response.url, headers: responseHeaders, body: received };
    } catch (error) {
      // a DOMException would leave the awaiting Python task hanging for ever
      throw new Error(signal.aborted ? `No answer within ${timeoutMs} ms.` : /** @type {Error} */ (error).message);
    }
  },
};

/**
 * @param {Response} response
 * @param {number} maxBytes
 */
async function readBody(response, maxBytes) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const chunks = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new Error(`Too large: more than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
