// @ts-check
/**
 * Federation beside Synapse, over TLS: taking in what another server sends, and joining a big room. Each part is a
 * program of its own, which says what it does; the last line is one line of JSON with the figures of all that ran.
 *
 *   build_scripts/measure federation [--part inbound|join] [--events 3000] [--members 5000] [--version 11]
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const { values } = parseArgs({
  options: {
    part: { type: 'string' },
    events: { type: 'string', default: '3000' },
    members: { type: 'string', default: '5000' },
    version: { type: 'string', default: '11' },
  },
});

/** What each part runs, with its options. @type {Record<string, string[]>} */
const PARTS = {
  inbound: ['federation_inbound.py', '--events', values.events],
  join: ['federation_joining.py', '--members', values.members],
};

if (values.part && !(values.part in PARTS)) throw new Error(`--part is one of: ${Object.keys(PARTS).join(', ')}`);

/** Run a part and pass on what it says. @param {string} part @returns {Promise<unknown>} its last line's JSON */
async function run(part) {
  const [program, ...options] = PARTS[part];
  const child = spawn(
    '.venv/bin/python',
    [`build_scripts/measures/${program}`, ...options, '--version', values.version],
    { cwd: ROOT, env: { ...process.env, PYTHONPATH: 'core:tests' }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} failed`);
  return JSON.parse(output.trimEnd().split('\n').at(-1) ?? '');
}

/** @type {Record<string, unknown>} */
const figures = {};
for (const part of values.part ? [values.part] : Object.keys(PARTS)) figures[part] = await run(part);
console.log(JSON.stringify(figures));
