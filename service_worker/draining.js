// @ts-check
/**
 * Makes room for a newer worker: it can take over only in a moment without open requests, which overlapping long polls
 * never leave. So parked ones are answered, the database is closed, and what comes meanwhile is sent away for a second.
 * @module
 */
import { runningHomeserver, stopHomeserver } from './boot.js';

/** If no newer worker took over by then, this one goes on. */
const GIVE_UP_MS = 10_000;

/** Requests that are under way are given this time. */
const ANSWERED_WITHIN_MS = 2_000;

let until = 0;

export const isDraining = () => performance.now() < until;

export async function drain() {
  until = performance.now() + GIVE_UP_MS;
  const bridge = runningHomeserver()?.bridge;
  bridge?.drain();
  const patience = performance.now() + ANSWERED_WITHIN_MS;
  while (bridge?.waiting && performance.now() < patience) await new Promise((resolve) => setTimeout(resolve, 10));
  await stopHomeserver();
}
