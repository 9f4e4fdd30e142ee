// @ts-check
import { BaseObservableValue } from 'hydrogen-view-sdk';

/**
 * Hydrogen's view of the frame's address, with the last one kept under the person's name: Hydrogen's own class keeps one
 * for the whole origin.
 */
export class PersonHistory extends BaseObservableValue {
  /** @param {string} key of the local storage */
  constructor(key) {
    super();
    this._key = key;
  }

  handleEvent() {
    this.emit(this.get());
    this._remember(this.get());
  }

  get() {
    return document.location.hash;
  }

  /** @param {string} url */
  replaceUrlSilently(url) {
    window.history.replaceState(null, '', url);
    this._remember(url);
  }

  /** @param {string} url */
  pushUrlSilently(url) {
    window.history.pushState(null, '', url);
    this._remember(url);
  }

  /** @param {string} url */
  pushUrl(url) {
    document.location.hash = url;
  }

  /** @param {string} url */
  urlAsPath(url) {
    return url.startsWith('#') ? url.slice(1) : url;
  }

  /** @param {string} path */
  pathAsUrl(path) {
    return `#${path}`;
  }

  onSubscribeFirst() {
    window.addEventListener('hashchange', this);
  }

  onUnsubscribeLast() {
    window.removeEventListener('hashchange', this);
  }

  getLastSessionUrl() {
    return localStorage.getItem(this._key);
  }

  /** @param {string} hash */
  _remember(hash) {
    localStorage.setItem(this._key, hash);
  }
}
