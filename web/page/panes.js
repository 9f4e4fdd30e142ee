// @ts-check
/**
 * The two people's clients, each in a frame, side by side; where there is no room for both, one at a time with a switch.
 * A client runs only while its frame is in the page: `close` ends both, so that their databases can be copied or deleted.
 */

import { element, byId } from './dom.js';

/** @typedef {import("./people_store.js").People} People */

export class Panes {
  constructor() {
    this._container = byId('panes');
    this._switch = byId('switch');
    /** @type {Map<string, {resolve: () => void, reject: (error: Error) => void}>} */
    this._opening = new Map();
    window.addEventListener('message', (event) => this._onMessage(event));
  }

  /**
   * Open everybody's client; resolves when all are ready to send and to read.
   * @param {People} people
   * @returns {Promise<void>}
   */
  async open({ people }) {
    this.close();
    const opened = people.map(
      ({ name }) => new Promise((resolve, reject) => this._opening.set(name, { resolve: () => resolve(undefined), reject })),
    );
    this._container.replaceChildren(...people.map(buildPane));
    this._switch.replaceChildren(...people.map((person, at) => this._buildChoice(person, at === 0)));
    this._show(people[0].name);
    await Promise.all(opened);
  }

  close() {
    this._container.replaceChildren();
    this._switch.replaceChildren();
  }

  /** @param {MessageEvent} event */
  _onMessage({ origin, data }) {
    if (origin !== window.location.origin || data?.type !== 'client') return;
    const opening = this._opening.get(data.client);
    if (data.state === 'ready') opening?.resolve();
    if (data.state === 'failed') opening?.reject(new Error(data.detail));
  }

  /**
   * @param {import("./people_store.js").Person} person
   * @param {boolean} checked
   */
  _buildChoice({ name, displayName }, checked) {
    const input = element('input', { type: 'radio', name: 'pane', value: name, checked });
    input.addEventListener('change', () => this._show(name));
    return element('label', {}, [input, element('span', {}, [displayName])]);
  }

  /** @param {string} name */
  _show(name) {
    for (const pane of this._container.children) pane.classList.toggle('pane--shown', pane.id === `pane-${name}`);
  }
}

/** @param {import("./people_store.js").Person} person */
function buildPane({ name, displayName, userId }) {
  const frame = element('iframe', { name, src: 'client.html', title: `${displayName}’s Matrix client` });
  const avatar = element('span', { className: 'pane__avatar', ariaHidden: 'true' }, [displayName[0]]);
  avatar.style.setProperty('--person', `var(--person-${colourNumber(userId)})`);
  return element('section', { id: `pane-${name}`, className: 'pane', ariaLabel: displayName }, [
    element('div', { className: 'pane__header' }, [
      avatar,
      element('h2', {}, [displayName]),
      element('code', {}, [userId]),
    ]),
    frame,
  ]);
}

/**
 * Which of the eight colours Hydrogen gives to this person.
 * @param {string} userId
 */
function colourNumber(userId) {
  const hash = [...userId].reduce((sum, character) => ((sum << 5) - sum + character.charCodeAt(0)) | 0, 0);
  return (Math.abs(hash) % 8) + 1;
}
