// @ts-check
/** What is exported: a tar like any other, in which a server and its people move to another address. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BROWSERS, DIST, fetchJson, launch, serveDist } from '../helpers/browser.mjs';
import { DemoPage } from '../helpers/demo_page.mjs';
import { packTar, unpackTar } from '../../web/page/tar.js';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

const FILES = {
  'homeserver.sqlite': Buffer.alloc(70_001, 7),
  'clients.json': Buffer.from('{}'),
  'empty.txt': Buffer.alloc(0),
};

describe('the archive of an export', () => {
  /** @type {string} */
  let folder;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tabstead-archive-'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is read by tar', async () => {
    const tar = packTar(Object.fromEntries(Object.entries(FILES).map(([name, data]) => [name, new Blob([data])])));
    writeFileSync(join(folder, 'ours.tar'), Buffer.from(await tar.arrayBuffer()));
    execFileSync('tar', ['--extract', '--file=ours.tar'], { cwd: folder });
    for (const [name, data] of Object.entries(FILES)) assert.deepEqual(readFileSync(join(folder, name)), data);
  });

  it('may have been packed by tar', async () => {
    for (const [name, data] of Object.entries(FILES)) writeFileSync(join(folder, name), data);
    execFileSync('tar', ['--create', '--format=ustar', '--file=theirs.tar', ...Object.keys(FILES)], { cwd: folder });
    const files = await unpackTar(new Blob([readFileSync(join(folder, 'theirs.tar'))]));
    assert.deepEqual(Object.keys(files), Object.keys(FILES));
    for (const [name, data] of Object.entries(FILES)) assert.deepEqual(Buffer.from(await files[name].arrayBuffer()), data);
  });

  it('is refused when its end is missing', async () => {
    const tar = packTar({ 'homeserver.sqlite': new Blob([FILES['homeserver.sqlite']]) });
    await assert.rejects(unpackTar(tar.slice(0, 60_000)), /cut off/);
  });

  it('is refused when it is something else', async () => {
    await assert.rejects(unpackTar(new Blob([Buffer.alloc(2048, 'x')])), /not a tar file/);
  });
});

for (const browserName of BROWSERS) {
  describe(`a copy at another address in ${browserName}`, () => {
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let site;
    /** @type {Awaited<ReturnType<typeof serveDist>>} */
    let elsewhere;
    /** @type {import('puppeteer-core').Browser} */
    let browser;
    /** @type {DemoPage} */
    let home;
    /** @type {string} */
    let folder;
    /** @type {string} */
    let copy;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'tabstead-copy-'));
      copy = join(folder, 'copy.tar');
      site = await serveDist({ mounts: { '/': DIST, '/cabin/': DIST } });
      elsewhere = await serveDist();
      browser = await launch(browserName);
      home = await DemoPage.open(browser, site.url);
    });

    after(async () => {
      await browser?.close();
      await site?.close();
      await elsewhere?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    it('is made although a picture was still on its way', async () => {
      await home.say('alice', 'We are moving.');
      await home.reads('bob', 'We are moving.');
      const picture = join(folder, 'dot.png');
      writeFileSync(picture, Buffer.from(PNG, 'base64'));
      const bob = await home.client('bob');
      await bob.evaluate(() => {
        const { send } = XMLHttpRequest.prototype;
        XMLHttpRequest.prototype.send = function sendUnlessMedia(body) {
          if (body instanceof Blob) Object.assign(window, { uploading: true });
          else send.call(this, body);
        };
      });
      await home.sendPicture('bob', picture);
      await bob.waitForFunction('window.uploading', { timeout: 30_000 });
      await home.command('export');
      await home.says('Exported.');
      writeFileSync(copy, await home.savedFile());
      await home.isReady();
      await home.reads('bob', 'We are moving.');
    });

    it('goes on under its own name, with the people and their keys', async () => {
      const inn = await DemoPage.open(browser, elsewhere.url);
      assert.equal(await inn.status('server'), new URL(elsewhere.url).host);
      await inn.import(copy);
      await inn.says('Imported.');
      await inn.reads('bob', 'We are moving.');
      await inn.say('alice', 'A nice inn.');
      await inn.reads('bob', 'A nice inn.');
      const name = new URL(site.url).host;
      assert.equal(await inn.page.$eval('#pane-alice code', (id) => id.textContent), `@alice:${name}`);
      await inn.page.waitForFunction((host) => document.querySelector('#status-server')?.textContent === host, {}, name);
      const { body } = await fetchJson(inn.page, '/.well-known/matrix/client');
      assert.equal(body['m.homeserver'].base_url, new URL(elsewhere.url).origin);
      await inn.reload();
      await inn.reads('alice', 'A nice inn.');
      await inn.page.close();
    });

    it('leaves the original alone, also on its own origin', async () => {
      const cabin = await DemoPage.open(browser, `${site.url}cabin/`);
      await cabin.import(copy);
      await cabin.says('Imported.');
      await cabin.reads('bob', 'We are moving.');
      await cabin.say('alice', 'Into the cabin.');
      await cabin.reads('bob', 'Into the cabin.');
      await cabin.page.close();
      await home.page.bringToFront();
      await home.reload();
      await home.say('bob', 'I stay.');
      await home.reads('alice', 'I stay.');
      await home.reads('alice', 'We are moving.');
      const timeline = await (await home.client('alice')).$eval('.Timeline', ({ textContent }) => textContent ?? '');
      assert.doesNotMatch(timeline, /cabin|inn/);
    });
  });
}
