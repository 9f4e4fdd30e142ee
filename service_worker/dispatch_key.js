// @ts-check
/**
 * Names a request that changes something across a second dispatch of it: Chromium dispatches a fetch event again, once,
 * when the worker died in it.
 *
 * A page with our hooks names its requests itself, each with a random key. Of other pages' requests the key is guessed
 * from what the request is; the homeserver honours such a guess only in a later life.
 * @module
 */

/** The header in which a page names its request (client_hooks.js). */
export const DISPATCH_HEADER = 'x-tabstead-dispatch';

const READING = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * @param {Request} request
 * @param {string} clientId
 * @param {string} authorization
 * @param {ArrayBuffer | null} body
 * @returns {Promise<{ value: string, exact: boolean } | null>}
 */
export async function dispatchKeyOf(request, clientId, authorization, body) {
  if (READING.has(request.method)) return null;
  const named = request.headers.get(DISPATCH_HEADER);
  if (named) return { value: named, exact: true };
  const bodyHash = await sha256(body ?? new ArrayBuffer());
  const identity = JSON.stringify([clientId, request.method, request.url, authorization, bodyHash]);
  return { value: await sha256(new TextEncoder().encode(identity)), exact: false };
}

/** @param {BufferSource} data */
async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', data)).toHex();
}
