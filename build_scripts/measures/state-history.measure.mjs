// @ts-check
/**
 * What the state history costs, beside models of the layouts of Dendrite 0.4.0, Synapse and Conduit, on the same histories,
 * in CPython and in Pyodide: bytes per snapshot, pages and bytes that a state event changes, and how long reads take.
 *
 * W1 is a small chat, W2 a busy room of 2,000, W3 one that 10,000 join, W4 a storm of forks, W5 goes back to older events;
 * each with a few thousand state events after the joins, a tenth of them in forks (W4: nearly a third). Every figure of
 * one layout and workload comes from a process of its own. The plot has the bytes per snapshot over the size of the room.
 * @module
 */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { ROOT } from '../site/pyodide_in_node.mjs';
import { plotLines } from './plot.mjs';
import { printTable, rounded, say } from './report.mjs';

/**
 * @typedef {{ p50: number, p99: number }} Times in milliseconds
 * @typedef {{
 *   layout: string, workload: string, snapshots: number, members: number, seconds: number, 'pages per event': number,
 *   'bytes per event': number, 'bytes per snapshot': number, 'wrong states': number, 'peak KB': number,
 *   ms: Record<'full read' | 'point read' | 'adjacent difference' | 'random difference', Times>,
 * }} Figures
 */

const run = promisify(execFile);

/** Each takes LAYOUT WORKLOAD SCALE and prints one line of JSON. @type {Record<string, (parameters: string[]) => Promise<{ stdout: string }>>} */
const PLATFORMS = {
  cpython: (parameters) =>
    run(`${ROOT}.venv/bin/python`, ['-m', 'state_layouts.figures', ...parameters], {
      env: { ...process.env, PYTHONPATH: `${ROOT}build_scripts/measures` },
    }),
  pyodide: (parameters) =>
    run(process.execPath, ['--disable-warning=ExperimentalWarning', `${ROOT}build_scripts/measures/state_layouts/in_pyodide.mjs`, ...parameters]),
};

const { values } = parseArgs({
  options: {
    workloads: { type: 'string', default: 'W1,W2,W3,W4,W5' },
    layouts: { type: 'string', default: 'tabstead,dendrite,synapse,conduit' },
    platforms: { type: 'string', default: 'cpython,pyodide' },
    scale: { type: 'string', default: '1' },
    plot: { type: 'string', default: `${ROOT}build/state-history.svg` },
  },
});

/** @param {Times} times */
const both = ({ p50, p99 }) => `${p50.toPrecision(3)} / ${p99.toPrecision(3)}`;

/** @param {Figures} figures */
const row = (figures) => ({
  layout: figures.layout,
  'B/snapshot': rounded(figures['bytes per snapshot']),
  'pages/event': figures['pages per event'],
  'B/event': figures['bytes per event'],
  'read ms': both(figures.ms['full read']),
  'point ms': both(figures.ms['point read']),
  'adjacent ms': both(figures.ms['adjacent difference']),
  'random ms': both(figures.ms['random difference']),
  'peak KB': figures['peak KB'],
  'wrong %': rounded(100 * figures['wrong states']),
});

/** @type {(Figures & { platform: string })[]} */
const results = [];
for (const platform of values.platforms.split(',')) {
  for (const workload of values.workloads.split(',')) {
    const before = results.length;
    for (const layout of values.layouts.split(',')) {
      say(`${layout} on ${workload} in ${platform}`);
      const { stdout } = await PLATFORMS[platform]([layout, workload, values.scale]);
      results.push({ platform, ...JSON.parse(stdout) });
    }
    const rows = results.slice(before);
    console.log(`\n${platform}, ${workload}: ${rows[0].members} members, ${rows[0].snapshots} snapshots; times are p50 / p99`);
    printTable(rows.map(row));
  }
}

const sized = results.filter(({ platform }) => platform === results[0].platform);
const lines = values.layouts.split(',').map((layout) => ({
  name: layout,
  points: sized.filter((figures) => figures.layout === layout).map((figures) => [figures.members, figures['bytes per snapshot']]),
}));
await mkdir(dirname(values.plot), { recursive: true });
await writeFile(values.plot, plotLines({ title: 'Bytes per snapshot over members of the room', lines }));
console.log(`\nThe plot is in ${values.plot}.`);
console.log(JSON.stringify({ measure: 'state-history', scale: Number(values.scale), results }));
