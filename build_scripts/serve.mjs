// @ts-check
/**
 * Serves the built site, as any host of static files could; and a Matrix error where such a host would have a page saying
 * 404, for requests that reach it because no worker answered them.
 *
 * usage: serve.mjs [--port PORT] [--folder FOLDER]
 * @module
 */
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const DEFAULT_PORT = 8008;

/** @type {Record<string, string>} */
const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.gz': 'application/gzip',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.so': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.whl': 'application/zip',
  '.woff2': 'font/woff2',
  '.zip': 'application/zip',
};

/**
 * Everything is the site's own. Python is WebAssembly, and gets empty start-up files from `data:` addresses; requests for
 * a server's own name are answered by its worker.
 * @param {string[]} folders  of sites
 * @param {string[]} others  origins of other servers that the worker may ask: push gateways, identity providers
 */
function contentSecurityPolicy(folders, others) {
  const configurations = folders.map((folder) => join(folder, 'tabstead.json')).filter((path) => existsSync(path));
  const names = configurations.map((path) => JSON.parse(readFileSync(path, 'utf8')).server_name).filter(Boolean);
  return [
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "font-src 'self' data:",
    ["connect-src 'self' blob: data:", ...names.map((name) => `https://${name}`), ...others].join(' '),
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'self'",
  ].join('; ');
}

const HEADERS = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' };

const NO_WORKER = {
  errcode: 'M_UNKNOWN',
  error: 'The homeserver lives in the page: no service worker answered this request. Please try again.',
};

/** @param {string} path */
const cachingOf = (path) => (path.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache');

/**
 * Serve folders, each under a path that begins and ends with a slash.
 * @param {{ mounts: Record<string, string>, port?: number, host?: string, others?: string[] }} options  port 0 is any free
 *   one; `others` are origins that the worker may ask
 * @returns {Promise<{ url: string, port: number, close: () => Promise<void> }>}
 */
export async function startServer({ mounts, port = 0, host = '127.0.0.1', others = [] }) {
  const server = createServer((request, response) => {
    answer(mounts, others, request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve(undefined));
  });
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://localhost:${address.port}/`, port: address.port, close };
}

/**
 * @param {Record<string, string>} mounts
 * @param {string[]} others
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function answer(mounts, others, request, response) {
  const pathname = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
  if (/\/(_matrix|\.well-known\/matrix)\//.test(pathname)) return sendError(response);
  const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);
  const prefix = prefixes.find((candidate) => pathname.startsWith(candidate));
  const path = prefix && normalize(pathname.slice(prefix.length) + (pathname.endsWith('/') ? 'index.html' : ''));
  const file = path && !path.startsWith('..') ? join(mounts[prefix], path) : '';
  const size = file && (await sizeOf(file));
  if (!path || size === null || size === '') return void response.writeHead(404, HEADERS).end('There is nothing here.\n');
  response.writeHead(200, {
    ...HEADERS,
    'content-security-policy': contentSecurityPolicy(Object.values(mounts), others),
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'content-length': size,
    'cache-control': cachingOf(path),
  });
  if (request.method === 'HEAD') response.end();
  else createReadStream(file).pipe(response);
}

/** @param {string} file */
async function sizeOf(file) {
  const found = await stat(file).catch(() => null);
  return found?.isFile() ? found.size : null;
}

/** @param {import('node:http').ServerResponse} response */
function sendError(response) {
  response.writeHead(503, { 'content-type': 'application/json', 'access-control-allow-origin': '*' });
  response.end(JSON.stringify(NO_WORKER));
}

async function main() {
  const { values } = parseArgs({ options: { port: { type: 'string' }, folder: { type: 'string', default: DIST } } });
  const wanted = Number(values.port ?? DEFAULT_PORT);
  const mounts = { '/': values.folder };
  const server = await startServer({ mounts, port: wanted }).catch((error) => {
    if (error.code !== 'EADDRINUSE') throw error;
    console.log(`Port ${wanted} is taken; another one is used. (--port chooses.)`);
    return startServer({ mounts });
  });
  console.log(`Tabstead is at ${server.url}   (Ctrl+C ends the server; the homeserver lives in the page)`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
