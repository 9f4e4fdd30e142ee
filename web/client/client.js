// @ts-check
/**
 * One person's Matrix client: Hydrogen in a frame of the page, logged in from the start.
 *
 * The frame's name says whose client it is; who that is, the page has written into this origin's local storage before it
 * opened the frame. Both frames share that storage, so everything Hydrogen keeps under a fixed name is kept here under the
 * person's. What happens is told to the page: `loading`, `ready`, or `failed` with a sentence.
 */

import * as hydrogen from 'hydrogen-view-sdk';
import olmScript from '@matrix-org/olm/olm.js?url';
import olmWasm from '@matrix-org/olm/olm.wasm?url';

import { loadPeople } from '../page/people_store.js';
import { clientKey } from './client_storage.js';
import { improveAccessibility } from './accessibility.js';
import { PersonHistory } from './person_history.js';
import './theme.js';

const { Client, ConsoleReporter, FeatureSet, LoadStatus, Logger, Platform, SessionViewModel } = hydrogen;

/** Where Hydrogen expects its own service worker; the page's is the only one of this scope. */
const SERVICE_WORKER_HANDLER = {
  version: '0.3.1',
  buildHash: '',
  haltRequests: false,
  updateAuthData() {},
  setNavigation() {},
  checkForUpdate() {},
  async getRegistration() {},
  async preventConcurrentSessionAccess() {},
};

/**
 * @param {"loading" | "ready" | "failed"} state
 * @param {string} [detail]
 */
function tellPage(state, detail) {
  window.parent.postMessage({ type: 'client', client: window.name, state, detail }, window.location.origin);
}

/**
 * @param {HTMLElement} container
 * @param {string} name the frame's
 */
function buildPlatform(container, name) {
  const logger = new Logger({ platform: { clock: { now: () => Date.now() }, random: Math.random } });
  if (import.meta.env.DEV) logger.addReporter(new ConsoleReporter());
  const assetPaths = { olm: { wasm: olmWasm, wasmBundle: olmScript, legacyBundle: olmScript } };
  const platform = new Platform({ container, assetPaths, config: {}, logger, options: { development: false } });
  platform._serviceWorkerHandler = SERVICE_WORKER_HANDLER;
  platform.storageFactory._serviceWorkerHandler = SERVICE_WORKER_HANDLER;
  platform.sessionInfoStorage._name = clientKey(name, 'sessions');
  platform.settingsStorage._prefix = clientKey(name, 'setting ');
  platform.history = new PersonHistory(clientKey(name, 'hash'));
  platform.saveFileAs = saveFileAs;
  return platform;
}

/**
 * Hydrogen saves through a sandboxed frame, which a service worker cannot serve; a link does it too.
 * @param {{nativeBlob: Blob}} blobHandle
 * @param {string} filename
 */
function saveFileAs(blobHandle, filename) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blobHandle.nativeBlob);
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * Start from the session of an earlier visit if it is this very device's, else with a new one.
 * @param {any} client
 * @param {any} platform
 * @param {import("../page/people_store.js").Person} person
 */
async function startClient(client, platform, person) {
  const sessions = await platform.sessionInfoStorage.getAll();
  const session = sessions.find(
    (/** @type {any} */ known) => known.userId === person.userId && known.deviceId === person.deviceId,
  );
  if (session) {
    void client.startWithExistingSession(session.id);
  } else {
    const { accessToken, deviceId, userId } = person;
    void client.startWithAuthData({ accessToken, deviceId, userId, homeserver: window.location.origin });
  }
  await client.loadStatus.waitFor(isLoaded).promise;
  if (client.loadStatus.get() !== LoadStatus.Ready) throw client.loadError ?? new Error('The client did not start.');
}

/** @param {string} status */
function isLoaded(status) {
  return status === LoadStatus.Ready || status === LoadStatus.Error || status === LoadStatus.LoginFailed;
}

/**
 * @param {any} client
 * @param {any} platform
 * @param {any} features
 * @param {string} roomId the room to show when there is none to go back to
 */
function showSession(client, platform, features, roomId) {
  const path = `#/session/${client.sessionId}`;
  const last = platform.history.getLastSessionUrl();
  const hash = last?.startsWith(path) ? last : `${path}/room/${encodeURIComponent(roomId)}`;
  platform.history.replaceUrlSilently(hash);

  const navigation = hydrogen.createNavigation();
  platform.setNavigation(navigation);
  const urlRouter = hydrogen.createRouter({ navigation, history: platform.history });
  urlRouter.attach();
  const sessionViewModel = new SessionViewModel({ platform, navigation, urlRouter, features, client });
  sessionViewModel.start();
  platform.createAndMountRootView({ activeSection: 'session', sessionViewModel });
}

async function main() {
  const container = /** @type {HTMLElement} */ (document.getElementById('client'));
  const people = loadPeople();
  const person = people?.people.find((one) => one.name === window.name);
  if (!people || !person) throw new Error('The page has not said whose client this is.');
  document.title = `${person.displayName}’s client`;
  const platform = buildPlatform(container, person.name);
  await platform.init();
  const features = await FeatureSet.load(platform.settingsStorage);
  const client = new Client(platform, features);
  await startClient(client, platform, person);
  improveAccessibility(container);
  showSession(client, platform, features, people.roomId);
}

tellPage('loading');
main().then(
  () => tellPage('ready'),
  (error) => {
    console.error(error);
    tellPage('failed', error?.message ?? String(error));
  },
);
