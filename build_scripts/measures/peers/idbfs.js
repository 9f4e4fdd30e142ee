/** Whole-file persistence: Pyodide's SQLite on a file in memory, which Emscripten's IDBFS writes to IndexedDB as a whole. */
import './counting.js';
import { answerCommands, startPlainPyodide, timeTransactions } from './peer.js';

const PATH = '/data/homeserver.db';

// IDBFS leaves the durability to the browser's default, which is a relaxed one; here it is as strict as ours.
const { transaction } = IDBDatabase.prototype;
IDBDatabase.prototype.transaction = function (stores, mode) {
  return transaction.call(this, stores, mode, { durability: 'strict' });
};

let pyodide;
let execute;

const synchronise = () =>
  new Promise((resolve, reject) => pyodide.FS.syncfs(false, (error) => (error ? reject(error) : resolve())));

answerCommands({
  async prepare({ url }) {
    pyodide = await startPlainPyodide([]);
    pyodide.FS.mkdir('/data');
    pyodide.FS.mount(pyodide.FS.filesystems.IDBFS, {}, '/data');
    pyodide.FS.writeFile(PATH, new Uint8Array(await (await fetch(url)).arrayBuffer()));
    await synchronise();
    execute = pyodide.runPython(`
import sqlite3
db = sqlite3.connect("${PATH}", isolation_level=None, cached_statements=512)
for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=MEMORY", "synchronous=OFF", "temp_store=MEMORY"):
    db.execute("PRAGMA " + pragma).fetchall()

def execute(statements):
    for statement in statements:
        db.execute(statement).fetchall()

execute
`);
  },

  /** All that wait are executed, and one synchronisation makes them durable together. */
  replay: ({ transactions, atOnce }) =>
    timeTransactions(transactions, atOnce, async (waiting, done) => {
      for (const statements of waiting) execute(statements);
      await synchronise();
      waiting.forEach(done);
    }),

  count: () => pyodide.runPython('db.execute("SELECT count(*) FROM events").fetchone()[0]'),
});
