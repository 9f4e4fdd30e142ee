// @ts-check
/**
 * The access token of a page, for its requests that can't carry one (`<img>`, `<video>`).
 *
 * It is the last one that the page itself sent. The page remembers it (client_hooks.js) and is asked, so that it survives
 * this worker without being stored anywhere.
 * @module
 */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

/** A page that doesn't know the question doesn't answer it. */
const PATIENCE_MS = 500;

/**
 * @param {string} clientId
 * @returns {Promise<string | null>} the value of an Authorization header
 */
export async function findAuthorization(clientId) {
  const client = clientId ? await worker.clients.get(clientId) : undefined;
  if (!client) return null;
  const { port1, port2 } = new MessageChannel();
  try {
    return await new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
      setTimeout(() => resolve(null), PATIENCE_MS);
      client.postMessage({ type: 'tabstead-authorization' }, [port2]);
    });
  } finally {
    port1.close();
  }
}
