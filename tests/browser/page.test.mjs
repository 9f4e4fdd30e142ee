// @ts-check
/** What the page says where there can be no homeserver, or where another tab has it. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startServer } from '../../build_scripts/serve.mjs';
import { BROWSERS, DIST, launch, serveDist } from '../helpers/browser.mjs';
import { DemoPage, DESKTOP } from '../helpers/demo_page.mjs';

/**
 * The page's explanation, once it gives one.
 * @param {import('puppeteer-core').Browser} browser
 * @param {string} url
 * @param {() => void} [prepare] run in the page before its own scripts
 */
async function openTroubled(browser, url, prepare) {
  const page = await browser.newPage();
  await page.setViewport(DESKTOP);
  if (prepare) await page.evaluateOnNewDocument(prepare);
  await page.goto(url);
  await page.waitForSelector('#trouble:not([hidden])', { timeout: 60_000 });
  return new DemoPage(page);
}

for (const browserName of BROWSERS) {
  describe(`the page in ${browserName}, without a homeserver`, () => {
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let server;
    /** @type {import('puppeteer-core').Browser} */
    let browser;

    before(async () => {
      server = await serveDist();
      browser = await launch(browserName);
    });

    after(async () => {
      await browser?.close();
      await server?.close();
    });

    it('shows a first visit what it waits for', async () => {
      const page = await browser.newPage();
      await page.evaluateOnNewDocument(() => {
        ServiceWorkerContainer.prototype.register = () => new Promise(() => {}); // the download takes its time
      });
      await page.setViewport(DESKTOP);
      await page.goto(server.url);
      await page.waitForSelector('#boot.boot--first:not([hidden])');
      const demo = new DemoPage(page);
      assert.deepEqual(await demo.accessibilityViolations(), []);
      await demo.screenshot(`${browserName}-first-visit`);
      await page.close();
    });

    it('explains a window that has no service workers', async () => {
      const page = await openTroubled(browser, server.url, () => {
        delete (/** @type {any} */ (Navigator.prototype).serviceWorker);
      });
      assert.match((await page.trouble()) ?? '', /can’t run a homeserver.*private window/s);
      assert.deepEqual(await page.accessibilityViolations(), []);
      await page.screenshot(`${browserName}-blocked`);
      await page.page.close();
    });

    it('explains settings that forbid service workers', async () => {
      const page = await openTroubled(browser, server.url, () => {
        ServiceWorkerContainer.prototype.register = () => Promise.reject(new DOMException('Denied.', 'SecurityError'));
      });
      assert.match((await page.trouble()) ?? '', /can’t run a homeserver.*privacy settings/s);
      await page.page.close();
    });

    it('explains a window that stores nothing', async () => {
      const page = await openTroubled(browser, server.url, () => {
        IDBFactory.prototype.open = () => {
          throw new DOMException('Denied.', 'SecurityError');
        };
      });
      assert.match((await page.trouble()) ?? '', /can’t store anything/);
      await page.page.close();
    });

    it('says what went wrong when the worker does not come, and tries again', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tabstead-site-'));
      cpSync(DIST, folder, { recursive: true, filter: (source) => !source.endsWith('service_worker.js') });
      const incomplete = await startServer({ mounts: { '/': folder } });
      try {
        const page = await openTroubled(browser, incomplete.url);
        assert.match((await page.trouble()) ?? '', /did not start.*WorkerFailed/s);
        cpSync(join(DIST, 'service_worker.js'), join(folder, 'service_worker.js'));
        await page.page.click('#trouble-action');
        await page.page.waitForSelector('#pane-alice', { timeout: 60_000 });
        await page.page.close();
      } finally {
        await incomplete.close();
        rmSync(folder, { recursive: true, force: true });
      }
    });

    it('lets one tab at a time have the clients', async () => {
      const first = await DemoPage.open(browser, server.url);
      const second = await openTroubled(browser, server.url);
      assert.match((await second.trouble()) ?? '', /Open in another tab/);
      await second.page.click('#trouble-action');
      await second.isReady();
      await second.client('alice');
      await first.page.waitForSelector('#trouble:not([hidden])');
      assert.equal(await first.page.$('iframe'), null);
    });
  });
}

describe('two sites on one origin', () => {
  it('are two homeservers with people of their own', async () => {
    const server = await serveDist({ mounts: { '/': DIST, '/cabin/': DIST } });
    const browser = await launch('chromium');
    try {
      const house = await DemoPage.open(browser, server.url);
      await house.say('alice', 'Anybody in the house?');
      await house.reads('bob', 'Anybody in the house?');
      const cabin = await DemoPage.open(browser, `${server.url}cabin/`);
      assert.equal(await cabin.page.$eval('#pane-alice code', (id) => id.textContent), `@alice:${new URL(server.url).host}`);
      await cabin.say('alice', 'Anybody in the cabin?');
      await cabin.reads('bob', 'Anybody in the cabin?');
      await house.page.bringToFront();
      await house.reload();
      await house.reads('bob', 'Anybody in the house?');
      assert.doesNotMatch(await (await house.client('bob')).$eval('.Timeline', (timeline) => timeline.textContent ?? ''), /cabin/);
    } finally {
      await browser.close();
      await server.close();
    }
  });
});

describe('the page in chromium, over plain HTTP', () => {
  it('explains that the address is not secure', async () => {
    const server = await serveDist();
    const browser = await launch('chromium', { args: ['--host-resolver-rules=MAP tabstead.example 127.0.0.1'] });
    try {
      const page = await openTroubled(browser, `http://tabstead.example:${server.port}/`);
      assert.match((await page.trouble()) ?? '', /not secure enough.*https/s);
    } finally {
      await browser.close();
      await server.close();
    }
  });
});
