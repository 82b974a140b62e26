/**
 * Clients that come and go, read slowly, or publish by HTTP: `reload-others.mjs port slow churnPerSecond publishers apiKey`. Those who are
 * slow are subscribed to `heavy`, read a second in every four, and must be given each number of it. Commands, one a line of JSON
 * under `do`:
 *
 *   start    begins
 *   stop     ends what comes and goes; who is slow reads everything
 *   report   how many are open, what failed, and what the slow ones lost or had twice
 *   await    waits until each that lives has the number `heavy`, at most 60 s
 *   reset    forgets what was counted; what comes next is to be behind `heavy`
 */
import { Agent, request } from 'node:http';
import { WebSocket } from 'ws';
import { obey } from './obey.mjs';
import { Sequences } from './sequences.mjs';

const READS_MS = 1000;
const PAUSES_MS = 3000;
const PUBLISH_MS = 250;
const SETTLE_MS = 2000;
const NORMAL = 1000;
const MAX_FAILURES = 5;
const [port, slowCount, churnPerSecond, publisherCount] = process.argv.slice(2, 6).map(Number);
const apiKey = process.argv[6];
const url = `ws://127.0.0.1:${port}/reload`;

/** @type {WebSocket[]} */
const slow = [];
let heard = Array.from({ length: slowCount }, () => new Sequences());
/** @type {Record<string, number>} */
let closes = {};
let ended = 0;
let received = 0;
let failed = 0;
/** @type {string[]} */
let failures = [];
const run = { isOn: false };

/** @param {string} what */
function fail(what) {
  failed++;
  if (failures.length < MAX_FAILURES) failures.push(what);
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** @param {number} index */
function openSlow(index) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url}?channel=heavy`, { perMessageDeflate: false });
    slow[index] = socket;
    socket.once('open', resolve);
    socket.once('error', reject);
    socket.on('message', (data) => {
      received++;
      const text = Buffer.isBuffer(data) ? data.toString('latin1', 0, 40) : '';
      const [name, number] = text.split(' ');
      heard[index].take(name, Number(number));
    });
    socket.once('close', (code) => {
      ended++;
      closes[code] = (closes[code] ?? 0) + 1;
    });
  });
}

async function readSlowly() {
  while (run.isOn) {
    for (const socket of slow) if (socket.readyState === WebSocket.OPEN) socket.pause();
    await pause(PAUSES_MS);
    for (const socket of slow) if (socket.readyState === WebSocket.OPEN) socket.resume();
    await pause(READS_MS);
  }
}

/** Comes, says something, has it echoed, and goes. */
function visit() {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.once('open', () => socket.send('hello'));
  socket.once('message', () => socket.close(NORMAL));
  socket.once('close', (code) => {
    received++;
    if (code !== NORMAL) fail(`a visitor was closed with ${code}`);
  });
  socket.once('error', (error) => fail(`a visitor: ${error.message}`));
}

async function visitors() {
  while (run.isOn) {
    visit();
    await pause(1000 / churnPerSecond);
  }
}

async function publishByHttp() {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const body = JSON.stringify({ channel: 'http', data: 'x' });
  while (run.isOn) {
    await new Promise((resolve) => {
      const asked = request(
        {
          port,
          host: '127.0.0.1',
          path: '/api/publish',
          method: 'POST',
          agent,
          headers: { 'X-API-Key': apiKey, 'Content-Type': 'application/json' },
        },
        (response) => {
          response.resume();
          response.once('end', resolve);
          received++;
          if (response.statusCode !== 200) fail(`/api/publish was answered with ${response.statusCode}`);
        },
      );
      asked.once('error', (error) => {
        fail(`/api/publish: ${error.message}`);
        resolve(undefined);
      });
      asked.end(body);
    });
    await pause(PUBLISH_MS);
  }
  agent.destroy();
}

function report() {
  const lines = { lost: 0, backwards: 0 };
  for (const sequences of heard) {
    lines.lost += sequences.lost;
    lines.backwards += sequences.backwards;
  }
  return { open: slow.length - ended, ended, received, ...lines, closes, failed, failures };
}

await obey({
  open: async () => {
    await Promise.all(Array.from({ length: slowCount }, (_, index) => openSlow(index)));
    return report();
  },
  start: () => {
    run.isOn = true;
    void readSlowly();
    if (churnPerSecond > 0) void visitors();
    for (let index = 0; index < publisherCount; index++) void publishByHttp();
  },
  stop: async () => {
    run.isOn = false;
    for (const socket of slow) if (socket.readyState === WebSocket.OPEN) socket.resume();
    await pause(PAUSES_MS + READS_MS + SETTLE_MS);
    return report();
  },
  await: async ({ heavy }) => {
    const deadline = performance.now() + 60_000;
    let missing = 0;
    do {
      await pause(100);
      missing = 0;
      slow.forEach((socket, index) => {
        if (socket.readyState === WebSocket.OPEN) missing += heavy - heard[index].last('heavy');
      });
    } while (missing > 0 && performance.now() < deadline);
    return { ...report(), missing };
  },
  reset: ({ heavy }) => {
    heard = heard.map(() => new Sequences());
    for (const sequences of heard) sequences.goOnFrom('heavy', heavy);
    received = failed = 0;
    failures = [];
    closes = {};
  },
  report,
});
