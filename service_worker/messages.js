// @ts-check
/**
 * What the page and the service worker say to each other: the shapes, and the name of the channel.
 *
 * Three ways, each for what it is good at:
 *
 * - **Notices** go from the worker to every page on a `BroadcastChannel`. Listening to one neither wakes the worker nor
 *   keeps it awake, and it reaches pages that the worker doesn't control yet, as on the first visit.
 * - **Requests** go from a page to the worker by `postMessage` with one end of a `MessageChannel`; the worker answers once,
 *   on that port, with a `Reply`. They wake a stopped worker and count as work of it.
 * - **Everything of Matrix** goes by `fetch`.
 */

/**
 * The stages of a first visit, in their order.
 * `download` and `unpack` count bytes; `start` has no measure, unless a database of an older version is brought into
 * today's form: then it counts that one's.
 * @typedef {"download" | "unpack" | "start"} Stage
 */

/**
 * How far the installation or a start has come.
 * @typedef {object} ProgressNotice
 * @property {"progress"} type
 * @property {Stage} stage
 * @property {number} [loaded] bytes done in this stage
 * @property {number} [total] bytes of this stage
 * @property {string} [file] the file that was finished last
 */

/**
 * The worker could not install, or could not start the homeserver. It tries again on the next request.
 * @typedef {object} FailureNotice
 * @property {"failure"} type
 * @property {"install" | "start"} phase
 * @property {string} message one sentence, for people
 */

/**
 * Sent after the homeserver stored something, at most once a second.
 * @typedef {object} StatusNotice
 * @property {"status"} type
 * @property {Status} status
 */

/** @typedef {ProgressNotice | FailureNotice | StatusNotice} Notice */

/**
 * @typedef {object} Status
 * @property {"stopped" | "starting" | "running" | "failed"} homeserver
 * @property {string | null} serverName null before the first start of this life of the worker
 * @property {string} version of Tabstead
 * @property {number} startedAt when this life of the worker began, in ms since the Unix epoch
 * @property {number | null} wakeUpMs how long the homeserver took to start in this life
 * @property {number} events events stored
 * @property {number} bytesStored size of the database
 * @property {boolean} isCompacting whether it is being made smaller at the moment
 * @property {string | null} loss why the browser deleted the former database, when it did so before this life
 */

/**
 * `start` starts the homeserver and answers with its status; `claim` makes the worker control pages that were loaded around
 * it (a hard reload); `drain` ends parked `/sync` calls and lets go of the database, so that a newer worker can take over;
 * `skip-waiting` is for that newer one; `python` runs a developer's code in the worker and answers with
 * the `repr` of its last expression; `micropip` installs packages there for the worker's life.
 * @typedef {{type: "status"} | {type: "start"} | {type: "claim"} | {type: "export"} | {type: "import", file: Blob}
 *   | {type: "reset"} | {type: "drain"} | {type: "skip-waiting"} | {type: "python", code: string}
 *   | {type: "micropip", packages: string[]}} Request
 */

/**
 * `value` is a `Status` for `status` and `start`, a `Blob` (an SQLite database) for `export`, a string for `python`.
 * @typedef {{ok: true, value?: any} | {ok: false, error: string}} Reply
 */

/**
 * The channel of notices. Two scopes on one origin are two homeservers, so the scope is in the name.
 * @param {string} scope the registration's scope, a URL
 */
export const noticeChannelName = (scope) => `tabstead ${new URL(scope).pathname}`;
