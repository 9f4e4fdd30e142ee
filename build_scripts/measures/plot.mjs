// @ts-check
/** A plot as SVG: lines over two logarithmic axes. @module */

const WIDTH = 640;
const HEIGHT = 400;
const MARGIN = 64;
const COLOURS = ['#0b6e4f', '#b5179e', '#4361ee', '#e07a00', '#555555'];

/**
 * @param {{ title: string, lines: { name: string, points: number[][] }[] }} plot points are [x, y], all above 0
 * @returns {string} an SVG document
 */
export function plotLines({ title, lines }) {
  const points = lines.flatMap((line) => line.points);
  const x = scale(points.map(([value]) => value), MARGIN, WIDTH - 2 * MARGIN);
  const y = scale(points.map(([, value]) => value), HEIGHT - MARGIN, MARGIN);
  const drawn = lines.flatMap(({ name, points: unsorted }, index) => {
    const sorted = [...unsorted].sort(([a], [b]) => a - b);
    const places = sorted.map(([px, py]) => [x.place(px), y.place(py)]);
    const [endX, endY] = places.at(-1) ?? [0, 0];
    const colour = COLOURS[index % COLOURS.length];
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${places.map((place) => place.map(Math.round)).join(' ')}"/>`,
      ...places.map(([cx, cy]) => `<circle cx="${Math.round(cx)}" cy="${Math.round(cy)}" r="3" fill="${colour}"/>`),
      text(endX + 8, endY + 4, name, `fill="${colour}"`),
    ];
  });
  const ticks = [
    ...x.ticks.map((value) => text(x.place(value), HEIGHT - MARGIN + 20, value.toLocaleString('en'), 'text-anchor="middle"')),
    ...y.ticks.map((value) => text(MARGIN - 8, y.place(value) + 4, value.toLocaleString('en'), 'text-anchor="end"')),
    ...y.ticks.map((value) => `<path d="M${MARGIN} ${Math.round(y.place(value))}H${WIDTH - 2 * MARGIN}" stroke="#ddd"/>`),
  ];
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`;
  const ground = `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`;
  return [head, ground, text(MARGIN, 28, title, 'font-size="16"'), ...ticks, ...drawn, '</svg>', ''].join('\n');
}

/**
 * A logarithmic axis from one place to another over whole powers of ten.
 * @param {number[]} values @param {number} from @param {number} to
 */
function scale(values, from, to) {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  return {
    /** @param {number} value */
    place: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
    ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
  };
}

/** @param {number} x @param {number} y @param {string} content @param {string} attributes */
const text = (x, y, content, attributes) => `<text x="${Math.round(x)}" y="${Math.round(y)}" ${attributes}>${content}</text>`;
