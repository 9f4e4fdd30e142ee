// @ts-check
/** node fuzz_for_long.mjs SEED SECONDS: fuzz one page file after another, each with the next seed, and say what happened. */

import { Fuzzer } from './fuzzer.mjs';

const [seed, seconds] = process.argv.slice(2).map(Number);
const end = Date.now() + seconds * 1000;
/** @type {Record<string, number>} */
const totals = {};
let next = seed;
for (; Date.now() < end; next++) {
  const fuzzer = new Fuzzer(next);
  await fuzzer.run(6);
  for (const [what, count] of Object.entries(fuzzer.counts)) totals[what] = (totals[what] ?? 0) + count;
}
console.log(`seeds ${seed} to ${next - 1}: no difference`, totals);
process.exit(0);
