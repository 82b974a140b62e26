// node scripts/screenshots.mjs [--connections 1000]: takes the pictures of docs/images, in Chromium, of a farm under load. Build first.
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort, listenLocally } from '@roost/testing';
import { chromium } from 'playwright-core';
import { API_KEY } from '../bench/lib/api.mjs';
import { parseCount } from '../bench/lib/arguments.mjs';
import { killProgramsAtExit } from '../bench/lib/child-program.mjs';
import { startRedis } from '../bench/lib/redis.mjs';
import { startServer } from '../bench/lib/servers.mjs';
import { Member } from '../bench/clients/soak/member.mjs';
import { Tally } from '../bench/clients/soak/tally.mjs';
import { populationOf, startSoakClients } from '../bench/soak/clients.mjs';
import { Publishers } from '../bench/soak/publishers.mjs';
import { PUSHER_APP, PUSHER_ARGS } from '../bench/soak/pusher-app.mjs';

const CHROMIUM = '/usr/bin/chromium';
const IMAGES = new URL('../docs/images/', import.meta.url);
const ADMIN_TOKEN = 'for-the-screenshots';
const DESKTOP = { viewport: { width: 1400, height: 1100 } };
const PHONE = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};
/** So that charts have something to draw. */
const WATCH_MS = 120_000;
const PASSERS = { stayMs: 20_000, stuckMs: 20_000, echoMs: 1000 };

const { values } = parseArgs({ options: { connections: { type: 'string', default: '1000' } } });
const connections = parseCount('connections', values.connections, { min: 40 });

killProgramsAtExit();
const receiver = createServer((request, response) => request.resume().on('end', () => response.end()));
const webhookPort = await listenLocally(receiver);
const redis = await startRedis();
const adminPort = await freePort();
const server = await startServer('Roost', {
  app: 'echo',
  redisUrl: redis.url,
  args: [`--admin-port=${adminPort}`, `--admin-token=${ADMIN_TOKEN}`, `--api-key=${API_KEY}`, ...PUSHER_ARGS],
  env: { ROOST_PUSHER_WEBHOOKS: JSON.stringify([{ url: `http://127.0.0.1:${webhookPort}/hooks/roost` }]) },
});
const { port } = new URL(server.url);
const population = populationOf(connections);
const clients = startSoakClients(server, { ...population, ...PASSERS });
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  await clients.open();
  const publishers = new Publishers(server, redis, population);
  const member = new Member(`ws://127.0.0.1:${port}`, new Tally(), {
    app: PUSHER_APP,
    channel: 'presence-room-0',
    user: 'ada',
  });
  await member.open();
  const desktop = await dashboard(DESKTOP);
  const phone = await dashboard(PHONE);
  await delay(WATCH_MS);
  await take(desktop, 'dashboard.png');
  await take(phone, 'dashboard-phone.png');
  for (const [page, name] of [
    [desktop, 'dashboard-views.png'],
    [phone, 'dashboard-views-phone.png'],
  ]) {
    await showViews(page, member.socketId);
    await take(page, name);
  }
  await take(await byHand(DESKTOP), 'page.png');
  await take(await byHand(PHONE), 'page-phone.png');
  await publishers.end();
  await member.leave(true);
} finally {
  await browser.close();
  await clients.stop();
  await server.stop();
  await redis.stop();
  receiver.close();
}

/** Signed in. */
async function dashboard(options) {
  const page = await browser.newPage(options);
  await page.goto(`http://127.0.0.1:${adminPort}/#token=${ADMIN_TOKEN}`);
  await page.locator('#state[data-state=open]').waitFor();
  return page;
}

/** A room, one of its members, and what else stands below the charts. */
async function showViews(page, socketId) {
  await page.locator('#presence button').first().click();
  await page.getByLabel('Id of a connection').fill(socketId);
  await page.getByRole('button', { name: 'Look up' }).click();
  await page.locator('#connection dt', { hasText: 'since' }).waitFor();
  await page.locator('#members li').first().waitFor();
  const first = page.viewportSize().width > 500 ? '#workers' : '#presence';
  await page.evaluate(`document.querySelector('${first}').scrollIntoView()`);
}

/** The page by which a farm is tried by hand, with what it has received. */
async function byHand(options) {
  const page = await browser.newPage(options);
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.getByRole('textbox', { name: 'Channels' }).fill('news,topic-1');
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.locator('#messages li').nth(4).waitFor();
  return page;
}

async function take(page, name) {
  await page.screenshot({ path: new URL(name, IMAGES).pathname });
  console.log(`docs/images/${name}`);
}
