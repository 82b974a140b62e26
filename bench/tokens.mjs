// npm run bench:tokens -- [--rate 1000] [--seconds 5] [--runs 3]: what a verified handshake costs, see README.md.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SignJWT } from 'jose';
import { upgradeRequest } from './clients/frames.mjs';
import { parseCount } from './lib/arguments.mjs';
import { cpuMs, memoryOf, waitUntilQuiet } from './lib/processes.mjs';
import { startServer } from './lib/servers.mjs';
import { summarise } from './lib/statistics.mjs';
import { formatSummary } from './lib/table.mjs';

/**
 * @import { KeyObject } from 'node:crypto'
 *
 * @typedef {{ args: readonly string[], token: string | undefined }} Kind A farm with these arguments is shown the token.
 *
 * @typedef {Awaited<ReturnType<typeof measure>>} Figures
 */

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '5' },
    runs: { type: 'string', default: '3' },
  },
});
const rate = parseCount('rate', values.rate);
const seconds = parseCount('seconds', values.seconds);
const runs = parseCount('runs', values.runs);
/** Connections are begun this often, a portion of a second's each time. */
const STEP_MS = 10;
const WARM_UP_SECONDS = 2;
const SECRET = 'the-secret-of-a-benchmark-is-no-secret';

const folder = mkdtempSync(join(tmpdir(), 'roost-bench-tokens-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

/**
 * @param {string} name Of the algorithm, or `no tokens`.
 * @returns {Promise<Kind>}
 */
async function makeKind(name) {
  if (name === 'no tokens') return { args: [], token: undefined };
  /** @param {Buffer | KeyObject} key */
  const token = (key) =>
    new SignJWT({ sub: 'u42', channels: ['news', 'user:42', 'room:*'], publish: ['room:*'] })
      .setProtectedHeader({ alg: name, kid: 'bench' })
      .setExpirationTime('1h')
      .sign(key);
  if (name === 'HS256') {
    return { args: ['--tokens-secret', SECRET], token: await token(Buffer.from(SECRET)) };
  }
  const { publicKey, privateKey } =
    name === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench' }] }));
  return { args: ['--tokens-jwks', path], token: await token(privateKey) };
}

/**
 * Opens connections at the rate and answers how long each took from its request to its 101, in ms.
 * @param {string} url
 * @param {string | undefined} token
 * @param {number} forSeconds
 */
async function open(url, token, forSeconds) {
  const { hostname, port } = new URL(url);
  const head = upgradeRequest({
    path: '/plain?channel=news',
    host: hostname,
    headers: token === undefined ? [] : [`Authorization: Bearer ${token}`],
  });
  const answers = [];
  const startedAt = performance.now();
  for (let begun = 0; begun < rate * forSeconds;) {
    const due = Math.min(rate * forSeconds, ((performance.now() - startedAt) * rate) / 1000);
    for (; begun < due; begun++) answers.push(handshake(hostname, Number(port), head));
    await delay(STEP_MS);
  }
  return Promise.all(answers);
}

/**
 * @param {string} host
 * @param {number} port
 * @param {string} head
 * @returns {Promise<number>}
 */
function handshake(host, port, head) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    let sentAt = 0;
    socket.on('connect', () => {
      sentAt = performance.now();
      socket.write(head);
    });
    socket.once('data', (bytes) => {
      const took = performance.now() - sentAt;
      socket.destroy();
      if (bytes.toString('latin1').startsWith('HTTP/1.1 101 ')) resolve(took);
      else reject(new Error(`A handshake was answered with ${bytes.toString('latin1').slice(0, 300)}`));
    });
    socket.on('error', reject);
  });
}

/** @param {Kind} kind */
async function measure({ args, token }) {
  const server = await startServer('Roost', { workers: 1, args });
  try {
    const memory = memoryOf(server.workerPids).pss / 1e6;
    await open(server.url, token, WARM_UP_SECONDS);
    await waitUntilQuiet(server.pids);
    const before = cpuMs(server.pids);
    const took = (await open(server.url, token, seconds)).toSorted((a, b) => a - b);
    await waitUntilQuiet(server.pids);
    const cpu = ((cpuMs(server.pids) - before) * 1000) / took.length;
    return { cpu, memory, p50: took[took.length >> 1], p99: took[Math.floor(took.length * 0.99)] };
  } finally {
    await server.stop();
  }
}

const names = ['no tokens', 'HS256', 'RS256', 'ES256'];
/** @type {Map<string, Kind & { results: Figures[] }>} */
const kinds = new Map();
for (const name of names) kinds.set(name, { ...(await makeKind(name)), results: [] });
for (let run = 0; run < runs; run++) {
  for (const kind of kinds.values()) kind.results.push(await measure(kind));
}
console.log(`${rate} handshakes a second for ${seconds} s, one worker, medians of ${runs} (least–most):`);
for (const [name, { results }] of kinds) {
  /** @param {keyof Figures} key */
  const column = (key) => formatSummary(summarise(results.map((result) => result[key])), 1);
  console.log(
    `${name.padEnd(9)}  CPU ${column('cpu')} µs  p50 ${column('p50')} ms  p99 ${column('p99')} ms  empty worker ${column('memory')} MB PSS`,
  );
}
