// @ts-check
/**
 * Synapse as a child process: one process on SQLite, on a free port of the loopback interface, alone in the world. Anybody
 * may register, nothing is rate limited, and no answer of /sync is kept to be given again.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PYTHON = fileURLToPath(new URL('../../.venv-synapse/bin/python', import.meta.url));
const STAMP = fileURLToPath(new URL('../../.venv-synapse/.setup', import.meta.url));

export const hasSynapse = existsSync(STAMP);

const UNLIMITED = { per_second: 1e6, burst_count: 1e6 };

/** @param {string} folder @param {number} port */
const configurationOf = (folder, port) => ({
  server_name: 'localhost',
  report_stats: false,
  pid_file: join(folder, 'pid'),
  signing_key_path: join(folder, 'signing.key'),
  media_store_path: join(folder, 'media'),
  log_config: join(folder, 'log.yaml'),
  macaroon_secret_key: 'of no use to anybody',
  form_secret: 'likewise',
  listeners: [{ port, type: 'http', bind_addresses: ['127.0.0.1'], resources: [{ names: ['client'] }] }],
  database: { name: 'sqlite3', args: { database: join(folder, 'homeserver.db') } },
  caches: { sync_response_cache_duration: '0s' },
  enable_registration: true,
  enable_registration_without_verification: true,
  bcrypt_rounds: 4,
  trusted_key_servers: [],
  federation_domain_whitelist: [],
  rc_message: UNLIMITED,
  rc_registration: UNLIMITED,
  rc_login: { address: UNLIMITED, account: UNLIMITED, failed_attempts: UNLIMITED },
  rc_joins: { local: UNLIMITED, remote: UNLIMITED },
  rc_joins_per_room: UNLIMITED,
  rc_room_creation: UNLIMITED,
  rc_invites: { per_room: UNLIMITED, per_user: UNLIMITED, per_issuer: UNLIMITED },
  rc_presence: { per_user: UNLIMITED },
});

const LOGGING = {
  version: 1,
  handlers: { console: { class: 'logging.StreamHandler', stream: 'ext://sys.stderr' } },
  root: { level: 'WARNING', handlers: ['console'] },
};

/**
 * Start it on an empty database, and wait until it answers. JSON is YAML, too.
 * @param {string} folder  an empty one
 */
export async function startSynapse(folder) {
  const port = await findFreePort();
  const configuration = join(folder, 'homeserver.yaml');
  writeFileSync(configuration, JSON.stringify(configurationOf(folder, port)));
  writeFileSync(join(folder, 'log.yaml'), JSON.stringify(LOGGING));
  const options = ['-m', 'synapse.app.homeserver', '-c', configuration];
  await once(spawn(PYTHON, [...options, '--generate-keys'], { cwd: folder, stdio: 'ignore' }), 'exit');
  const child = spawn(PYTHON, options, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  const baseUrl = `http://127.0.0.1:${port}`;
  while (!(await isAnswering(baseUrl))) {
    if (child.exitCode !== null) throw new Error(`Synapse ended at once:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    baseUrl,
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** @param {string} baseUrl */
async function isAnswering(baseUrl) {
  const answer = await fetch(`${baseUrl}/_matrix/client/versions`).catch(() => null);
  return answer?.ok ?? false;
}

async function findFreePort() {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  return port;
}
