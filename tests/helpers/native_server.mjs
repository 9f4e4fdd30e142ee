// @ts-check
/** A `tabstead serve` as a child process, on a free port of the loopback interface. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));

const CONFIGURATION = `
server_name = 'localhost'

[listen]
http_port = 0

[registration]
open = true
guests = true

[rate_limits]
enabled = false
`;

/** @returns {Promise<string>} a new folder with a configuration and room for a database */
export async function createServerFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'tabstead-'));
  await writeFile(join(folder, 'tabstead.toml'), CONFIGURATION);
  return folder;
}

/** @param {string} folder */
export const deleteServerFolder = (folder) => rm(folder, { recursive: true, force: true });

/**
 * Start a server on a folder's database, and wait until it listens.
 * @param {string} folder
 */
export async function startNativeServer(folder) {
  const child = spawn(PYTHON, ['-m', 'tabstead', 'serve', '--config', join(folder, 'tabstead.toml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  const baseUrl = await Promise.race([readAddress(child.stdout), ended.then(() => '')]);
  if (!baseUrl) throw new Error(`tabstead serve ended at once:\n${log}`);
  return {
    baseUrl,
    /** What it wrote to its log so far. */
    readLog: () => log,
    /** End it as an operator does; its exit code. */
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      return /** @type {number | null} */ (code);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** @param {import('node:stream').Readable} output */
async function readAddress(output) {
  for await (const line of createInterface({ input: output })) {
    const match = /^listening on (http:.*)$/.exec(line);
    if (match) return match[1];
  }
  return '';
}
