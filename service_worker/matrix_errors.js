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

/** A sentence for people from whatever was thrown. @param {unknown} error */
export function sentenceOf(error) {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.trim().split('\n'); // of a Python traceback the last line says what happened
  return lines[lines.length - 1].replace(/^[\w.]+(Error|Exception|[A-Z]\w+): /, '') || 'It gave no reason.';
}
