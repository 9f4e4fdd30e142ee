// @ts-check
/** What the renderer processes of a browser need: pages and workers live in them. @module */
import { readFileSync, readdirSync } from 'node:fs';

/** @typedef {import('puppeteer-core').Browser} Browser */

/**
 * Bytes of all renderer processes of a browser.
 * @param {Browser} browser
 */
export function rendererMemory(browser) {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return processes.reduce((sum, process) => sum + (isRendererOf(process, browser) ? readMemory(process) : 0), 0);
}

/** @param {string} process @param {Browser} browser */
function isRendererOf(process, browser) {
  try {
    if (!readFileSync(`/proc/${process}/cmdline`, 'utf8').includes('--type=renderer')) return false;
    for (let parent = Number(process); parent > 1; parent = parentOf(parent)) {
      if (parent === browser.process()?.pid) return true;
    }
  } catch {
    // it ended meanwhile
  }
  return false;
}

/** @param {number} process */
const parentOf = (process) => Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${process}/stat`, 'utf8'))?.[1]);

/** @param {string} process */
function readMemory(process) {
  const kilobytes = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${process}/smaps_rollup`, 'utf8'));
  return Number(kilobytes?.[1]) * 1024;
}
