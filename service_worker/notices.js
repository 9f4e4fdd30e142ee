// @ts-check
/**
 * Notices to every page of the scope, controlled or not (messages.js has their shapes).
 * @module
 */
import { noticeChannelName } from './messages.js';
import { SCOPE } from './site.js';

const channel = new BroadcastChannel(noticeChannelName(SCOPE));

/** Progress is told at most this often. */
const PROGRESS_EVERY_MS = 50;
let lastProgress = 0;

/** @param {import('./messages.js').Notice} notice */
export const announce = (notice) => channel.postMessage(notice);

/** @type {(stage: import('./messages.js').Stage, loaded: number, total: number, file?: string) => void} */
export function announceProgress(stage, loaded, total, file) {
  const now = performance.now();
  if (!file && loaded < total && now - lastProgress < PROGRESS_EVERY_MS) return;
  lastProgress = now;
  announce({ type: 'progress', stage, loaded, total, ...(file && { file }) });
}
