// @ts-check
/**
 * People who send messages in a page without pause, whatever happens to the worker, and the books that are kept about it:
 * what was acknowledged to them, and what the database has in the end.
 * @module
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { fetchJson } from './browser.mjs';

/** @typedef {import('puppeteer-core').Page} Page */
/** @typedef {{ userId: string, headers: { authorization: string } }} Person */

/**
 * A request of a person's, who expects it to succeed; the answer's body.
 * @param {Page} page
 * @param {Person} person
 * @param {string} method
 * @param {string} path  below `/_matrix/client/v3/`
 * @param {object} [content]
 */
export async function ask(page, person, method, path, content) {
  const answer = await fetchJson(page, `/_matrix/client/v3/${path}`, {
    method,
    headers: person.headers,
    ...(content && { body: JSON.stringify(content) }),
  });
  assert.equal(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** What was acknowledged: event ids by what the message said. */
export class Books {
  /** @type {Map<string, string>} */
  acknowledged = new Map();

  /** @type {((value?: unknown) => void)[]} */
  #waiting = [];

  /**
   * @param {string} text
   * @param {string} eventId
   */
  note(text, eventId) {
    this.acknowledged.set(text, eventId);
    this.#waiting.splice(0).forEach((resolve) => resolve());
  }

  /** Wait for the next acknowledgement. */
  next() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/**
 * Let several writers send in the page until it is gone or `stopSending` is called. Each repeats a message that failed with
 * its transaction id, as every Matrix client does.
 * @param {Page} page
 * @param {Person} person
 * @param {string} roomId
 * @param {Books} books
 * @param {{ writers: number, prefix: string }} options  texts begin with the prefix and are never equal
 */
export async function startSending(page, person, roomId, books, { writers, prefix }) {
  await page.exposeFunction('acknowledge', (/** @type {string} */ text, /** @type {string} */ id) => books.note(text, id));
  await page.evaluate(sendInPage, { headers: person.headers, roomId, writers, prefix });
}

/** @param {{ headers: Record<string, string>, roomId: string, writers: number, prefix: string }} options */
function sendInPage({ headers, roomId, writers, prefix }) {
  const page = /** @type {any} */ (window);
  const room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/`;
  page.sending = true;
  /** @param {string} text */
  const deliver = async (text) => {
    const options = { method: 'PUT', headers, body: JSON.stringify({ msgtype: 'm.text', body: text }) };
    for (;;) {
      const response = await fetch(room + encodeURIComponent(text), options).catch(() => null);
      if (response?.ok) return (await response.json()).event_id;
      if (response && response.status < 500 && response.status !== 429) {
        throw new Error(`${response.status}: ${await response.text()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  /** @param {number} writer */
  const write = async (writer) => {
    for (let number = 0; page.sending; number++) {
      const text = `${prefix} ${writer} ${number}`;
      await page.acknowledge(text, await deliver(text));
    }
  };
  page.writers = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
}

/**
 * Let the writers end the message they are at, and stop.
 * @param {Page} page
 */
export function stopSending(page) {
  return page.evaluate(async () => {
    const { writers } = Object.assign(/** @type {any} */ (window), { sending: false });
    await writers;
  });
}

/**
 * The database as the page exports it, opened by an SQLite that isn't ours.
 * @template T
 * @param {Page} page
 * @param {(database: DatabaseSync, file: string) => T} look
 * @returns {Promise<T>}
 */
export async function lookIntoDatabase(page, look) {
  const base64 = await page.evaluate(exportInPage);
  const folder = mkdtempSync(join(tmpdir(), 'tabstead-export-'));
  try {
    const file = join(folder, 'export.db');
    writeFileSync(file, Buffer.from(base64, 'base64'));
    const database = new DatabaseSync(file);
    const found = look(database, file);
    database.close();
    return found;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function exportInPage() {
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  /** @type {import('../../service_worker/messages.js').Reply} */
  const reply = await new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data);
    active?.postMessage({ type: 'export' }, [port2]);
  });
  if (!reply.ok) throw new Error(reply.error);
  return /** @type {any} */ (new Uint8Array(await reply.value.arrayBuffer())).toBase64();
}

/**
 * The event ids and texts of the messages in a database.
 * @param {string} file
 * @returns {[string, string][]}
 */
export function storedMessages(file) {
  const program = fileURLToPath(new URL('stored_messages.py', import.meta.url));
  const python = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));
  return JSON.parse(execFileSync(python, [program, file], { encoding: 'utf8', maxBuffer: 1 << 28 }));
}

/**
 * Every acknowledged message is there, under the id that was acknowledged; none is there twice; SQLite finds the database
 * sound.
 * @param {Page} page
 * @param {Books} books
 */
export async function checkNothingIsLost(page, books) {
  const { problems, stored } = await lookIntoDatabase(page, (database, file) => ({
    problems: database.prepare('PRAGMA integrity_check').all(),
    stored: storedMessages(file),
  }));
  assert.deepEqual(problems.map((problem) => problem.integrity_check), ['ok']);
  const texts = new Map(stored.map(([id, text]) => [text, id]));
  assert.equal(texts.size, stored.length, 'no message is there twice');
  const lost = [...books.acknowledged].filter(([text, id]) => texts.get(text) !== id);
  assert.deepEqual(lost, [], `of ${books.acknowledged.size} acknowledged and ${stored.length} stored messages`);
}

/** A number between two, for a moment that nobody chose. @param {number} low @param {number} high */
export const between = (low, high) => low + Math.random() * (high - low);

/** @param {number} ms */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
