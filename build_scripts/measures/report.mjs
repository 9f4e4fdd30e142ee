// @ts-check
/** Figures and tables of the measures. @module */

/** @param {number[]} values @param {number} fraction */
export function quantile(values, fraction) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))];
}

/** @param {number[]} values */
export const median = (values) => quantile(values, 0.5);

/** @param {number} value @param {number} [digits] */
export const rounded = (value, digits = 1) => Number(value.toFixed(digits));

/**
 * Print rows of equal keys as a table: text to the left, numbers to the right.
 * @param {Record<string, string | number>[]} rows
 */
export function printTable(rows) {
  const columns = Object.keys(rows[0]);
  const texts = [columns, ...rows.map((row) => columns.map((column) => String(row[column])))];
  const widths = columns.map((_, index) => Math.max(...texts.map((row) => row[index].length)));
  for (const row of texts) {
    const cells = row.map((text, index) => (index === 0 ? text.padEnd(widths[index]) : text.padStart(widths[index])));
    console.log(cells.join('  '));
  }
}

/** Say what is being done, beside the result. @param {string} text */
export const say = (text) => console.error(`measure: ${text}`);
