// @ts-check
/**
 * Runs in every page of the scope before the page's own scripts (the worker puts it there), or imported by a page that
 * may be loaded before there is a worker. Doing it twice does it once.
 *
 * - A write to the homeserver gets a random name, so that it happens once even if the browser dispatches it twice.
 * - The last access token that the page sent is told to the worker when an `<img>` of the page asks for media.
 * - A client app that registers a service worker of its own gets ours: a second one would take the page's requests away.
 *   Only the page of another homeserver, whose site lies below ours, gets what it asks for.
 * @module
 */

const DISPATCH_HEADER = 'X-Tabstead-Dispatch';
const DONE = Symbol.for('tabstead.client-hooks');

/** Among the options of a registration: it is a homeserver's. */
export const IS_HOMESERVER = Symbol.for('tabstead.homeserver');

/** @type {string | null} */
let lastAuthorization = null;

/** @param {string} method @param {string} url */
function isNamed(method, url) {
  const { origin, pathname } = new URL(url, document.baseURI);
  return /^(POST|PUT|DELETE)$/i.test(method) && origin === location.origin && pathname.includes('/_matrix/');
}

function hookFetch() {
  const original = window.fetch;
  window.fetch = function fetch(input, init) {
    const request = input instanceof Request ? input : null;
    const url = request ? request.url : String(input);
    const headers = new Headers(init?.headers ?? request?.headers);
    lastAuthorization = headers.get('authorization') ?? lastAuthorization;
    if (!isNamed(init?.method ?? request?.method ?? 'GET', url)) return original.call(this, input, init);
    headers.set(DISPATCH_HEADER, crypto.randomUUID());
    return original.call(this, input, { ...init, headers });
  };
}

function hookXMLHttpRequest() {
  const { open, send, setRequestHeader } = XMLHttpRequest.prototype;
  const named = new WeakSet();
  XMLHttpRequest.prototype.open = function hookedOpen(/** @type {any[]} */ ...parameters) {
    const [method, url] = parameters;
    if (isNamed(method, String(url))) named.add(this);
    else named.delete(this);
    return open.apply(this, /** @type {any} */ (parameters));
  };
  XMLHttpRequest.prototype.setRequestHeader = function hookedSetRequestHeader(name, value) {
    if (name.toLowerCase() === 'authorization') lastAuthorization = value;
    return setRequestHeader.call(this, name, value);
  };
  XMLHttpRequest.prototype.send = function hookedSend(body) {
    if (named.has(this)) setRequestHeader.call(this, DISPATCH_HEADER, crypto.randomUUID());
    return send.call(this, body);
  };
}

function answerWorker() {
  navigator.serviceWorker.addEventListener('message', ({ data, ports }) => {
    if (data?.type === 'tabstead-authorization') ports[0]?.postMessage(lastAuthorization);
  });
  navigator.serviceWorker.startMessages();
}

function keepOtherWorkersOut() {
  const { register } = ServiceWorkerContainer.prototype;
  ServiceWorkerContainer.prototype.register = async function hookedRegister(script, options) {
    const ours = await this.getRegistration();
    const isOurs = new URL(String(script), document.baseURI).href === ours?.active?.scriptURL;
    const isAllowed = isOurs || Reflect.has(options ?? {}, IS_HOMESERVER);
    return ours?.active && !isAllowed ? ours : register.call(this, script, options);
  };
}

if (!Reflect.has(window, DONE)) {
  Object.defineProperty(window, DONE, { value: true });
  hookFetch();
  hookXMLHttpRequest();
  if ('serviceWorker' in navigator) {
    answerWorker();
    keepOtherWorkersOut();
  }
}
