// @ts-check
/**
 * What a visitor sees until the clients are there: the stages of the first visit with their bytes, or one quiet line on
 * later visits.
 */

import { byId, element, formatBytes } from './dom.js';

/** @typedef {import("../../service_worker/messages.js").ProgressNotice} ProgressNotice */

/**
 * The stages in their order: the worker's, then the page's own. The weight is a stage's share of the bar.
 * @type {{name: string, label: string, weight: number}[]}
 */
const STAGES = [
  { name: 'download', label: 'Download the homeserver', weight: 55 },
  { name: 'unpack', label: 'Unpack it', weight: 10 },
  { name: 'start', label: 'Start it', weight: 15 },
  { name: 'people', label: 'Introduce Alice and Bob', weight: 10 },
  { name: 'clients', label: 'Open their clients', weight: 10 },
];

export class BootView {
  constructor() {
    this._root = byId('boot');
    this._bar = /** @type {HTMLProgressElement} */ (byId('boot-bar'));
    this._bytes = byId('boot-bytes');
    this._current = -1;
    this._items = STAGES.map(({ label }) => element('li', {}, [label]));
    byId('boot-stages').replaceChildren(...this._items);
  }

  /** @param {boolean} isFirstVisit */
  show(isFirstVisit) {
    this._root.classList.toggle('boot--first', isFirstVisit);
    byId('boot-title').textContent = isFirstVisit ? 'Setting up your homeserver' : 'Waking your homeserver';
    this._root.hidden = false;
  }

  hide() {
    this._root.hidden = true;
  }

  /**
   * A stage has begun or moved on; those before it are done.
   * @param {string} name
   * @param {number} [loaded] bytes
   * @param {number} [total] bytes
   */
  advance(name, loaded, total) {
    const at = STAGES.findIndex((stage) => stage.name === name);
    if (at < this._current) return;
    if (at > this._current) this._enter(at);
    const share = total ? (loaded ?? 0) / total : 0;
    const before = STAGES.slice(0, at).reduce((sum, stage) => sum + stage.weight, 0);
    this._bar.value = Math.max(this._bar.value, before + share * STAGES[at].weight);
    this._bytes.textContent = total ? `${formatBytes(loaded ?? 0)} of ${formatBytes(total)}` : '';
  }

  /** @param {number} at */
  _enter(at) {
    this._current = at;
    this._items.forEach((item, index) => {
      item.className = index < at ? 'done' : index === at ? 'current' : '';
      if (index === at) item.setAttribute('aria-current', 'step');
      else item.removeAttribute('aria-current');
    });
    byId('boot-now').textContent = STAGES[at].label;
  }
}
