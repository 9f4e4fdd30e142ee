// @ts-check
/**
 * The door to Python: the only file that holds PyProxies, and destroys them.
 *
 * A request goes over as plain values and comes back through a callback as plain values (service_worker/tabstead_edge/
 * bridge.py). When the interpreter dies, whatever still waits for an answer is told so.
 * @module
 */
import { matrixError } from './matrix_errors.js';

/**
 * @typedef {object} Call  one request, as the homeserver needs it
 * @property {string} method
 * @property {string} target  path and query, percent-encoded as sent
 * @property {Record<string, string>} headers  names in lower case
 * @property {ArrayBuffer | null} body
 * @property {string} clientId
 * @property {{ value: string, exact: boolean } | null} dispatchKey
 */

export class Bridge {
  #pyodide;

  /** @type {import('pyodide/ffi').PyProxy} */
  #bridge;

  /** @type {import('pyodide/ffi').PyCallable} */
  #handle;

  /** @type {Set<(response: Response) => void>} */
  #unanswered = new Set();

  /** Rejects when the interpreter dies: a call into it that waits would wait for ever. @type {PromiseWithResolvers<never>} */
  #death = Promise.withResolvers();

  /**
   * @param {import('pyodide').PyodideAPI} pyodide
   * @param {import('pyodide/ffi').PyProxy & Record<string, any>} bridge
   */
  constructor(pyodide, bridge) {
    this.#pyodide = pyodide;
    this.#bridge = bridge;
    this.#handle = bridge.handle;
    /** The homeserver's name. @type {string} */
    this.serverName = bridge.server_name;
    this.#death.promise.catch(() => {}); // whoever waits is told
  }

  /**
   * Open the homeserver in an interpreter.
   * @param {import('pyodide').PyodideAPI} pyodide
   * @param {{ configuration: string, host: string, baseUrl: string, file: unknown, canvas: unknown, outbound: unknown,
   *   progress: (share: number) => void }} options
   */
  static async open(pyodide, { configuration, host, baseUrl, file, canvas, outbound, progress }) {
    const module = pyodide.pyimport('tabstead_edge.bridge');
    try {
      const bridge = await module.open_bridge(configuration, host, baseUrl, file, canvas, outbound, progress);
      return new Bridge(pyodide, bridge);
    } finally {
      module.destroy();
    }
  }

  /**
   * @param {Call} call
   * @returns {Promise<Response>}
   */
  handle({ method, target, headers, body, clientId, dispatchKey }) {
    return new Promise((resolve, reject) => {
      /** @type {(status: number, headers: string, body: Uint8Array<ArrayBuffer>) => void} */
      const respond = (status, responseHeaders, responseBody) => {
        this.#unanswered.delete(resolve);
        const hasBody = status !== 204 && status !== 304 && method !== 'HEAD';
        resolve(new Response(hasBody ? responseBody : null, { status, headers: JSON.parse(responseHeaders) }));
      };
      this.#unanswered.add(resolve);
      const key = dispatchKey ?? { value: '', exact: false };
      try {
        this.#handle(method, target, JSON.stringify(headers), body, clientId, key.value, key.exact, respond);
      } catch (error) {
        this.#unanswered.delete(resolve);
        reject(error);
      }
    });
  }

  /** Requests that wait for their answer. */
  get waiting() {
    return this.#unanswered.size;
  }

  /** Let parked `/sync` calls answer now, and those to come at once. */
  drain() {
    /** @type {any} */ (this.#bridge).drain();
  }

  /** Load now what would be loaded when it is first needed. */
  warmUp() {
    /** @type {any} */ (this.#bridge).warm_up();
  }

  /** Whether there is something in the database to compact, as far as is known without asking it. */
  get compactionIsDue() {
    return /** @type {any} */ (this.#bridge).compaction_is_due;
  }

  /**
   * Compact the database between requests.
   * @param {number} seconds about how long
   * @returns {Promise<boolean>} whether more is to be done
   */
  compact(seconds) {
    return this.#survived(/** @type {any} */ (this.#bridge).compact(seconds));
  }

  /** Counts of the homeserver. @returns {Promise<Record<string, number>>} */
  async status() {
    return JSON.parse(await this.#survived(/** @type {any} */ (this.#bridge).status()));
  }

  /** Run a developer's code in the interpreter. @param {string} code @returns {Promise<string>} its `repr` */
  async runPython(code) {
    await this.#pyodide.loadPackagesFromImports(code);
    const result = await this.#survived(this.#pyodide.runPythonAsync(code));
    const builtins = this.#pyodide.pyimport('builtins');
    try {
      return builtins.repr(result);
    } finally {
      builtins.destroy();
      if (result instanceof this.#pyodide.ffi.PyProxy) result.destroy();
    }
  }

  /** Install packages for the interpreter's life: the site's own, or from PyPI. @param {string[]} packages */
  async installPackages(packages) {
    await this.#pyodide.loadPackage('micropip');
    const micropip = this.#pyodide.pyimport('micropip');
    try {
      await this.#survived(micropip.install(packages));
    } finally {
      micropip.destroy();
    }
  }

  /** End the homeserver in an orderly way. */
  async close() {
    await this.#survived(/** @type {any} */ (this.#bridge).close());
    this.#handle.destroy();
    this.#bridge.destroy();
  }

  /** The interpreter is dead: no PyProxy can be used, and nobody else will answer. */
  abandon() {
    const sentence = 'The homeserver broke down and starts again; please try once more.';
    for (const resolve of this.#unanswered) resolve(matrixError(503, sentence));
    this.#unanswered.clear();
    this.#death.reject(new Error(sentence));
  }

  /**
   * @template T
   * @param {Promise<T>} work  of the interpreter
   */
  #survived(work) {
    return Promise.race([work, this.#death.promise]);
  }
}
