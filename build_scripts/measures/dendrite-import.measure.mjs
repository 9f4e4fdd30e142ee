// @ts-check
/**
 * What it costs to move a server here from Dendrite 0.4.0, and that nothing is lost on the way: a room of 10,000 members
 * with 20,000 states is imported, once in one go and once killed by SIGKILL at random points and begun again 20 times;
 * the sizes before and after, without free pages, the times and the most memory that the import had.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { ROOT } from '../site/pyodide_in_node.mjs';
import { printTable } from './report.mjs';

const stdout = execFileSync(`${ROOT}.venv/bin/python`, [`${ROOT}build_scripts/measures/dendrite_moving.py`, ...process.argv.slice(2)], {
  env: { ...process.env, PYTHONPATH: `${ROOT}core:${ROOT}tests` },
  stdio: ['ignore', 'pipe', 'inherit'],
  encoding: 'utf8',
});
const results = JSON.parse(stdout);
printTable(Object.entries(results).map(([figure, value]) => ({ figure, value })));
console.log(JSON.stringify({ measure: 'dendrite-import', results }));
