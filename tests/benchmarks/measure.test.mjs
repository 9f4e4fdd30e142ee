// @ts-check
/**
 * The measures run and say what they promise, each on a small scale. Their times depend on the machine and are nobody's
 * expectation here; the bytes that are written don't.
 * @module
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MEASURE = fileURLToPath(new URL('../../build_scripts/measure', import.meta.url));

/** @param {string[]} parameters @returns {Promise<any>} the last line's JSON */
async function measure(...parameters) {
  const { stdout } = await promisify(execFile)(MEASURE, parameters, { maxBuffer: 1 << 24 });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
}

test('a send writes at most a few kilobytes, far less than the peers do for the same SQL', async () => {
  const { results } = await measure('durable-send', '--events', '32', '--megabytes', '1');
  const [ours, waSqlite, idbfs] = results.map((/** @type {any} */ result) => result['KB written per event']);
  assert.ok(ours > 0.3 && ours < 8, `${ours} KB per event`);
  assert.ok(ours * 4 < waSqlite && waSqlite < idbfs, `${waSqlite} and ${idbfs} KB per event`);
});

test('a wake-up is timed with an empty and a filled database, beside plain Pyodide', async () => {
  const { results, moreMemoryMB } = await measure('wake', '--rounds', '1', '--megabytes', '2');
  assert.equal(results.length, 3);
  for (const result of results) assert.ok(result['median ms'] > 0);
  assert.ok(moreMemoryMB < 64, `${moreMemoryMB} MB more`);
});

test('compaction gives space back while two clients send and sync', async () => {
  const { slices, results, sizes } = await measure('compaction', '--megabytes', '3', '--seconds', '2');
  for (const result of results) assert.ok(result.requests > 0 && result['longest ms'] > 0, JSON.stringify(result));
  assert.ok(slices > 20, `${slices} slices`);
  const [sqlite, free, pageStore] = sizes;
  assert.ok(sqlite['MB after'] < sqlite['MB before'] * 0.6, JSON.stringify(sqlite));
  assert.ok(free['MB after'] < 1, JSON.stringify(free));
  assert.ok(pageStore['MB after'] < pageStore['MB before'] * 0.6, JSON.stringify(pageStore));
});

test('events are parsed, checked and authorised in CPython and in Pyodide', async () => {
  const { results } = await measure('events', '--seconds', '0.1');
  assert.equal(results.length, 5);
  for (const result of results) assert.ok(Object.values(result).every((value) => value), JSON.stringify(result));
});

const hasSynapse = existsSync(fileURLToPath(new URL('../../.venv-synapse/.setup', import.meta.url)));

test('state is resolved as Synapse does, in less memory', { skip: !hasSynapse && 'Synapse is not installed' }, async () => {
  const { results } = await measure('state-resolution', '--sizes', '2000', '--percent', '1', '--forks', '2,5');
  assert.equal(results.length, 2);
  for (const { MB } of results) assert.ok(MB.tabstead < MB.synapse, JSON.stringify(MB));
});

test('the state history is measured beside other layouts, and only where sharing decides are states wrong', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'plot-'));
  const plot = join(folder, 'plot.svg');
  const { results } = await measure('state-history', '--workloads', 'W5', '--layouts', 'tabstead,dendrite', '--scale', '0.05', '--plot', plot);
  assert.deepEqual(results.map((/** @type {any} */ result) => `${result.platform} ${result.layout}`), [
    'cpython tabstead', 'cpython dendrite', 'pyodide tabstead', 'pyodide dendrite',
  ]);
  for (const [ours, dendrite] of [results.slice(0, 2), results.slice(2)]) {
    assert.equal(ours['wrong states'], 0);
    assert.ok(dendrite['wrong states'] > 0);
    assert.ok(ours['pages per event'] <= 2, `${ours['pages per event']} pages per event`);
    assert.ok(ours['bytes per snapshot'] * 4 < dendrite['bytes per snapshot']);
  }
  assert.match(readFileSync(plot, 'utf8'), /^<svg/);
  rmSync(folder, { recursive: true });
});

test('a move from Dendrite loses nothing, however often it is killed', async () => {
  const { results } = await measure('dendrite-import', '--members', '300', '--snapshots', '600', '--kills', '3');
  assert.equal(results['lost events'] + results['wrong states'] + results['lost or wrong without kills'], 0);
  assert.ok(results.events > 400 && results['states compared'] > 300 && results.kills > 0, JSON.stringify(results));
  assert.ok(results['MB after'] < results['MB before'], JSON.stringify(results));
});

test('syncs and sends are measured beside Synapse, natively and in a worker', { skip: !hasSynapse && 'Synapse is not installed' }, async () => {
  const { results } = await measure('sync', '--rooms', '3,5', '--rounds', '3', '--seconds', '0.2');
  assert.deepEqual(results.map((/** @type {any} */ result) => `${result.server} ${result.rooms}`), [
    'Tabstead 3', 'Tabstead 5', 'Synapse 3', 'Synapse 5', 'Tabstead, worker 3', 'Tabstead, worker 5',
  ]);
  for (const result of results) assert.ok(Object.values(result).every((value) => value), JSON.stringify(result));
});

test('events take a fraction of the bytes that they take in Synapse', { skip: !hasSynapse && 'Synapse is not installed' }, async () => {
  const { results, mix, timesLess } = await measure('database-size', '--events', '500');
  assert.equal(Object.values(mix).reduce((sum, number) => sum + number), 500);
  const [ours, synapse] = results;
  assert.ok(ours.tables.events < 400, `${ours.tables.events} bytes per event, with their indexes`);
  assert.ok(synapse.tables.event_json > 900 && synapse.tables.events > 200, JSON.stringify(synapse.tables));
  assert.ok(timesLess > 3, `${timesLess} times less`);
});

test('an unknown measure is told which ones there are', async () => {
  await assert.rejects(measure('speed'), (/** @type {any} */ { code, stderr }) => code === 2 && /durable-send events federation state-history state-resolution sync wake/.test(stderr));
});
