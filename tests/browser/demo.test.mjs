// @ts-check
/** Two people talk through the homeserver in the page, in real browsers: the demo as a visitor sees it. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { deflateSync, crc32 } from 'node:zlib';
import { BROWSERS, DIST, launch, serveDist } from '../helpers/browser.mjs';
import { DemoPage, DESKTOP, PHONE } from '../helpers/demo_page.mjs';
import { unpackTar } from '../../web/page/tar.js';

const PICTURE_WIDTH = 320;

/** Firefox cannot be told over WebDriver BiDi to prefer dark colours. */
const SCHEMES = { chromium: ['light', 'dark'], firefox: ['light'] };

/** @param {string} type @param {Buffer} data */
function pngChunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** A picture with a gradient. */
function drawPicture() {
  const height = 200;
  const header = Buffer.from([0, 0, PICTURE_WIDTH >> 8, PICTURE_WIDTH & 255, 0, 0, 0, height, 8, 2, 0, 0, 0]);
  const columns = Array.from({ length: PICTURE_WIDTH }, (_, x) => x);
  const row = (/** @type {number} */ y) => [0, ...columns.flatMap((x) => [height - y, x >> 1, 160])];
  const pixels = deflateSync(Buffer.from(Array.from({ length: height }, (_, y) => row(y)).flat()));
  const chunks = [pngChunk('IHDR', header), pngChunk('IDAT', pixels), pngChunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...chunks]);
}

for (const browserName of BROWSERS) {
  describe(`the demo in ${browserName}`, () => {
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let server;
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {DemoPage} */
    let demo;
    /** @type {string} */
    let folder;
    const mounts = { '/': DIST };

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'tabstead-demo-'));
      server = await serveDist({ mounts });
      browser = await launch(browserName);
      demo = await DemoPage.open(browser, server.url);
    });

    after(async () => {
      await browser?.close();
      await server?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    it('names the stages of a first visit, and counts the bytes of the download', async () => {
      const stages = await demo.stages();
      assert.ok(stages.some((text) => /^Download the homeserver [\d.]+ [KM]?B of [\d.]+ MB$/.test(text)), stages.join('\n'));
      const positionOf = (/** @type {string} */ stage) => stages.findIndex((text) => text.startsWith(stage));
      const order = ['Download', 'Start', 'Introduce', 'Open'].map(positionOf);
      assert.deepEqual(order, order.toSorted((a, b) => a - b));
      assert.ok(order[0] >= 0);
    });

    it('lets Alice and Bob read what the other says', async () => {
      await demo.say('alice', 'Good evening, Bob.');
      await demo.reads('bob', 'Good evening, Bob.');
      await demo.say('bob', 'Alice! What a quiet night.');
      await demo.reads('alice', 'What a quiet night.');
    });

    it('shows how the homeserver is doing, without being asked', async () => {
      assert.equal(await demo.status('state'), 'Running');
      assert.match(await demo.status('wake'), /in \d+\.\d\d s$/);
      assert.match(await demo.status('bytes'), /^[\d.]+ [KM]B$/);
      const before = Number(await demo.status('events'));
      await demo.say('alice', 'Are you counting?');
      await demo.reads('bob', 'Are you counting?');
      await demo.page.waitForFunction(
        (events) => Number(document.querySelector('#status-events')?.textContent) > events,
        { timeout: 30_000 },
        before,
      );
    });

    it('has a door for developers in the console', async () => {
      assert.equal(await demo.page.evaluate(() => Reflect.get(window, 'tabstead').python('6 * 7')), '42');
      const status = await demo.page.evaluate(() => Reflect.get(window, 'tabstead').status());
      assert.equal(status.homeserver, 'running');
    });

    it('stores nothing of it that a server could read', async () => {
      const events = await demo.storedEvents();
      const messages = events.filter((/** @type {any} */ event) => event.state_key === undefined);
      assert.deepEqual(new Set(messages.map((/** @type {any} */ event) => event.type)), new Set(['m.room.encrypted']));
      assert.equal(messages.length, 3);
      assert.doesNotMatch(JSON.stringify(events), /quiet night/);
    });

    it('shows Alice the picture that Bob sends', async () => {
      const picture = join(folder, 'porch.png');
      writeFileSync(picture, drawPicture());
      await demo.sendPicture('bob', picture);
      assert.equal(await demo.seesPicture('alice'), PICTURE_WIDTH);
      await demo.screenshot(`${browserName}-conversation`);
    });

    it('fetches the picture once, however much is said below it', async () => {
      await demo.say('bob', 'That is the porch.');
      await demo.reads('alice', 'That is the porch.');
      assert.equal(await demo.downloads('alice'), 1);
    });

    it('has everything again after a reload', async () => {
      await demo.reload();
      await isAllThere(demo);
      await demo.say('alice', 'Still here.');
      await demo.reads('bob', 'Still here.');
    });

    it('brings everything back from an exported file', async () => {
      await demo.command('export');
      await demo.says('Exported.');
      const copy = join(folder, 'copy.tar');
      writeFileSync(copy, await demo.savedFile());

      await demo.command('reset');
      await demo.confirm();
      await demo.says('A new server.');
      await demo.isReady();
      assert.equal((await demo.storedEvents()).some((/** @type {any} */ event) => event.type === 'm.room.encrypted'), false);

      await demo.import(copy);
      await demo.says('Imported.');
      await demo.isReady();
      await isAllThere(demo);
      await demo.say('bob', 'As if nothing had happened.');
      await demo.reads('alice', 'As if nothing had happened.');
    });

    it('refuses a file that is no copy, and leaves everything as it is', async () => {
      const wrong = join(folder, 'wrong.tar');
      writeFileSync(wrong, 'not a homeserver');
      await demo.import(wrong);
      await demo.says('This file is not a copy of a Tabstead homeserver.');
      await demo.isReady();
      await isAllThere(demo);
    });

    it('takes a bare database too, in which new people can talk', async () => {
      const files = await unpackTar(new Blob([readFileSync(join(folder, 'copy.tar'))]));
      const bare = join(folder, 'homeserver.sqlite');
      writeFileSync(bare, Buffer.from(await files['homeserver.sqlite'].arrayBuffer()));
      await demo.import(bare);
      await demo.says('Imported.');
      assert.match(await demo.page.$eval('#pane-alice code', (id) => id.textContent ?? ''), /^@alice-\w+:/);
      await demo.say('alice', 'New here.');
      await demo.reads('bob', 'New here.');
      await demo.import(join(folder, 'copy.tar'));
      await demo.says('Imported.');
      await isAllThere(demo);
    });

    for (const [device, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
      for (const scheme of SCHEMES[browserName]) {
        it(`has no serious accessibility violation: ${device}, ${scheme}`, async () => {
          await demo.page.setViewport(viewport);
          if (browserName === 'chromium') await demo.prefers(scheme);
          await demo.screenshot(`${browserName}-${device}-${scheme}`);
          assert.deepEqual(await demo.accessibilityViolations(), []);
        });
      }
    }

    it('has none in the settings, the list of rooms and the menus either', async () => {
      await demo.page.setViewport(DESKTOP);
      const [alice, bob] = [await demo.client('alice'), await demo.client('bob')];
      await choose(alice, '.RoomHeader .close-middle');
      await choose(bob, '.room-options');
      await alice.waitForSelector('.RoomList a');
      await bob.waitForSelector('.menu');
      await demo.page.click('#menu-button');
      assert.deepEqual(await demo.accessibilityViolations(), []);

      await demo.page.click('#menu-button');
      await choose(alice, '.LeftPanel .settings');
      await choose(bob, '.menu button');
      await alice.waitForSelector('.Settings input[type=range]');
      await bob.waitForSelector('.RoomDetailsView');
      assert.deepEqual(await demo.accessibilityViolations(), []);

      await choose(alice, '.Settings .close-middle');
      await choose(alice, '.RoomList a');
      await choose(bob, '.RightPanelView .close');
      await isAllThere(demo);
    });

    it('starts anew when the browser has thrown its database away', async () => {
      await demo.page.setViewport(DESKTOP);
      await demo.loseDatabase();
      await demo.reload();
      await demo.say('alice', 'Where is everybody?');
      await demo.reads('bob', 'Where is everybody?');
    });

    it('hands over to a newer version and loses nothing', async () => {
      const newer = mkdtempSync(join(tmpdir(), 'tabstead-newer-'));
      cpSync(DIST, newer, { recursive: true });
      const script = join(newer, 'service_worker.js');
      writeFileSync(script, `${readFileSync(script, 'utf8')}\n// a newer version\n`);
      mounts['/'] = newer;
      try {
        await demo.page.evaluate(() => Reflect.get(window, 'tabstead').update());
        await (await demo.page.waitForSelector('#update', { visible: true, timeout: 30_000 }))?.click();
        await demo.page.waitForNavigation({ timeout: 60_000 });
        await demo.isReady();
        await demo.reads('bob', 'Where is everybody?');
        assert.equal(await demo.page.$eval('#update', (button) => button.hasAttribute('hidden')), true);
      } finally {
        mounts['/'] = DIST;
        rmSync(newer, { recursive: true, force: true });
      }
    });

    it('shows one client at a time on a phone, with a switch', async () => {
      await demo.page.setViewport(PHONE);
      const shown = () =>
        demo.page.$$eval('.pane', (panes) => panes.map((pane) => getComputedStyle(pane).visibility).join(', '));
      assert.equal(await shown(), 'visible, hidden');
      await demo.page.click('#switch input[value=bob]');
      assert.equal(await shown(), 'hidden, visible');
    });
  });
}

/**
 * @param {import('puppeteer-core').Frame} client
 * @param {string} selector
 */
async function choose(client, selector) {
  await (await client.waitForSelector(selector, { visible: true }))?.click();
}

/** @param {DemoPage} demo */
async function isAllThere(demo) {
  for (const person of ['alice', 'bob']) {
    await demo.reads(person, 'Good evening, Bob.');
    await demo.reads(person, 'What a quiet night.');
    assert.equal(await demo.seesPicture(person), PICTURE_WIDTH);
  }
}
