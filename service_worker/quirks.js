// @ts-check
/**
 * Ways around what the browser or Pyodide does, each with the reason.
 * @module
 */

/**
 * Run `start` with a module that is being compiled already.
 *
 * Pyodide fetches and compiles its wasm only after the snapshot was read, and only through `instantiateStreaming`. While
 * `start` runs, that function instantiates the given module instead, so that both go in parallel and the file may come
 * from the Cache API.
 * @template T
 * @param {Promise<WebAssembly.Module>} compiled
 * @param {() => Promise<T>} start
 */
export async function withCompiledModule(compiled, start) {
  const original = WebAssembly.instantiateStreaming;
  WebAssembly.instantiateStreaming = async (_source, imports) => {
    const module = await compiled;
    return { module, instance: await WebAssembly.instantiate(module, imports) };
  };
  try {
    return await start();
  } finally {
    WebAssembly.instantiateStreaming = original;
  }
}
