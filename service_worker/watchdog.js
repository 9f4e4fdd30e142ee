// @ts-check
/**
 * Stops Python code that holds the worker for too long, before the browser kills the worker for it (after 47 to 61 s) and
 * lets the request fall through to the network.
 *
 * CPython for wasm looks every few instructions whether a signal is there, in an interrupt buffer that another thread is
 * meant to write. This one is no memory but a clock: it answers with SIGINT when the turn of the event loop in which it
 * was first asked has lasted too long. Code that never returns to the interpreter, as a long SQLite statement, isn't seen.
 * @module
 */

const SIGINT = 2;

/** A turn may last this long; the browsers' patience is more than four times that. */
const LIMIT_MS = 10_000;

export class Watchdog {
  /** When the present turn of the event loop was first seen. @type {number | null} */
  #turnBegan = null;

  get 0() {
    const now = performance.now();
    if (this.#turnBegan === null) {
      this.#turnBegan = now;
      setTimeout(() => (this.#turnBegan = null), 0);
    } else if (now - this.#turnBegan > LIMIT_MS) {
      this.#turnBegan = now; // what handles the interruption has its own time
      return SIGINT;
    }
    return 0;
  }

  set 0(_taken) {}
}
