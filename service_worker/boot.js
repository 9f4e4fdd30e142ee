// @ts-check
/**
 * One life of the homeserver: start it once, share the start among all who wait, start again after a break-down.
 *
 * The database has one writer. Whoever runs the homeserver holds an exclusive Web Lock named by the scope; the browser
 * lets go of it when the worker dies. Should two ever believe they have it, the page store's fence stops the older.
 * @module
 */
import { PageFile, PageFileLost, mount } from './page_store/index.js';
import { Bridge } from './bridge.js';
import { readConfiguration, refreshConfiguration } from './configuration.js';
import { startInterpreter } from './interpreter.js';
import { sentenceOf } from './matrix_errors.js';
import { announce, announceProgress } from './notices.js';
import { outbound } from './outbound.js';
import { onceInBrowserLife } from './quirks.js';
import { scopedName } from './site.js';
import { canvas } from './thumbnails.js';

const DATABASE_PATH = '/data/homeserver.db';

/** How long a start waits for another worker to let go of the database. */
const LOCK_PATIENCE_MS = 20_000;

/** After the requests that woke the worker, before a person has typed much. */
const WARM_UP_AFTER_MS = 500;

/** @typedef {{ bridge: Bridge, file: PageFile }} Homeserver */

/** @type {Promise<Homeserver> | null} */
let life = null;

/** The running homeserver, once the start is over. @type {Homeserver | null} */
let running = null;

/** Lets go of the lock. @type {(() => void) | null} */
let release = null;

/** What is known of this life. */
export const facts = {
  /** @type {'stopped' | 'starting' | 'running' | 'failed'} */
  state: 'stopped',
  startedAt: Date.now(),
  /** @type {number | null} */
  wakeUpMs: null,
  /** By `performance.now()`. */
  runningSince: 0,
  isCompacting: false,
  /** Why the browser deleted the database that was here before. @type {string | null} */
  loss: null,
  /** @type {string | null} */
  serverName: null,
};

/** The homeserver, started if it isn't. Rejects when it can't start; the next call tries again. */
export function ensureHomeserver() {
  life ??= start();
  return life;
}

/** The homeserver if it runs, without starting it. */
export const runningHomeserver = () => running;

/** The homeserver's name: the present one's, or the last one's while there is none. Null when none starts. */
export async function findServerName() {
  if (facts.serverName === null) await ensureHomeserver().catch(() => {}); // told by `start`
  return facts.serverName;
}

/** Whether a request would have to wait for the start. */
export const isStarting = () => running === null;

async function start() {
  const began = performance.now();
  facts.state = 'starting';
  announce({ type: 'progress', stage: 'start' });
  try {
    const started = await open();
    running = started;
    facts.state = 'running';
    facts.runningSince = performance.now();
    facts.wakeUpMs = facts.runningSince - began;
    facts.serverName = started.bridge.serverName;
    setTimeout(() => warmUp(started), WARM_UP_AFTER_MS);
    return started;
  } catch (error) {
    console.error('The homeserver could not start:', error);
    life = null;
    facts.state = 'failed';
    release?.();
    void refreshConfiguration(); // what is wrong may be that, and mended by now
    announce({ type: 'failure', phase: 'start', message: sentenceOf(error) });
    throw error;
  }
}

/**
 * What the first requests need not wait for and later ones are glad of: the cryptography, the database's pages.
 * @param {Homeserver} homeserver
 */
async function warmUp(homeserver) {
  if (homeserver !== running) return;
  homeserver.bridge.warmUp();
  await homeserver.file.warm().catch(() => {}); // whoever needs a page asks for it
  await refreshConfiguration();
}

/** @returns {Promise<Homeserver>} */
async function open() {
  const database = openFile();
  database.catch(() => {}); // awaited below; it may fail before that
  /** Rejects when the interpreter dies; what it was asked to do stays undone then. @type {PromiseWithResolvers<never>} */
  const death = Promise.withResolvers();
  death.promise.catch(() => {});
  try {
    const pyodide = await startInterpreter(death.reject);
    const [file, { text, host, baseUrl }] = await Promise.all([database, readConfiguration()]);
    noteLoss(file.loss);
    mount(pyodide.FS, DATABASE_PATH, file);
    /** Bringing a big database of an older version into today's form takes a while. @param {number} share */
    const progress = (share) => announceProgress('start', Math.round(share * file.size), file.size);
    const opening = Bridge.open(pyodide, { configuration: text, host, baseUrl, file, canvas, outbound, progress });
    const homeserver = { bridge: await Promise.race([opening, death.promise]), file };
    death.promise.catch((error) => breakDown(homeserver, error));
    return homeserver;
  } catch (error) {
    closeFile(database);
    throw error;
  }
}

/** @param {string | null} reason */
function noteLoss(reason) {
  facts.loss = reason;
  if (reason) console.error('The browser deleted the database, which it found damaged:', reason);
}

/** @param {Homeserver} homeserver @param {unknown} error */
function breakDown({ bridge, file }, error) {
  console.error('The interpreter died:', error);
  forget();
  bridge.abandon();
  closeFile(Promise.resolve(file));
}

/** Close a page file that nobody uses any more. @param {Promise<PageFile>} opened */
const closeFile = (opened) => void opened.then((file) => file.close()).catch(() => {});

/**
 * A request has failed: if that is because the database is gone (deleted by the browser, or taken over), the next request
 * starts with what is there now.
 * @param {Homeserver} homeserver
 */
export function checkDatabase(homeserver) {
  if (homeserver === running && homeserver.file.stale instanceof PageFileLost) forget();
}

/** The database's file, when no other worker has it. */
export async function openFile() {
  await takeLock();
  const file = await PageFile.open(scopedName('homeserver'));
  onceInBrowserLife(() => file.beginNewLogFile()).catch((error) => console.warn('The log file goes on:', error));
  return file;
}

/** Take the lock for this worker's life, unless it has it. */
function takeLock() {
  if (release) return Promise.resolve();
  const signal = AbortSignal.timeout(LOCK_PATIENCE_MS);
  return new Promise((resolve, reject) => {
    const hold = () =>
      new Promise((/** @type {(value?: unknown) => void} */ letGo) => {
        release = () => {
          release = null;
          letGo();
        };
        resolve(undefined);
      });
    navigator.locks.request(scopedName('homeserver'), { signal }, hold).catch(() => {
      reject(new Error('Another tab or an older version of this page still runs the homeserver.'));
    });
  });
}

/** The next request starts anew. */
function forget() {
  life = running = null;
  facts.state = 'stopped';
}

/** End the homeserver in an orderly way and let go of the database. */
export async function stopHomeserver() {
  await end();
  release?.();
}

/**
 * End this life, do something to the database, begin the next life. Requests that come meanwhile wait for that.
 * @param {() => Promise<void>} work
 */
export async function betweenLives(work) {
  const done = end().then(work);
  life = done.catch(() => {}).then(start);
  life.catch(() => {}); // whoever waits is told
  await done;
  await life;
}

/** Delete the whole homeserver and begin a new one. */
export const resetHomeserver = () =>
  betweenLives(async () => {
    await takeLock();
    await PageFile.destroy(scopedName('homeserver'));
  });

/** End this life, if there is one. */
async function end() {
  const ending = life;
  forget();
  const homeserver = await ending?.catch(() => null);
  if (homeserver && running === homeserver) {
    running = null; // it was starting; what follows is begun already
    facts.state = 'stopped';
  }
  await homeserver?.bridge.close().catch(() => {}); // the database may be lost, on purpose
}
