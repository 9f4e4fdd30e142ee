// @ts-check
/**
 * What hydrogen-view-sdk 0.3.1 gets wrong, mended while building. Every mend names the text it replaces, and the build stops
 * when that text is not there exactly once: a newer version needs a look, not luck.
 */

const SCRIPT = /hydrogen-view-sdk\/lib-build\/hydrogen\.es\.js$/;
const THEME = /hydrogen-view-sdk\/asset-build\/assets\/theme-element-(light|dark)\.css$/;

/** @type {[wrong: string, right: string][]} */
const MENDS = [
  // `create()` takes the promise of `createRoom` for the room, so the new room never opens.
  [
    'this.navigation.push("room", roomBeingCreated.id);',
    'this.navigation.push("room", [...this._session._roomsBeingCreated.keys()].pop());',
  ],
  // Olm comes as a script of its own, as Hydrogen's platform loads it; importing it too would bring it twice.
  ['import "@matrix-org/olm/olm.js";', ''],
  // Loading a picture changes its tile, so the timeline looks what is visible, which loads the picture: once is enough.
  [
    'async _tryLoadEncryptedThumbnail() {\n    var _a;\n',
    'async _tryLoadEncryptedThumbnail() {\n    var _a;\n    if (this._wasLoaded) return;\n    this._wasLoaded = true;\n',
  ],
  // The header of a day is not found among the tiles, and nothing below it would count as visible.
  [
    'const startIndex = this._tiles.getTileIndex(this._startTile);',
    'const startIndex = Math.max(0, this._tiles.getTileIndex(this._startTile));',
  ],
  // Who creates a room has no name in it yet when joining is shown, but the event says it.
  [
    'const targetName = sender === stateKey ? senderName',
    'const targetName = sender === stateKey && this._entry.displayName ? senderName',
  ],
  // The timeline is a list, in which a heading may not stand on its own.
  ['t.h2({ className: "DateHeader" }', 't.li({ className: "DateHeader" }'],
];

/** The weights that the interface uses, upright; the rest of the 36 files would be 3 MB more to download. */
const FONT_WEIGHTS = new Set(['400', '500', '600', '700']);
const INTER_FACE = /@font-face\{font-family:Inter;font-style:(\w+);font-weight:(\d+);[^}]*?(url\([^)]*\.woff2\))[^}]*\}/g;
const INTER_FACES = 18;

/** @param {string} code */
function mendScript(code) {
  return MENDS.reduce((mended, [wrong, right]) => {
    const parts = mended.split(wrong);
    if (parts.length !== 2) throw new Error(`mend_hydrogen: found ${parts.length - 1} times: ${wrong}`);
    return parts.join(right);
  }, code);
}

/** @param {string} css */
function keepNeededFonts(css) {
  let faces = 0;
  const kept = css.replace(INTER_FACE, (_face, style, weight, woff2) => {
    faces += 1;
    if (style !== 'normal' || !FONT_WEIGHTS.has(weight)) return '';
    const face = `font-family:Inter;font-style:normal;font-weight:${weight};font-display:swap`;
    return `@font-face{${face};src:${woff2} format("woff2")}`;
  });
  if (faces !== INTER_FACES) throw new Error(`mend_hydrogen: ${faces} faces of Inter instead of ${INTER_FACES}`);
  return kept;
}

/** @returns {import("vite").Plugin} */
export function mendHydrogen() {
  return {
    name: 'mend-hydrogen',
    enforce: 'pre',
    transform(code, id) {
      const [path, query] = id.split('?');
      if (SCRIPT.test(path)) return { code: mendScript(code), map: null };
      if (THEME.test(path) && query !== 'url') return { code: keepNeededFonts(code), map: null };
      return undefined;
    },
  };
}
