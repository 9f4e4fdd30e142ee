// @ts-check
/**
 * Answers requests for the site's own files, and gives every page of the scope our hooks.
 * @module
 */
import { RUNTIME, SCOPE, urlOf } from './site.js';
import { find, removeUnread } from './static_files.js';

/** @param {Request} request */
export function isPageRequest(request) {
  return request.method === 'GET' && request.url.startsWith(SCOPE) && !request.headers.has('range');
}

/** @param {FetchEvent} event */
export async function answerPageRequest(event) {
  const { request } = event;
  const response = (await find(request.url)) ?? (await fetch(request).catch(() => Response.error()));
  if (request.mode !== 'navigate') return response;
  event.waitUntil(removeUnread());
  return withHooks(response);
}

/** A page with the hooks before anything of its own. @param {Response} response */
async function withHooks(response) {
  const isHtml = response.headers.get('content-type')?.startsWith('text/html');
  if (!isHtml || response.type === 'opaqueredirect') return response;
  const script = `<script src="${urlOf(RUNTIME.clientHooks)}"></script>`;
  const html = await response.text();
  const start = /<head(\s[^>]*)?>/i.exec(html);
  const at = start ? start.index + start[0].length : 0;
  const headers = new Headers(response.headers);
  for (const name of ['content-length', 'content-encoding']) headers.delete(name);
  const { status, statusText } = response;
  return new Response(html.slice(0, at) + script + html.slice(at), { status, statusText, headers });
}
