// @ts-check
/**
 * What the worker tells of itself: asked, and after it stored something, at most once a second.
 * @module
 */
import { facts, runningHomeserver } from './boot.js';
import { announce } from './notices.js';
import { VERSION } from './site.js';

const EVERY_MS = 1000;

let isScheduled = false;

/** @returns {Promise<import('./messages.js').Status>} */
export async function currentStatus() {
  const homeserver = runningHomeserver();
  const counted = homeserver ? await homeserver.bridge.status() : {};
  return {
    homeserver: facts.state,
    serverName: facts.serverName,
    version: VERSION,
    startedAt: facts.startedAt,
    wakeUpMs: facts.wakeUpMs,
    events: counted.events ?? 0,
    bytesStored: counted.bytesStored ?? 0,
    isCompacting: facts.isCompacting,
    loss: facts.loss,
  };
}

/** Something was stored: tell the pages soon. */
export function noteActivity() {
  if (isScheduled) return;
  isScheduled = true;
  setTimeout(async () => {
    isScheduled = false;
    announce({ type: 'status', status: await currentStatus() });
  }, EVERY_MS);
}
