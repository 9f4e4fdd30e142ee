// @ts-check
/**
 * Lends the homeserver time to compact its database (core/tabstead/storage/compaction): after an event that came anyway
 * was answered, and never before the worker has been awake for a while, so that nobody who woke it waits for that.
 * @module
 */
import { facts, runningHomeserver } from './boot.js';
import { noteActivity } from './status.js';

/** After the start, whoever woke the worker has more to ask. */
const AFTER_START_MS = 3_000;

/** How much longer the worker lives for this than for the event that it is lent in. */
const LENT_MS = 5_000;

/** How long it goes on while requests wait, who keep the worker alive themselves: an event may not last for minutes. */
const AT_MOST_MS = 20_000;

const STEP_SECONDS = 1;

/** @type {Promise<void> | null} */
let lending = null;

let lastLent = 0;

/**
 * Go on compacting for a while once the work of an event is done, if that is due.
 * @param {ExtendableEvent} event
 * @param {Promise<unknown>} work  of the event
 */
export function lendTime(event, work) {
  event.waitUntil(work.then(compactForAWhile, () => {}));
}

function compactForAWhile() {
  const homeserver = runningHomeserver();
  lastLent = performance.now();
  if (!homeserver || lastLent - facts.runningSince < AFTER_START_MS) return;
  if (!homeserver.bridge.compactionIsDue) return;
  lending ??= compact(homeserver.bridge).finally(() => (lending = null));
  return lending;
}

/** @param {import('./bridge.js').Bridge} bridge */
async function compact(bridge) {
  const end = performance.now() + AT_MOST_MS;
  const isLent = () => performance.now() < (bridge.waiting ? end : Math.min(end, lastLent + LENT_MS));
  try {
    while ((await bridge.compact(STEP_SECONDS)) && isLent()) {
      facts.isCompacting = true;
      noteActivity();
    }
  } catch (error) {
    console.error('The compaction failed:', error); // the homeserver broke down or was closed
  } finally {
    if (facts.isCompacting) noteActivity();
    facts.isCompacting = false;
  }
}
