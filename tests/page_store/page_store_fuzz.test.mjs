// @ts-check
/** The page store against a model of it, for a fixed set of seeds; `build_scripts/fuzz-page-store` goes on for longer. */

import { test } from 'node:test';

import { Fuzzer } from './helpers/fuzzer.mjs';

for (let seed = 1; seed <= 24; seed++) {
  test(`whatever happens, the file is what was acknowledged (seed ${seed})`, async () => {
    const fuzzer = new Fuzzer(seed);
    for (let file = 0; file < 5; file++) await fuzzer.run(6);
  });
}
