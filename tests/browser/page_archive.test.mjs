// @ts-check
/** The exported file is a tar like any other: the system's tar reads ours, and we read the system's. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { packTar, unpackTar } from '../../web/page/tar.js';

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
