// @ts-check
/**
 * Error responses of the worker itself, in the form that Matrix clients understand.
 * @module
 */

/**
 * @param {number} status
 * @param {string} sentence
 * @param {string} [errcode]
 */
export function matrixError(status, sentence, errcode = 'M_UNKNOWN') {
  const headers = { 'access-control-allow-origin': '*', 'cache-control': 'no-store' };
  return Response.json({ errcode, error: sentence }, { status, headers });
}

/**
 * The answer to a request for which there is no homeserver.
 * @param {unknown} error  why
 */
export function unavailable(error) {
  const sentence = `The homeserver is not available: ${sentenceOf(error)}`;
  return isFull(error) ? matrixError(507, sentence, 'M_RESOURCE_LIMIT_EXCEEDED') : matrixError(503, sentence);
}

/** Whether storage has run out, as IndexedDB or Python says it. @param {any} error */
const isFull = (error) => error?.name === 'QuotaExceededError' || error?.type === 'StorageFull';

/** A sentence for people from whatever was thrown. @param {unknown} error */
export function sentenceOf(error) {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.trim().split('\n'); // of a Python traceback the last line says what happened
  return lines[lines.length - 1].replace(/^[\w.]+(Error|Exception|[A-Z]\w+): /, '') || 'It gave no reason.';
}
