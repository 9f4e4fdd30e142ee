// @ts-check
/**
 * Real browsers for the tests: Chromium over the DevTools protocol, Firefox ESR over WebDriver BiDi, and the built site
 * served to them. Each browser has its own profile, which is deleted with it unless the test brought one.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';
import { startServer } from '../../build_scripts/serve.mjs';

/** The built site; TABSTEAD_DIST names another. */
export const DIST = process.env.TABSTEAD_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));

/** Pages of the tests: the site's own start the demo. */
const TEST_PAGES = fileURLToPath(new URL('pages', import.meta.url));

/** @typedef {'chromium' | 'firefox'} BrowserName */

/** @type {BrowserName[]} */
export const BROWSERS = ['chromium', 'firefox'];

const EXECUTABLES = { chromium: ['chromium', 'chromium-browser', 'google-chrome'], firefox: ['firefox-esr', 'firefox'] };

const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Firefox keeps to itself, and forgets nothing that Chromium would keep. */
const FIREFOX_PREFERENCES = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.safebrowsing.downloads.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'dom.quotaManager.temporaryStorage.fixedLimit': 2 * 1024 * 1024, // KiB: small test disks aren't full disks
  'extensions.getAddons.cache.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

/** @param {BrowserName} name */
function executableOf(name) {
  for (const command of EXECUTABLES[name]) {
    try {
      return execFileSync('sh', ['-c', `command -v ${command}`], { encoding: 'utf8' }).trim();
    } catch {
      continue;
    }
  }
  throw new Error(`${name} is not installed; build_scripts/setup installs it or says how`);
}

/** A new folder for a browser's profile. */
export const makeProfile = () => mkdtempSync(join(tmpdir(), 'tabstead-profile-'));

/**
 * Start a browser.
 * @param {BrowserName} name
 * @param {{ userDataDir?: string, args?: string[] }} [options]  a profile that is kept when the browser closes
 * @returns {Promise<import('puppeteer-core').Browser>}
 */
export async function launch(name, { userDataDir, args = [] } = {}) {
  const profile = userDataDir ?? makeProfile();
  const browser = await puppeteer.launch({
    browser: name === 'chromium' ? 'chrome' : 'firefox',
    executablePath: executableOf(name),
    headless: true,
    userDataDir: profile,
    args: name === 'chromium' ? [...CHROMIUM_FLAGS, ...args] : args,
    ...(name === 'firefox' && { extraPrefsFirefox: FIREFOX_PREFERENCES }),
    protocolTimeout: 120_000,
  });
  if (!userDataDir) browser.once('disconnected', () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  return browser;
}

/**
 * Kill a browser as a power cut would, and wait until it is gone.
 * @param {import('puppeteer-core').Browser} browser
 */
export async function killBrowser(browser) {
  const ended = new Promise((resolve) => browser.process()?.once('exit', resolve));
  browser.process()?.kill('SIGKILL');
  await ended;
}

/**
 * Serve the built site, with the tests' own pages in `test/` below it.
 * @param {{ mounts?: Record<string, string>, port?: number, others?: string[] }} [options]  other folders than the site at
 *   `/`; the object may be changed while they are served. `others` are origins that the worker may ask
 */
export async function serveDist({ mounts = { '/': DIST }, port = 0, others = [] } = {}) {
  for (const [base, folder] of Object.entries(mounts)) {
    if (!existsSync(join(folder, 'service_worker.js'))) throw new Error(`${folder} is not built; run build_scripts/build`);
    mounts[`${base}test/`] = TEST_PAGES;
  }
  return startServer({ mounts, port, others });
}

/**
 * A page whose console errors and crashes are told, since a test that fails in a browser says little else.
 * @param {import('puppeteer-core').Browser} browser
 * @param {string} url
 */
export async function openPage(browser, url) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error('page:', error));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warn') console.error('page:', message.text());
  });
  await page.evaluateOnNewDocument(defineAskWorker);
  await page.goto(url, { waitUntil: 'load' });
  return page;
}

/**
 * A page that the scope's worker controls: an empty one of the tests, or any other of the site.
 * @param {import('puppeteer-core').Browser} browser
 * @param {string} url  the site's base
 * @param {string} [path]
 */
export async function openControlledPage(browser, url, path = 'test/blank.html') {
  const page = await openPage(browser, url + path);
  await page.evaluate(registerWorker, url);
  return page;
}

/** In the page. @param {string} base */
async function registerWorker(base) {
  const options = /** @type {RegistrationOptions} */ ({ type: 'module', scope: base, updateViaCache: 'none' });
  const controlled = new Promise((resolve) => {
    navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true });
  });
  await navigator.serviceWorker.register(new URL('service_worker.js', base), options);
  const { active } = await navigator.serviceWorker.ready;
  if (navigator.serviceWorker.controller) return;
  active?.postMessage({ type: 'claim' }, [new MessageChannel().port2]);
  await controlled;
}

/** In every page: `askWorker(request)`, the value of the worker's reply. */
function defineAskWorker() {
  Object.assign(window, {
    /** @param {import('../../service_worker/messages.js').Request} request */
    askWorker: async (request) => {
      const { active } = await navigator.serviceWorker.ready;
      const { port1, port2 } = new MessageChannel();
      /** @type {import('../../service_worker/messages.js').Reply} */
      const reply = await new Promise((resolve) => {
        port1.onmessage = ({ data }) => resolve(data);
        active?.postMessage(request, [port2]);
      });
      if (!reply.ok) throw new Error(reply.error);
      return reply.value;
    },
  });
}

/**
 * Ask the worker something (service_worker/messages.js); the reply's value.
 * @param {import('puppeteer-core').Page} page
 * @param {import('../../service_worker/messages.js').Request} request
 * @returns {Promise<any>}
 */
export function askWorker(page, request) {
  return page.evaluate((message) => Reflect.get(window, 'askWorker')(message), request);
}

/**
 * Fetch in the page: status and JSON body.
 * @param {import('puppeteer-core').Page} page
 * @param {string} url
 * @param {{ method?: string, headers?: Record<string, string>, body?: string }} [init]
 * @returns {Promise<{ status: number, body: any }>}
 */
export function fetchJson(page, url, init = {}) {
  return page.evaluate(
    async (address, options) => {
      const response = await fetch(address, options);
      return { status: response.status, body: await response.json() };
    },
    url,
    init,
  );
}
