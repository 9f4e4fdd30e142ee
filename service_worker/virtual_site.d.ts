/** Written by the build (build_scripts/site/bundle.mjs): every file of the site, by its path relative to the base. */
declare module 'virtual:site' {
  interface SiteFile {
    path: string;
    bytes: number;
    /** Of a file whose name carries no hash: what its contents are now. */
    revision?: string;
  }
  /** Changes with any file of the site. */
  export const VERSION: string;
  /** What a visitor's browser keeps. */
  export const FILES: SiteFile[];
  /** The paths of what the interpreter is made of. */
  export const RUNTIME: {
    wasm: string;
    standardLibrary: string;
    packages: string;
    core: string;
    /** Gzipped; kept unpacked. */
    snapshot: string;
    /** What Pyodide wants to know of the snapshot before there is a memory: bytes. */
    snapshotHead: number[];
    /** By where they lie in the interpreter's file system. */
    sideModules: Record<string, string>;
    clientHooks: string;
    lock: string;
  };
}

/** Pyodide's glue, which can't be imported dynamically in a service worker. */
declare module 'pyodide/pyodide.asm.mjs' {
  const createPyodideModule: NonNullable<NonNullable<Parameters<typeof import('pyodide').loadPyodide>[0]>['createPyodideModule']>;
  export default createPyodideModule;
}
