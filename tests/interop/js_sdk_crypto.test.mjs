// @ts-check
/**
 * matrix-js-sdk's rust crypto, unchanged, against `tabstead serve`: identities, verification, secrets that the server
 * keeps for a user without knowing them, and a new device that gets at all of the past.
 *
 * The tests of this file are chapters of one story and run in their order.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { EventType, Preset } from 'matrix-js-sdk';
import { VerificationPhase } from 'matrix-js-sdk/lib/crypto-api/index.js';

import {
  contentOf,
  cryptoOf,
  found,
  logIn,
  membershipOf,
  passwordOf,
  register,
  roomOf,
  startEncrypted,
  stopClients,
  tameSdk,
  textOf,
  until,
} from '../helpers/js_sdk.mjs';
import { createServerFolder, deleteServerFolder, startNativeServer } from '../helpers/native_server.mjs';

/** @typedef {import('matrix-js-sdk').MatrixClient} MatrixClient */
/** @typedef {import('matrix-js-sdk/lib/crypto-api/index.js').VerificationRequest} VerificationRequest */

const ALICE = '@alice:localhost';
const BOB = '@bob:localhost';

/** @type {string} */
let folder;
/** @type {Awaited<ReturnType<typeof startNativeServer>>} */
let server;
/** @type {MatrixClient} */
let alice;
/** @type {MatrixClient} Alice's second device. */
let tablet;
/** @type {MatrixClient} */
let bob;
/** @type {string} */
let roomId;
/** @type {string} */
let questionId;

/** Alice's key of her secret storage, which she wrote down. */
const recovery = { id: '', /** @type {Uint8Array<ArrayBuffer>} */ key: new Uint8Array() };

/** @type {import('matrix-js-sdk/lib/crypto-api/index.js').CryptoCallbacks} */
const cryptoCallbacks = {
  getSecretStorageKey: async () => [recovery.id, recovery.key],
  cacheSecretStorageKey: (id, _, key) => void Object.assign(recovery, { id, key }),
};

before(async () => {
  tameSdk();
  folder = await createServerFolder();
  server = await startNativeServer(folder);
});

after(async () => {
  stopClients();
  await server?.kill();
  await deleteServerFolder(folder);
});

test('Alice and Bob set up their cross-signing', async () => {
  alice = await startEncrypted(await register(server, 'alice', { cryptoCallbacks }));
  bob = await startEncrypted(await register(server, 'bob'));
  await bootstrapCrossSigning(alice, 'alice');
  await bootstrapCrossSigning(bob, 'bob');
  assert.ok(await cryptoOf(alice).isCrossSigningReady());
  assert.ok(await cryptoOf(bob).userHasCrossSigningKeys(ALICE, true), 'Bob can look up the identity of Alice');
});

test('the server keeps the secrets of Alice, and a backup of her keys', async () => {
  await cryptoOf(alice).bootstrapSecretStorage({
    createSecretStorageKey: () => cryptoOf(alice).createRecoveryKeyFromPassphrase(),
    setupNewKeyBackup: true,
  });
  assert.ok(await cryptoOf(alice).isSecretStorageReady());
  assert.ok(await cryptoOf(alice).isCrossSigningReady());
  assert.ok(await cryptoOf(alice).getActiveSessionBackupVersion());
});

test('Alice and Bob talk in an encrypted room', async () => {
  const created = await alice.createRoom({
    preset: Preset.TrustedPrivateChat,
    invite: [BOB],
    initial_state: [
      { type: EventType.RoomEncryption, state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  });
  roomId = created.room_id;
  await until(() => membershipOf(bob, roomId) === 'invite', 'Bob sees the invitation');
  await bob.joinRoom(roomId);
  await until(() => roomOf(bob, roomId).hasEncryptionStateEvent(), 'Bob knows that the room is encrypted');
  await until(() => roomOf(alice, roomId).getMember(BOB)?.membership === 'join', 'Alice sees Bob');

  questionId = (await alice.sendTextMessage(roomId, 'Which way?')).event_id;
  await until(() => textOf(bob, roomId, questionId) === 'Which way?', 'Bob reads the question');
  const answer = await bob.sendTextMessage(roomId, 'North.');
  await until(() => textOf(alice, roomId, answer.event_id) === 'North.', 'Alice reads the answer');
});

test('Bob verifies Alice by comparing emoji', async () => {
  const asked = await cryptoOf(bob).requestVerificationDM(ALICE, roomId);
  const received = () => cryptoOf(alice).findVerificationRequestDMInProgress(roomId, BOB);
  await verifyByEmoji(asked, await found(received, 'Alice is asked'));
  for (const [client, other] of /** @type {[MatrixClient, string][]} */ ([[bob, ALICE], [alice, BOB]])) {
    await until(
      async () => (await cryptoOf(client).getUserVerificationStatus(other)).isCrossSigningVerified(),
      `${other} is verified`,
    );
  }
});

test("a new device proves to be Alice's with the key of her secret storage", async () => {
  await until(async () => (await backedUp()) >= 2, 'both keys of the conversation are in the backup');
  tablet = await startEncrypted(await logIn(server, 'alice', { cryptoCallbacks }));
  assert.notEqual(tablet.getDeviceId(), alice.getDeviceId());
  assert.equal(await cryptoOf(tablet).isCrossSigningReady(), false);
  await importCrossSigning(tablet);
  assert.ok(await cryptoOf(tablet).isCrossSigningReady());

  for (const watcher of [alice, bob]) {
    await until(async () => {
      const status = await cryptoOf(watcher).getDeviceVerificationStatus(ALICE, tablet.getDeviceId() ?? '');
      return status?.crossSigningVerified;
    }, `${watcher.getUserId()} trusts the new device`);
  }
});

test('the new device restores the keys from the backup, and reads what was said before it was there', async () => {
  await until(() => roomOf(tablet, roomId).findEventById(questionId), 'the tablet has the old question');
  assert.equal(textOf(tablet, roomId, questionId), undefined, 'it has no key yet');
  await cryptoOf(tablet).loadSessionBackupPrivateKeyFromSecretStorage();
  const { total, imported } = await cryptoOf(tablet).restoreKeyBackup();
  assert.equal(imported, total);
  assert.ok(imported >= 2);
  await until(() => textOf(tablet, roomId, questionId) === 'Which way?', 'the tablet reads the question');
});

test('what Bob says now, both devices of Alice read', async () => {
  const { event_id: eventId } = await bob.sendTextMessage(roomId, 'Then east.');
  for (const device of [alice, tablet]) {
    await until(() => textOf(device, roomId, eventId) === 'Then east.', `${device.getDeviceId()} reads it`);
  }
});

test('two devices of Alice verify each other', async () => {
  const phone = await startEncrypted(await logIn(server, 'alice'));
  const asked = await cryptoOf(phone).requestOwnUserVerification();
  const received = () => cryptoOf(alice).getVerificationRequestsToDeviceInProgress(ALICE)[0];
  await verifyByEmoji(asked, await found(received, 'the first device is asked'));
  await until(() => cryptoOf(phone).isCrossSigningReady(), 'the phone got the secrets of the other device');
  const { event_id: eventId } = await phone.sendTextMessage(roomId, 'And back.');
  await until(() => textOf(bob, roomId, eventId) === 'And back.', 'Bob reads what the phone wrote');

  await phone.logout(true);
  await until(async () => {
    const devices = await cryptoOf(bob).getUserDeviceInfo([ALICE], true);
    return !devices.get(ALICE)?.has(phone.getDeviceId() ?? '');
  }, 'Bob sees the phone no more');
});

test('while no device of Alice is there, a dehydrated one takes the keys', async () => {
  assert.ok(await cryptoOf(alice).isDehydrationSupported());
  await cryptoOf(alice).startDehydration();
  await until(async () => {
    const devices = await cryptoOf(bob).getUserDeviceInfo([ALICE], true);
    return [...(devices.get(ALICE)?.values() ?? [])].some((device) => device.dehydrated);
  }, 'Bob sees the dehydrated device');
  for (const device of [alice, tablet]) await device.logout(true);
  await until(async () => {
    const devices = await cryptoOf(bob).getUserDeviceInfo([ALICE], true);
    return devices.get(ALICE)?.size === 1;
  }, 'Bob sees the dehydrated device alone');
  const { event_id: eventId } = await bob.sendTextMessage(roomId, 'Still there?');

  const laptop = await startEncrypted(await logIn(server, 'alice', { cryptoCallbacks }));
  await until(() => roomOf(laptop, roomId).findEventById(eventId), 'the laptop has the message');
  assert.equal(contentOf(laptop, roomId, eventId), undefined, 'it has no key yet');
  await importCrossSigning(laptop);
  await cryptoOf(laptop).startDehydration();
  await until(() => textOf(laptop, roomId, eventId) === 'Still there?', 'the laptop reads the message');
});

/**
 * @param {MatrixClient} client
 * @param {string} username
 */
function bootstrapCrossSigning(client, username) {
  return cryptoOf(client).bootstrapCrossSigning({
    authUploadDeviceSigningKeys: (makeRequest) =>
      makeRequest({
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: username },
        password: passwordOf(username),
      }),
  });
}

/**
 * Take the identity's secrets from the secret storage, once the client knows the identity that they belong to.
 * @param {MatrixClient} client
 */
async function importCrossSigning(client) {
  assert.ok(await cryptoOf(client).userHasCrossSigningKeys(undefined, true));
  await cryptoOf(client).bootstrapCrossSigning({});
}

/** How many keys Alice's backup holds, asked anew. */
async function backedUp() {
  return (await cryptoOf(alice).checkKeyBackupAndEnable())?.backupInfo.count ?? 0;
}

/**
 * Two sides of a verification see the same emoji, and say so.
 * @param {VerificationRequest} asked
 * @param {VerificationRequest} received
 */
async function verifyByEmoji(asked, received) {
  await received.accept();
  await until(() => asked.phase === VerificationPhase.Ready, 'the other side is ready');
  const first = await asked.startVerification('m.sas.v1');
  const second = await found(() => received.verifier, 'the other side knows that it began');
  const verified = Promise.all([first.verify(), second.verify()]);
  const here = await found(() => first.getShowSasCallbacks(), 'one side sees emoji');
  const there = await found(() => second.getShowSasCallbacks(), 'the other side sees emoji');
  assert.equal(here.sas.emoji?.length, 7);
  assert.deepEqual(here.sas.emoji, there.sas.emoji);
  await Promise.all([here.confirm(), there.confirm()]);
  for (const side of [asked, received]) await until(() => side.phase === VerificationPhase.Done, 'it is done');
  await verified;
}
