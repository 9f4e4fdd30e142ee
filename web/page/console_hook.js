// @ts-check
/** `tabstead` in the browser's console: a developer's door to the homeserver in the worker. */

/**
 * @param {import("./worker_link.js").WorkerLink} link
 */
export function openConsoleHook(link) {
  const tabstead = {
    /** What the homeserver says of itself. */
    status: () => link.ask({ type: 'status' }),
    /**
     * Run Python in the worker, where `homeserver` is the running one; gives the `repr` of the last expression.
     * @param {string} code
     */
    python: (code) => link.ask({ type: 'python', code }),
    /**
     * Install packages from PyPI into the worker, for as long as it lives.
     * @param {string[]} packages
     */
    micropip: (...packages) => link.ask({ type: 'micropip', packages }),
    /** Look for a newer version of this page now. */
    update: () => link.checkForUpdate(),
  };
  Object.assign(window, { tabstead });
}
