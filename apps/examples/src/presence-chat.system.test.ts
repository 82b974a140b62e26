import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endAll, eventually, spawnGroup, startServer } from '@roost/testing';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const CHROMIUM = '/usr/bin/chromium';
const PROGRAM = fileURLToPath(new URL('../dist/presence-chat.js', import.meta.url));

function isInstalled(): boolean {
  try {
    accessSync(CHROMIUM, constants.X_OK);
    return true;
  } catch {
    process.stderr.write(`The chat with presence is not tried in a browser: there is no ${CHROMIUM}.\n`);
    return false;
  }
}

const members = (page: Page) => page.getByRole('list', { name: 'Members' }).getByRole('listitem');
const lines = (page: Page) => page.getByRole('list', { name: 'Lines' }).getByRole('listitem');
const typing = (page: Page) => page.getByRole('status');

describe.skipIf(!isInstalled())('the chat with presence', () => {
  const opened: (() => Promise<unknown>)[] = [];
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    const app = { PUSHER_APP_ID: '1', PUSHER_APP_KEY: 'app-key', PUSHER_APP_SECRET: 'app-secret' };
    const farm = await startServer(['--workers', '2', '--drain-ms', '0', '--pusher-client-events'], {
      env: Object.fromEntries(Object.entries(app).map(([name, value]) => [`ROOST_${name}`, value])),
    });
    opened.push(() => farm.stop());
    const backEnd = spawnGroup(process.execPath, [PROGRAM], {
      env: { ...process.env, ...app, PUSHER_PORT: String(farm.port), PORT: '0' },
    });
    opened.push(() => {
      const ended = new Promise((resolve) => backEnd.once('close', resolve));
      backEnd.kill();
      return ended;
    });
    let output = '';
    backEnd.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    url = await eventually(() => /http:\/\/\S+/.exec(output)?.[0] ?? false, { what: 'the back end listens' });
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
    opened.push(() => browser.close());
  });
  afterAll(() => endAll(opened));

  /** A page of a browser that has never been there. */
  async function enter(nick: string): Promise<Page> {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(url);
    await page.getByLabel('Your name').fill(nick);
    await page.getByRole('button', { name: 'Come in' }).click();
    await members(page).getByText(nick).waitFor();
    return page;
  }

  it('shows who is here, what is said and who is typing', async () => {
    const complaints: string[] = [];
    const ada = await enter('ada');
    ada.on('pageerror', (error) => complaints.push(error.message));
    ada.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    const bob = await enter('bob');
    await lines(ada).getByText('bob came in').waitFor();
    expect(await members(ada).allTextContents()).toEqual(['ada', 'bob']);
    expect(await members(bob).allTextContents()).toEqual(['ada', 'bob']);

    await bob.getByLabel('Say something').pressSequentially('hi <b>ada</b>');
    await typing(ada).getByText('bob is typing…').waitFor();
    await bob.getByRole('button', { name: 'Say', exact: true }).click();
    await lines(ada).getByText('bob: hi <b>ada</b>').waitFor();
    expect(await typing(ada).textContent()).toBe('');

    // A second tab of hers is no second member, and sees a line of the first as that of another does.
    const context = ada.context();
    const second = await context.newPage();
    await second.goto(url);
    await second.getByLabel('Your name').fill('ada');
    await second.getByRole('button', { name: 'Come in' }).click();
    await members(second).getByText('bob').waitFor();
    expect(await second.locator('#count').textContent()).toBe('2');
    await ada.getByLabel('Say something').fill('hello');
    await ada.getByRole('button', { name: 'Say', exact: true }).click();
    for (const page of [bob, second]) await lines(page).getByText('ada: hello').waitFor();
    await second.close();

    await bob.context().close();
    await lines(ada).getByText('bob left').waitFor();
    expect(await lines(ada).allTextContents()).toEqual([
      'bob came in',
      'bob: hi <b>ada</b>',
      'ada: hello',
      'bob left',
    ]);
    expect(await members(ada).allTextContents()).toEqual(['ada']);
    expect(complaints).toEqual([]);
  });

  it('says so when a name is not taken', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(url);
    await page.locator('#nick').evaluate((field) => field.removeAttribute('pattern'));
    await page.getByLabel('Your name').fill('a b');
    await page.getByRole('button', { name: 'Come in' }).click();
    await page.getByRole('alert').getByText('A name is 1 to 32 letters').waitFor();
  });
});
