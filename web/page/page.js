// @ts-check
/**
 * The page: gets the homeserver running in its service worker, lets two people in, and shows how it is doing.
 */

// The worker gives every page its hooks, but this page's first load comes before there is a worker.
import '../../service_worker/client_hooks.js';

import { exportServer, importServer, resetServer, saveCopy } from './backup.js';
import { BootView } from './boot_view.js';
import { openConsoleHook } from './console_hook.js';
import { confirmed } from './confirm.js';
import { byId } from './dom.js';
import { takePageLock } from './page_lock.js';
import { Panes } from './panes.js';
import { meetPeople } from './people.js';
import { loadPeople } from './people_store.js';
import { offerPersistence } from './persistence.js';
import { showState, showStatus } from './status_line.js';
import { findTrouble, loss, showTrouble, troubleOf, TROUBLES } from './trouble.js';
import { WorkerLink } from './worker_link.js';

const boot = new BootView();
const panes = new Panes();

/** @param {import("../../service_worker/messages.js").Notice} notice */
function onNotice(notice) {
  if (notice.type === 'progress') boot.advance(notice.stage, notice.loaded, notice.total);
  if (notice.type === 'status') showStatus(notice.status);
  if (notice.type === 'failure') {
    showState('failed');
    tell(notice.message, 'error');
  }
}

/** How long good news stays; bad news stays until there is other. */
const NOTICE_MS = 10_000;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let fading;

/**
 * Say something at the foot of the page.
 * @param {string} text
 * @param {"news" | "error"} [tone]
 */
function tell(text, tone = 'news') {
  const notice = byId('notice');
  clearTimeout(fading);
  notice.textContent = text;
  notice.dataset.tone = tone;
  if (tone === 'news') fading = setTimeout(() => (notice.textContent = ''), NOTICE_MS);
}

/**
 * @param {unknown} error
 */
function tellError(error) {
  console.error(error);
  tell(error instanceof Error ? error.message : String(error), 'error');
}

/** @param {string} reason */
const tellLoss = (reason) => tell(`The browser lost what was stored here; this is a new server. (${reason})`, 'error');

/** Close what another tab has taken over. */
function leave() {
  panes.close();
  showState('paused');
  showTrouble(TROUBLES.elsewhere);
}

async function main() {
  const trouble = await findTrouble();
  if (trouble) return showTrouble(trouble);
  if (loss) tellLoss(loss);
  if (await takePageLock(leave)) return run();
  return showTrouble(TROUBLES.elsewhere, {
    onAction: async () => {
      await takePageLock(leave, { steal: true });
      byId('trouble').hidden = true;
      await run();
    },
  });
}

async function run() {
  boot.show(loadPeople() === null);
  try {
    const link = await WorkerLink.connect(onNotice);
    openConsoleHook(link);
    offerUpdates(link);
    await start(link).finally(() => offerCommands(link));
    await offerPersistence(tell);
  } catch (error) {
    console.error(error);
    showTrouble(troubleOf(error), { error });
  }
}

/** @param {WorkerLink} link */
async function start(link) {
  boot.advance('start');
  const status = await link.ask({ type: 'start' });
  showStatus(status);
  if (status.loss) tellLoss(status.loss);
  await openPanes();
}

async function openPanes() {
  boot.advance('people');
  const people = await meetPeople();
  boot.advance('clients');
  await panes.open(people);
  boot.hide();
}

/**
 * What can be done to the whole server, also to one that does not start.
 * @param {WorkerLink} link
 */
function offerCommands(link) {
  const file = /** @type {HTMLInputElement} */ (byId('import-file'));
  byId('export').onclick = () => command('Making a copy…', async () => saveCopy(await exportServer(link)), 'Exported.');
  byId('import').onclick = () => file.click();
  file.onchange = () => file.files?.[0] && confirmImport(link, file.files[0]).finally(() => (file.value = ''));
  byId('reset').onclick = () => confirmReset(link);
  byId('menu-button').hidden = false;
}

/**
 * @param {WorkerLink} link
 * @param {File} copy
 */
async function confirmImport(link, copy) {
  const question = {
    title: 'Replace this server?',
    text: `Everything here is deleted, and “${copy.name}” takes its place.`,
    yes: 'Import',
  };
  if (await confirmed(question)) await command('Importing…', () => importServer(link, copy), 'Imported.');
}

/** @param {WorkerLink} link */
async function confirmReset(link) {
  const question = {
    title: 'Delete this server?',
    text: 'All messages, media and keys in it are deleted for good, unless you have exported them.',
    yes: 'Delete everything',
  };
  if (await confirmed(question)) await command('Deleting…', () => resetServer(link), 'A new server.');
}

/**
 * Do something to the whole server while the clients are closed, then open them again.
 * @param {string} doing
 * @param {() => Promise<void>} work
 * @param {string} done
 */
async function command(doing, work, done) {
  byId('menu').hidePopover();
  byId('menu-button').toggleAttribute('disabled', true);
  tell(doing);
  panes.close();
  const outcome = await work().then(
    () => () => tell(done),
    (error) => () => tellError(error),
  );
  byId('trouble').hidden = true;
  await openPanes().catch((error) => showTrouble(troubleOf(error), { error }));
  byId('menu-button').toggleAttribute('disabled', false);
  outcome();
}

/** @param {WorkerLink} link */
function offerUpdates(link) {
  const button = byId('update');
  link.watchUpdates(() => (button.hidden = false));
  button.onclick = async () => {
    button.hidden = true;
    showState('updating');
    panes.close();
    await link.activateUpdate();
    window.location.reload();
  };
}

void main();
