/** wa-sqlite with IDBBatchAtomicVFS, in strict durability as ours. */
import './counting.js';
import SQLiteModule from './assets/wa-sqlite/dist/wa-sqlite-async.mjs';
import * as SQLite from './assets/wa-sqlite/src/sqlite-api.js';
import { IDBBatchAtomicVFS } from './assets/wa-sqlite/src/examples/IDBBatchAtomicVFS.js';
import { answerCommands, timeTransactions } from './peer.js';

const NAME = 'homeserver.db';
const PAGE = 4096;

let sqlite3;
let db;

const newVFS = () => new IDBBatchAtomicVFS('peer', { durability: 'strict' });

/** Write a database through the VFS, as SQLite would, in one atomic batch. */
async function importFile(bytes) {
  const vfs = newVFS();
  const flags = SQLite.SQLITE_OPEN_CREATE | SQLite.SQLITE_OPEN_READWRITE | SQLite.SQLITE_OPEN_MAIN_DB;
  await vfs.xOpen(NAME, 1, flags, new DataView(new ArrayBuffer(4)));
  await vfs.xLock(1, SQLite.SQLITE_LOCK_SHARED);
  await vfs.xLock(1, SQLite.SQLITE_LOCK_RESERVED);
  await vfs.xLock(1, SQLite.SQLITE_LOCK_EXCLUSIVE);
  for (let start = 0; start < bytes.length; start += PAGE) await vfs.xWrite(1, bytes.subarray(start, start + PAGE), start);
  await vfs.xSync(1, 0);
  await vfs.xUnlock(1, SQLite.SQLITE_LOCK_NONE);
  await vfs.close();
}

async function execute(statements) {
  for (const statement of statements) await sqlite3.exec(db, statement);
}

answerCommands({
  async prepare({ url }) {
    await importFile(new Uint8Array(await (await fetch(url)).arrayBuffer()));
    sqlite3 = SQLite.Factory(await SQLiteModule());
    sqlite3.vfs_register(newVFS(), true);
    db = await sqlite3.open_v2(NAME);
    await execute(['PRAGMA locking_mode=EXCLUSIVE', 'PRAGMA temp_store=MEMORY', 'PRAGMA cache_size=-65536']);
  },

  /** Each is durable when its COMMIT returns. */
  replay: ({ transactions, atOnce }) =>
    timeTransactions(transactions, atOnce, async (waiting, done) => {
      for (const statements of waiting) {
        await execute(statements);
        done();
      }
    }),

  async count() {
    let count = 0;
    await sqlite3.exec(db, 'SELECT count(*) FROM events', ([value]) => (count = value));
    return count;
  },
});
