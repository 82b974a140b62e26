import { accessSync, constants } from 'node:fs';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_KEY, closeAfterEach, start } from './system-test.ts';

const CHROMIUM = '/usr/bin/chromium';

function isInstalled(): boolean {
  try {
    accessSync(CHROMIUM, constants.X_OK);
    return true;
  } catch {
    process.stderr.write(`The page is not tried in a browser: there is no ${CHROMIUM}.\n`);
    return false;
  }
}

closeAfterEach();

describe.skipIf(!isInstalled())('the page', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  });
  afterAll(() => browser.close());

  it('connects, subscribes, publishes, shows the message and the close code', async () => {
    const farm = await start();
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`http://127.0.0.1:${farm.port}/`);

    await page.getByRole('textbox', { name: 'Channels' }).fill('news, sports');
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.locator('#state[data-state=open]').waitFor();

    await page.getByLabel('Channel', { exact: true }).fill('sports');
    await page.getByRole('textbox', { name: 'Data' }).fill("it's <b>2:1</b>");
    await page.getByLabel('API key').fill(API_KEY);
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.getByText('published', { exact: true }).waitFor();
    await page.locator('#messages li', { hasText: "it's <b>2:1</b>" }).waitFor();
    expect(await page.locator('#curl').textContent()).toContain(
      `-d '{"channel":"sports","data":"it'\\''s <b>2:1</b>"}'`,
    );

    await page.getByRole('textbox', { name: 'Send on this connection' }).fill('hello');
    await page.getByRole('button', { name: 'Send' }).click();
    await page
      .locator('#messages .failed', { hasText: '4501 (message not accepted): this server takes no messages' })
      .waitFor();
    expect(await page.locator('#state').textContent()).toBe('closed');
    expect(complaints).toEqual([]);
    await page.close();
  });

  it('says why a publication was refused', async () => {
    const farm = await start();
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${farm.port}/`);
    await page.getByLabel('API key').fill('wrong');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.getByText('101: unauthorized').waitFor();
    await page.close();
  });
});
