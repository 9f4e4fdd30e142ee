// @ts-check
/**
 * Alice and Bob: registered once per homeserver, in one encrypted room. Nothing is sent in their name; what is said there,
 * they say themselves, with their own keys.
 */

import { forgetClients } from '../client/client_storage.js';
import { callMatrix, MatrixError } from './matrix_api.js';
import { forgetPeople, loadPeople, savePeople } from './people_store.js';

/** @typedef {import("./people_store.js").Person} Person */
/** @typedef {import("./people_store.js").People} People */

const NAMES = ['Alice', 'Bob'];
const ROOM_NAME = 'Front porch';
const ROOM_TOPIC = 'Say something on one side, and read it on the other.';

/**
 * The people of this homeserver: those of an earlier visit if it still knows them, else new ones.
 * @returns {Promise<People>}
 * @throws {MatrixError}
 */
export async function meetPeople() {
  const known = loadPeople();
  if (known && (await areKnown(known.people))) return known;
  forgetPeople();
  await forgetClients();
  const people = [];
  for (const name of NAMES) people.push(await registerPerson(name));
  const roomId = await shareRoom(people);
  savePeople({ people, roomId });
  return { people, roomId };
}

/**
 * Whether the homeserver still takes the tokens of these people. It doesn't after a reset, nor when the browser has thrown
 * its database away.
 * @param {Person[]} people
 */
async function areKnown(people) {
  try {
    await Promise.all(people.map(({ accessToken }) => callMatrix('GET', '/account/whoami', { token: accessToken })));
    return true;
  } catch (error) {
    if (error instanceof MatrixError && error.status === 401) return false;
    throw error;
  }
}

/**
 * @param {string} displayName
 * @returns {Promise<Person>}
 */
async function registerPerson(displayName) {
  const name = displayName.toLowerCase();
  const password = randomText();
  const account = await registerFirstFree([name, `${name}-${randomText().slice(0, 4)}`], password);
  const person = {
    name,
    displayName,
    userId: account.user_id,
    deviceId: account.device_id,
    accessToken: account.access_token,
    password,
  };
  const path = `/profile/${encodeURIComponent(person.userId)}/displayname`;
  await callMatrix('PUT', path, { token: person.accessToken, body: { displayname: displayName } });
  return person;
}

/**
 * The first of the names may be somebody's, when a set-up was interrupted or the database of another site was imported.
 * @param {string[]} usernames
 * @param {string} password
 */
async function registerFirstFree(usernames, password) {
  const [username, ...others] = usernames;
  const body = {
    username,
    password,
    initial_device_display_name: 'Hydrogen in the Tabstead page',
    auth: { type: 'm.login.dummy' },
  };
  try {
    return await callMatrix('POST', '/register', { body });
  } catch (error) {
    if (others.length === 0 || !(error instanceof MatrixError) || error.errcode !== 'M_USER_IN_USE') throw error;
    return registerFirstFree(others, password);
  }
}

/**
 * @param {Person[]} people
 * @returns {Promise<string>} the room's id
 */
async function shareRoom([host, ...guests]) {
  const room = await callMatrix('POST', '/createRoom', {
    token: host.accessToken,
    body: {
      preset: 'trusted_private_chat',
      name: ROOM_NAME,
      topic: ROOM_TOPIC,
      invite: guests.map((guest) => guest.userId),
      initial_state: [{ type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
    },
  });
  for (const guest of guests) {
    await callMatrix('POST', `/rooms/${encodeURIComponent(room.room_id)}/join`, { token: guest.accessToken, body: {} });
  }
  return room.room_id;
}

/** 128 random bits, in lower case letters and digits. */
function randomText() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
