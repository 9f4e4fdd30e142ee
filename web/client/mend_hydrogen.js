// @ts-check
/**
 * What hydrogen-view-sdk 0.3.1 gets wrong, mended while building. Every mend names the text it replaces, and the build stops
 * when that text is not there exactly once: a newer version needs a look, not luck.
 */

const SCRIPT = /hydrogen-view-sdk\/lib-build\/hydrogen\.es\.js$/;
const THEME = /hydrogen-view-sdk\/asset-build\/assets\/theme-element-(light|dark)\.css$/;

/** `create()` takes the promise of `createRoom` for the room, so the new room never opens. */
const CREATED_ROOM = 'this.navigation.push("room", roomBeingCreated.id);';
const CREATED_ROOM_MENDED = 'this.navigation.push("room", [...this._session._roomsBeingCreated.keys()].pop());';

/** Olm comes as a script of its own, as Hydrogen's platform loads it; importing it too would bring it twice. */
const OLM_IMPORT = 'import "@matrix-org/olm/olm.js";';

/** The weights that the interface uses, upright; the rest of the 36 files would be 3 MB more to download. */
const FONT_WEIGHTS = new Set(["400", "500", "600", "700"]);
const INTER_FACE = /@font-face\{font-family:Inter;font-style:(\w+);font-weight:(\d+);[^}]*?(url\([^)]*\.woff2\))[^}]*\}/g;
const INTER_FACES = 18;

/**
 * @param {string} code
 * @param {string} wrong
 * @param {string} right
 */
function replaceOnce(code, wrong, right) {
  const parts = code.split(wrong);
  if (parts.length !== 2) throw new Error(`mend_hydrogen: found ${parts.length - 1} times: ${wrong}`);
  return parts.join(right);
}

/** @param {string} css */
function keepNeededFonts(css) {
  let faces = 0;
  const kept = css.replace(INTER_FACE, (_face, style, weight, woff2) => {
    faces += 1;
    if (style !== "normal" || !FONT_WEIGHTS.has(weight)) return "";
    return `@font-face{font-family:Inter;font-style:normal;font-weight:${weight};font-display:swap;src:${woff2} format("woff2")}`;
  });
  if (faces !== INTER_FACES) throw new Error(`mend_hydrogen: ${faces} faces of Inter instead of ${INTER_FACES}`);
  return kept;
}

/** @returns {import("vite").Plugin} */
export function mendHydrogen() {
  return {
    name: "mend-hydrogen",
    enforce: "pre",
    transform(code, id) {
      const [path, query] = id.split("?");
      if (SCRIPT.test(path)) {
        return { code: replaceOnce(replaceOnce(code, CREATED_ROOM, CREATED_ROOM_MENDED), OLM_IMPORT, ""), map: null };
      }
      if (THEME.test(path) && query !== "url") return { code: keepNeededFonts(code), map: null };
      return undefined;
    },
  };
}
