// @ts-check
/**
 * The demo as a visitor uses it: a page, two people's clients in it, what they type and what they see.
 * @module
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** @typedef {import('puppeteer-core').Page} Page */
/** @typedef {import('puppeteer-core').Frame} Frame */

/** Two cores, two browsers and a homeserver: seconds are long. */
const PATIENCE_MS = 30_000;

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Screenshots are written here, if anywhere. */
const SCREENSHOTS = process.env.TABSTEAD_SCREENSHOTS;

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

export class DemoPage {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  /**
   * Open the demo and wait until both clients are there.
   * @param {import('puppeteer-core').Browser} browser
   * @param {string} url
   */
  static async open(browser, url) {
    const demo = new DemoPage(await browser.newPage());
    demo.page.on('pageerror', (error) => console.error('page:', error));
    await demo.page.setViewport(DESKTOP);
    await demo.page.evaluateOnNewDocument(keepSavedFiles);
    await demo.page.evaluateOnNewDocument(noteStages);
    await demo.page.goto(url);
    await demo.isReady();
    return demo;
  }

  async reload() {
    await this.page.reload();
    await this.isReady();
  }

  /** Delete the server's database, but nothing of what the page keeps. */
  async loseDatabase() {
    await this.page.evaluate(async () => {
      const { port1, port2 } = new MessageChannel();
      navigator.serviceWorker.controller?.postMessage({ type: 'reset' }, [port2]);
      await new Promise((resolve) => (port1.onmessage = resolve));
    });
  }

  /** Both clients are open; or the test fails with what the page says instead. */
  async isReady() {
    await this.page.waitForFunction(
      () => !document.querySelector('#trouble')?.hasAttribute('hidden') || (
        document.querySelectorAll('#panes iframe').length === 2 && document.querySelector('#boot')?.hasAttribute('hidden')
      ),
      { timeout: PATIENCE_MS },
    );
    assert.equal(await this.trouble(), null);
  }

  /** What the progress said on the way, stage by stage. @returns {Promise<string[]>} */
  async stages() {
    const noted = await this.page.evaluate(() => /** @type {any} */ (window).notedStages);
    return noted.map((/** @type {string} */ text) => text.replace(/\s+/g, ' ').trim());
  }

  /**
   * A value of the status line.
   * @param {string} name
   */
  async status(name) {
    return this.page.$eval(`#status-${name}`, (value) => value.textContent ?? '');
  }

  /** What the page explains instead of showing the clients. */
  async trouble() {
    return this.page.$eval('#trouble', (trouble) => (trouble.hasAttribute('hidden') ? null : trouble.textContent));
  }

  /**
   * A person's client.
   * @param {string} name
   * @returns {Promise<Frame>}
   */
  async client(name) {
    const element = await this.page.waitForSelector(`iframe[name="${name}"]`, { timeout: PATIENCE_MS });
    const frame = await element?.contentFrame();
    assert.ok(frame, `${name} has no client`);
    await frame.waitForSelector('.MessageComposer_input textarea', { timeout: PATIENCE_MS });
    return frame;
  }

  /**
   * Type into a person's composer and send.
   * @param {string} name
   * @param {string} text
   */
  async say(name, text) {
    const composer = await (await this.client(name)).$('.MessageComposer_input textarea');
    await composer?.click();
    await composer?.type(text);
    await composer?.press('Enter');
  }

  /**
   * Wait until a person reads this, sent and decrypted.
   * @param {string} name
   * @param {string} text
   */
  async reads(name, text) {
    await (await this.client(name)).waitForFunction(
      (wanted) => [...document.querySelectorAll('.Timeline_message:not(.unsent) .Timeline_messageBody')].some(
        (message) => message.textContent?.includes(wanted),
      ),
      { timeout: PATIENCE_MS },
      text,
    );
  }

  /**
   * Choose a picture in a person's client and send it.
   * @param {string} name
   * @param {string} path
   */
  async sendPicture(name, path) {
    const client = await this.client(name);
    await (await client.waitForSelector('.sendFile', { visible: true, timeout: PATIENCE_MS }))?.click();
    await (await client.waitForSelector('.menu .picture button', { timeout: PATIENCE_MS }))?.click();
    const input = await client.waitForSelector('input[type=file]', { timeout: PATIENCE_MS });
    await /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement>} */ (input).uploadFile(path);
  }

  /**
   * Wait until a person sees a picture; its width in pixels as the person's browser decoded it.
   * @param {string} name
   */
  async seesPicture(name) {
    const client = await this.client(name);
    const width = await client.waitForFunction(
      () => document.querySelector(/** @type {'img'} */ ('.Timeline_messageBody .media img'))?.naturalWidth,
      { timeout: PATIENCE_MS },
    );
    return width.jsonValue();
  }

  /**
   * How often a person's client has fetched pictures.
   * @param {string} name
   */
  async downloads(name) {
    return (await this.client(name)).evaluate(
      () => performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/media/download/')).length,
    );
  }

  /** The newest events of the people's room as the server stores them. */
  async storedEvents() {
    return this.page.evaluate(async () => {
      const key = Object.keys(localStorage).find((name) => /^tabstead .* people$/.test(name));
      const { people, roomId } = JSON.parse(localStorage.getItem(key ?? '') ?? '');
      const response = await fetch(`/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=100`, {
        headers: { Authorization: `Bearer ${people[0].accessToken}` },
      });
      return (await response.json()).chunk;
    });
  }

  /**
   * Choose an item of the server's menu.
   * @param {string} id
   */
  async command(id) {
    await this.page.click('#menu-button');
    await (await this.page.waitForSelector(`#${id}`, { visible: true }))?.click();
  }

  /**
   * Choose a file to import, and say yes.
   * @param {string} path
   */
  async import(path) {
    await this.page.$eval('#notice', (notice) => notice.replaceChildren());
    const input = await this.page.$('#import-file');
    await /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement>} */ (input).uploadFile(path);
    await this.confirm();
  }

  /** Say yes to the dialog that is open. */
  async confirm() {
    await (await this.page.waitForSelector('#confirm-yes', { visible: true }))?.click();
  }

  /**
   * Wait for what the page says at its foot.
   * @param {string} text
   */
  async says(text) {
    const wanted = (/** @type {string} */ words) => document.querySelector('#notice')?.textContent === words;
    await this.page.waitForFunction(wanted, { timeout: PATIENCE_MS }, text);
  }

  /** The file that the page saved last, as the visitor would find it among the downloads. */
  async savedFile() {
    const saved = await this.page.waitForFunction('window.savedFile', { timeout: PATIENCE_MS });
    return saved.evaluate(async (file) => {
      const text = await new Promise((resolve) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result);
        reader.readAsDataURL(/** @type {any} */ (file));
      });
      return String(text).split(',')[1];
    }).then((base64) => Buffer.from(base64, 'base64'));
  }

  /**
   * Be a visitor who prefers these colours.
   * @param {string} scheme `light` or `dark`
   */
  async prefers(scheme) {
    await this.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  }

  /**
   * Everything serious that axe finds in the page and in its clients.
   * @returns {Promise<string[]>}
   */
  async accessibilityViolations() {
    const found = [];
    for (const frame of this.page.frames()) {
      await frame.evaluate(`${AXE}; 0`);
      found.push(...(await frame.evaluate(findSeriousViolations)));
    }
    return found;
  }

  /** @param {string} name of the file, without its extension */
  async screenshot(name) {
    if (!SCREENSHOTS) return;
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }
}

/** In the page: note what the progress says. */
function noteStages() {
  /** @type {string[]} */
  const stages = [];
  Object.assign(window, { notedStages: stages });
  document.addEventListener('DOMContentLoaded', () => {
    const progress = document.querySelector('.boot__now');
    const observer = new MutationObserver(() => stages.push(progress?.textContent ?? ''));
    if (progress) observer.observe(progress, { childList: true, subtree: true });
  });
}

/** In the page: keep what is offered as a download. */
function keepSavedFiles() {
  const original = URL.createObjectURL;
  URL.createObjectURL = (object) => {
    if (object instanceof Blob && object.type === 'application/x-tar') Object.assign(window, { savedFile: object });
    return original.call(URL, object);
  };
}

/** In a frame. @returns {Promise<string[]>} */
async function findSeriousViolations() {
  const axe = /** @type {any} */ (window).axe;
  const { violations } = await axe.run(document, { iframes: false, resultTypes: ['violations'] });
  /** @type {string[]} */
  const found = [];
  for (const { id, impact, nodes } of violations) {
    if (impact !== 'serious' && impact !== 'critical') continue;
    for (const { html } of nodes) found.push(`${window.name} ${id}: ${html}`);
  }
  return found;
}
