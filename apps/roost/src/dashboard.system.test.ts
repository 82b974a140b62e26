import { accessSync, constants } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page, Route } from 'playwright-core';
import { eventually } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { call, closeAfterEach, connect, start } from './fixtures/system-test.ts';
import { held, Receiver } from './webhooks/fixtures/receiver.ts';
import {
  endAfterEach,
  endAfterTest,
  RawPusher,
  startFarm as startPusherFarm,
} from './worker/dialects/pusher/fixtures/pusher-farm.ts';

const CHROMIUM = '/usr/bin/chromium';
const TOKEN = 'for-those-who-run-the-farm';
const PHONE = { width: 390, height: 844 };

function isInstalled(): boolean {
  try {
    accessSync(CHROMIUM, constants.X_OK);
    return true;
  } catch {
    process.stderr.write(`The dashboard is not tried in a browser: there is no ${CHROMIUM}.\n`);
    return false;
  }
}

closeAfterEach();
endAfterEach();

function startWatched(...args: readonly string[]): Promise<FarmProcess> {
  return start(['--admin-port', '0', ...args]);
}

async function adminUrl(farm: FarmProcess): Promise<string> {
  const { dashboard } = await farm.log(({ msg }) => msg === 'admin listener open');
  return String(dashboard);
}

async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Admin token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function detailsOf(farm: FarmProcess, id: string): Promise<{ readonly since: number }> {
  const [origin = '', token = ''] = (await adminUrl(farm)).split('/#token=');
  const response = await fetch(`${origin}/api/connections/${id}`, {
    headers: { Authorization: `Bearer ${token}`, Connection: 'close' },
  });
  return JSON.parse(await response.text());
}

const state = (page: Page, kind: string) => page.locator(`#state[data-state=${kind}]`);
const tile = (page: Page, title: string) => page.locator('.tile', { hasText: title }).locator('strong');

describe.skipIf(!isInstalled())('the dashboard', () => {
  let browser: Browser;
  const pages: Page[] = [];
  /** What went wrong in the page: exceptions, and what the policy for its contents forbids. */
  const problems: string[] = [];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  });
  afterAll(() => browser.close());
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close();
    expect(problems.splice(0)).toEqual([]);
  });

  async function open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    pages.push(page);
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => {
      // What the server refuses is shown in the page, and Chromium notes it, too.
      const isRefusal = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isRefusal) problems.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(new URL(url).origin) && !request.url().startsWith('data:')) {
        problems.push(`asks ${request.url()}`);
      }
    });
    await page.goto(url);
    return page;
  }

  it('shows nothing before somebody has signed in with the token, and nothing after a wrong one', async () => {
    const farm = await startWatched('--admin-token', TOKEN);
    const page = await open(await adminUrl(farm));
    expect(await page.locator('#dashboard').isVisible()).toBe(false);
    await signIn(page, 'a-wrong-token-of-some-length');
    await page.getByRole('alert').filter({ hasText: 'This is not the token of this farm.' }).waitFor();
    expect(await page.locator('#dashboard').isVisible()).toBe(false);
    await signIn(page, TOKEN);
    await state(page, 'open').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    expect(await page.locator('#dashboard').isVisible()).toBe(false);
    await page.reload();
    expect(await page.getByLabel('Admin token').isVisible()).toBe(true);
  });

  it('signs in by the URL of the log where no token is configured, and takes the token out of it', async () => {
    const farm = await startWatched();
    const url = await adminUrl(farm);
    expect(url).toMatch(/#token=[\w-]{32}$/);
    const page = await open(url);
    await state(page, 'open').waitFor();
    expect(page.url()).toBe(url.replace(/#.*/, ''));
    await page.reload();
    await state(page, 'open').waitFor();
  });

  it('signs in by a new URL of the log in the same tab, as after a restart', async () => {
    const farm = await startWatched('--admin-token', TOKEN);
    const url = await adminUrl(farm);
    const page = await open(url);
    await page.goto(`${url}#token=${TOKEN}`);
    await state(page, 'open').waitFor();
    expect(page.url()).toBe(url);
  });

  it('asks for another token where one cannot be sent, and does not blame the farm', async () => {
    const farm = await startWatched('--admin-token', TOKEN);
    const page = await open(await adminUrl(farm));
    await signIn(page, 'sixteen-and-more-→');
    expect(await page.locator('#token:invalid').count()).toBe(1);
    expect(await page.locator('#state').textContent()).toBe('not signed in');
    await signIn(page, ` ${TOKEN} `);
    await state(page, 'open').waitFor();
  });

  it('stays signed out when an answer comes, or fails to come, that was asked for before', async () => {
    const farm = await startWatched();
    const page = await open(await adminUrl(farm));
    await state(page, 'open').waitFor();
    const asked = new Promise<Route>((resolve) => void page.route('**/api/overview', resolve));
    const pending = await asked;
    await page.getByRole('button', { name: 'Sign out' }).click();
    const failed = page.waitForEvent('requestfailed');
    await pending.abort();
    await failed;
    // What follows the failure in the page has run by then.
    await page.evaluate('new Promise((resolve) => requestAnimationFrame(resolve))');
    expect(await page.locator('#state').textContent()).toBe('not signed in');
  });

  it('says its state once to who hears it, and leaves the focus where it is', async () => {
    const farm = await startPusherFarm(['--admin-port', '0']);
    await (await RawPusher.connect(farm)).join('presence-room', 'ada');
    const page = await open(await adminUrl(farm));
    await state(page, 'open').waitFor();
    const room = page.locator('#presence button', { hasText: 'presence-room' });
    await room.focus();
    await page.evaluate(`{
      window.said = 0;
      new MutationObserver(() => window.said++).observe(document.querySelector('#state'), { childList: true });
    }`);
    for (let looks = 0; looks < 2; looks++) await page.waitForResponse(/\/api\/presence$/);
    await page.waitForResponse(/\/api\/overview$/);
    expect(await page.evaluate('window.said')).toBe(0);
    expect(await room.evaluate((button) => button.matches(':focus'))).toBe(true);
  });

  it('shows connections, rates and channels as they change, by worker and in charts', async () => {
    const farm = await startWatched();
    const page = await open(await adminUrl(farm));
    await state(page, 'open').waitFor();
    const readers = [];
    for (let index = 0; index < 5; index++) readers.push(await connect(farm, '/plain?channel=news'));
    await connect(farm, '/plain?channel=sports');
    await eventually(async () => (await tile(page, 'connections').textContent()) === '6', {
      what: 'the tile has six connections',
    });
    await page.locator('#channels li', { hasText: 'news' }).filter({ hasText: '5' }).waitFor();
    const cells = await page.locator('#workers tbody tr td:nth-child(3)').allTextContents();
    expect(cells.map((cell) => cell.split(' ')[0])).toEqual(['3', '3']);
    await call(farm, 'publish', { channel: 'news', data: 'hello' });
    for (const reader of readers) await reader.nextMessage();
    await eventually(async () => (await tile(page, 'fan-out p99').textContent()) !== '–', {
      what: 'the fan-out was measured',
    });
    expect(await page.locator('#charts figure').count()).toBe(8);
    // A line was drawn: the canvas is not of one colour.
    const isDrawn = await page.evaluate(`{
      const canvas = document.querySelector('#charts canvas');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      data.some((value) => value !== data[0]);
    }`);
    expect(isDrawn).toBe(true);
  });

  it('publishes, looks a connection up and disconnects it', async () => {
    const farm = await startWatched();
    const page = await open(await adminUrl(farm));
    await state(page, 'open').waitFor();
    const reader = await connect(farm, '/plain?channel=news');
    await page.getByLabel('Channel', { exact: true }).fill('news');
    await page.getByLabel('Data').fill('<b>hello</b>');
    await page.getByRole('button', { name: 'Publish' }).click();
    expect((await reader.nextMessage()).text).toBe('<b>hello</b>');
    await page.locator('#publish .outcome', { hasText: 'published' }).waitFor();

    await page.getByLabel('Id of a connection').fill('nobody has this');
    await page.getByRole('button', { name: 'Look up' }).click();
    await page.locator('#connection .outcome', { hasText: 'there is no connection of this id' }).waitFor();

    await page.getByLabel('All connections of').selectOption('channel');
    await page.getByLabel('Name of the user or channel').fill('news');
    await page.locator('#disconnect').getByRole('button', { name: 'Disconnect' }).click();
    expect((await reader.closed).code).toBe(4500);
  });

  it('shows a reload: how many connections have moved, and that none was closed', async () => {
    const farm = await startWatched('--workers', '1');
    const clients = [
      await connect(farm, '/plain?channel=news'),
      await connect(farm, '/plain?channel=news'),
      await connect(farm, '/plain?channel=news'),
    ];
    const page = await open(await adminUrl(farm), { viewport: PHONE, isMobile: true, hasTouch: true });
    await page.locator('#changes', { hasText: 'None since the start of the farm' }).waitFor();
    farm.signal('SIGHUP');
    const row = page.locator('#changes tbody tr', { hasText: 'reload' });
    await row.locator('td', { hasText: 'done' }).waitFor();
    const [, , worker, moved, left, closed] = await row.locator('td').allTextContents();
    expect([worker, moved, left, closed]).toEqual(['1 of 1', String(clients.length), '0', '0']);
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([false, false, false]);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(PHONE.width);
  });

  it('shows who is in a channel, what is known of a member, and a webhook that fails', async () => {
    const { answer, goOn } = held();
    const receiver = await Receiver.start(500, answer);
    endAfterTest(() => receiver.stop());
    const farm = await startPusherFarm(['--admin-port', '0'], {
      ROOST_PUSHER_WEBHOOKS: JSON.stringify([{ url: `${receiver.url}?secret=hunter2` }]),
    });
    const page = await open(await adminUrl(farm), { viewport: PHONE, isMobile: true, hasTouch: true });
    await state(page, 'open').waitFor();
    await page.locator('#webhooks td', { hasText: 'well' }).waitFor();
    const before = Date.now();
    const ada = await RawPusher.connect(farm);
    await ada.join('presence-room', 'ada');
    await (await RawPusher.connect(farm)).join('presence-room', 'grace');
    await page.locator('#presence button', { hasText: /presence-room.*2/ }).click();
    await page.locator('#members h3', { hasText: 'presence-room: 2 members' }).waitFor();
    expect(await page.locator('#members li').allTextContents()).toEqual(['ada', 'grace']);

    await page.getByLabel('Id of a connection').fill(ada.socketId);
    await page.getByRole('button', { name: 'Look up' }).click();
    const fact = (name: string) =>
      page.locator('#connection dt', { hasText: name }).locator('xpath=following::dd[1]');
    expect(await fact('member of').textContent()).toMatch(/presence-room as ada$/);
    expect(await fact('channels').textContent()).toMatch(/presence-room$/);
    expect(await fact('round trip').textContent()).toMatch(/\d (?:µs|ms)$/);
    expect(await fact('bytes').textContent()).toMatch(/^[1-9].* in, [1-9].* out$/);
    const { since } = await detailsOf(farm, ada.socketId);
    expect(since).toBeGreaterThan(before - 2000);
    expect(since).toBeLessThanOrEqual(Date.now());
    expect(await fact('since').textContent()).toContain('ago');

    const webhook = page.locator('#webhooks tbody tr');
    await webhook.filter({ hasText: /fails: .*500/ }).waitFor();
    expect(await webhook.textContent()).toContain('/hook');
    expect(await webhook.textContent()).not.toContain('hunter2');
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(PHONE.width);
    await receiver.until(2);
    goOn();
    await webhook.filter({ hasText: 'well' }).waitFor();
  });

  it('drains the farm of who writes the word, and says so when it is gone', async () => {
    const farm = await startWatched();
    const page = await open(await adminUrl(farm));
    await state(page, 'open').waitFor();
    const reader = await connect(farm, '/plain?channel=news');
    await page.getByRole('button', { name: 'Drain the farm' }).click();
    // The browser itself asks for the word.
    expect(await page.locator('#drain-confirm:invalid').count()).toBe(1);
    await page.getByLabel('Write “drain” to confirm').fill('drain');
    await page.getByRole('button', { name: 'Drain the farm' }).click();
    expect((await reader.closed).code).toBe(1001);
    expect(await farm.exited).toEqual({ code: 0, signal: null });
    await state(page, 'closed').filter({ hasText: 'the farm does not answer' }).waitFor();
  });

  it('fits a phone', async () => {
    const farm = await startWatched();
    const page = await open(await adminUrl(farm), { viewport: PHONE, isMobile: true, hasTouch: true });
    await state(page, 'open').waitFor();
    await page.locator('#charts canvas').first().waitFor();
    const width = await page.evaluate('document.documentElement.scrollWidth');
    expect(width).toBeLessThanOrEqual(PHONE.width);
    for (const name of ['Publish', 'Look up', 'Drain the farm']) {
      const box = await page.getByRole('button', { name }).boundingBox();
      expect((box?.x ?? 0) + (box?.width ?? PHONE.width + 1)).toBeLessThanOrEqual(PHONE.width);
    }
  });
});
