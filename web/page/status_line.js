// @ts-check
/**
 * The line at the foot of the page. It shows what the worker last told on its own; it never asks again, so looking at the
 * page does not keep the worker awake.
 */

import { byId, formatBytes } from './dom.js';

/** @typedef {import("../../service_worker/messages.js").Status} Status */

/** @type {Record<Status["homeserver"] | "compacting" | "updating" | "paused", string>} */
const STATES = {
  stopped: 'Asleep',
  starting: 'Waking up',
  running: 'Running',
  compacting: 'Compacting',
  failed: 'Failed',
  updating: 'Updating',
  paused: 'Paused',
};

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const SECONDS = new Intl.NumberFormat('en', { maximumFractionDigits: 2, minimumFractionDigits: 2 });
const COUNT = new Intl.NumberFormat('en');

/** @param {Status} status */
export function showStatus(status) {
  showState(status.isCompacting ? 'compacting' : status.homeserver);
  byId('status-wake').textContent = describeWakeUp(status);
  byId('status-events').textContent = COUNT.format(status.events);
  byId('status-bytes').textContent = formatBytes(status.bytesStored);
  byId('status-server').textContent = status.serverName ?? '';
  byId('status').hidden = false;
}

/** @param {keyof typeof STATES} state */
export function showState(state) {
  const shown = byId('status-state');
  shown.textContent = STATES[state];
  shown.dataset.state = state;
}

/** @param {Status} status */
function describeWakeUp({ startedAt, wakeUpMs }) {
  const time = CLOCK.format(startedAt);
  return wakeUpMs === null ? time : `${time} in ${SECONDS.format(wakeUpMs / 1000)} s`;
}
