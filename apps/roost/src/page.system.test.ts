import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { freePort, TestClient } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { API_KEY, call, closeAfterEach, run, serverForAll, start } from './fixtures/system-test.ts';

const CHROMIUM = '/usr/bin/chromium';
const APP = fileURLToPath(new URL('./fixtures/page-app.mjs', import.meta.url));
const TOKENS_SECRET = 'a-secret-of-more-than-32-characters';
const PHONE = { width: 390, height: 844 };

function isInstalled(): boolean {
  try {
    accessSync(CHROMIUM, constants.X_OK);
    return true;
  } catch {
    process.stderr.write(`The page is not tried in a browser: there is no ${CHROMIUM}.\n`);
    return false;
  }
}

const channels = (page: Page) => page.getByRole('textbox', { name: 'Channels' });
const notice = (page: Page) => page.getByRole('alert');
const state = (page: Page, name: string) => page.locator(`#state[data-state=${name}]`);
const lines = (page: Page, text: string) => page.locator('#messages li', { hasText: text });
const sendButton = (page: Page) => page.getByRole('button', { name: 'Send' });

async function connect(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
}

async function publish(page: Page, text: string): Promise<void> {
  await page.getByLabel('API key').fill(API_KEY);
  await page.getByRole('textbox', { name: 'Data' }).fill(text);
  await page.getByRole('button', { name: 'Publish' }).click();
}

async function choosePath(page: Page, path: string): Promise<void> {
  const field = page.getByLabel('Path and query');
  if (!(await field.isVisible())) await page.getByText('A token, or another path').click();
  await field.fill(path);
}

/** What a client that is no browser is told. */
async function refusalOf(url: string): Promise<{ readonly status: number; readonly body: string }> {
  try {
    const client = await TestClient.connect(url);
    await client.terminate();
  } catch (error) {
    if (error instanceof Error && 'status' in error && 'body' in error) {
      return { status: Number(error.status), body: String(error.body) };
    }
    throw error;
  }
  throw new Error(`${url} was let in.`);
}

/** Whether the whole element stands in the window, with nothing over its middle. */
function isInView(page: Page, selector: string): Promise<unknown> {
  return page.evaluate(`{
    const element = document.querySelector(${JSON.stringify(selector)});
    const { top, bottom, left, right } = element.getBoundingClientRect();
    const atMiddle = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    top >= 0 && bottom <= innerHeight && right <= innerWidth && element.contains(atMiddle);
  }`);
}

closeAfterEach();

describe.skipIf(!isInstalled())('the page', () => {
  const server = serverForAll();
  const serverWithApp = serverForAll([APP]);
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  });
  afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
  afterAll(() => browser?.close());

  /** The page of a farm, in a browser that has never been there. */
  async function open(farm: FarmProcess, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${farm.port}/`);
    return page;
  }

  /** `message 1` and so on, through the HTTP API. */
  async function publishMany(count: number): Promise<void> {
    for (let number = 1; number <= count; number++) {
      await call(server(), 'publish', { channel: 'news', data: `message ${number}` });
    }
  }

  it('connects, subscribes, publishes, shows the message and the close code', async () => {
    const farm = server();
    const page = await open(farm);
    const complaints: string[] = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));

    await channels(page).fill('news, sports');
    await connect(page);
    await state(page, 'open').waitFor();

    await page.getByLabel('Channel', { exact: true }).fill('sports');
    await publish(page, "it's <b>2:1</b>");
    await page.getByText('published', { exact: true }).waitFor();
    await lines(page, "it's <b>2:1</b>").waitFor();
    expect(await page.locator('#curl').textContent()).toContain(
      `-d '{"channel":"sports","data":"it'\\''s <b>2:1</b>"}'`,
    );

    await page.getByRole('button', { name: 'Disconnect' }).click();
    await lines(page, '1000 (normal closure)').waitFor();
    await state(page, 'closed').waitFor();
    expect(complaints).toEqual([]);
  });

  it('stays connected while the workers of its farm are replaced', async () => {
    const controlSocket = ['--control-socket', join(tmpdir(), `roost-page-${process.pid}.sock`)];
    const farm = await start(['--probation-ms', '0', ...controlSocket]);
    const page = await open(farm);
    await channels(page).fill('news');
    await connect(page);
    await state(page, 'open').waitFor();
    for (const text of ['after one', 'after two']) {
      expect(await run(['reload', ...controlSocket])).toMatchObject({ exitCode: 0 });
      await call(farm, 'publish', { channel: 'news', data: text });
      await lines(page, text).waitFor();
    }
    await state(page, 'open').waitFor();
    expect(await page.locator('#messages li', { hasText: /\b1\d{3} \(/ }).count()).toBe(0);
  });

  it('tells who publishes without being connected, or to another channel, that nothing will show', async () => {
    const page = await open(server());
    await publish(page, 'hello');
    await page.getByText('published; connect to see what arrives').waitFor();
    await connect(page);
    await state(page, 'open').waitFor();
    await page.getByLabel('Channel', { exact: true }).fill('weather');
    await publish(page, 'hello');
    await page.getByText('published; this page does not subscribe to weather').waitFor();
  });

  it('says why a publication was refused, and where the key is', async () => {
    const page = await open(server());
    await page.getByLabel('API key').fill('wrong');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.getByText('101: unauthorized: show the API key').waitFor();
    await page.getByText('The key is what ROOST_API_KEY or --api-key says').waitFor();
    await page.getByLabel('the data is JSON').check();
    await page.getByRole('textbox', { name: 'Data' }).fill('{');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.getByRole('status').filter({ hasText: 'The data is not JSON' }).waitFor();
  });

  describe('sending', () => {
    it('is not offered on /plain, where it would end the connection', async () => {
      const page = await open(server());
      expect(await sendButton(page).isVisible()).toBe(false);
      await page.getByText('Clients of /plain only receive').waitFor();
      await connect(page);
      await state(page, 'open').waitFor();
      expect(await sendButton(page).isVisible()).toBe(false);
    });

    it('is offered on /plain when clients may publish', async () => {
      const page = await open(await start(['--plain-client-publish']));
      await connect(page);
      await state(page, 'open').waitFor();
      await page.getByRole('textbox', { name: 'Send on this connection' }).fill('from the page');
      await sendButton(page).click();
      await page
        .locator('#messages li', { hasText: 'received' })
        .filter({ hasText: 'from the page' })
        .waitFor();
    });

    it("is offered on a path of the user's application", async () => {
      const page = await open(serverWithApp());
      await choosePath(page, '/echo');
      await connect(page);
      await state(page, 'open').waitFor();
      await page.getByRole('textbox', { name: 'Send on this connection' }).fill('there and back');
      await sendButton(page).click();
      await lines(page, 'received').filter({ hasText: 'there and back' }).waitFor();
    });
  });

  describe('a refusal', () => {
    it.each([
      { path: '/plain?x=1', without: 'channels', status: 400 },
      { path: '/plain?channel=a%01b', without: 'nothing', status: 400 },
      { path: '/nowhere', without: 'nothing', status: 404 },
    ])('of $path without $without shows the sentence of the server', async ({ path, without, status }) => {
      const farm = server();
      const { body } = await refusalOf(farm.url + path);
      const page = await open(farm);
      if (without === 'channels') await channels(page).fill('');
      await choosePath(page, path);
      await connect(page);
      await notice(page).getByText(`${status}: ${body}`, { exact: true }).waitFor();
      await page.locator('#messages .failed', { hasText: body }).waitFor();
      await state(page, 'closed').waitFor();
    });

    it('of a token shows its code and its message', async () => {
      const page = await open(await start([], { env: { ROOST_TOKENS_SECRET: TOKENS_SECRET } }));
      await connect(page);
      await notice(page).getByText('401: token_missing: Show a token').waitFor();
      await choosePath(page, '/plain');
      await page.getByLabel('Token').fill('no.jwt.atall');
      await connect(page);
      await notice(page).getByText('401: token_malformed: ').waitFor();
      await page.getByLabel('Token').fill('two words');
      await connect(page);
      await notice(page).getByText('The text in the token field cannot be a token').waitFor();
    });

    it('that the server knows of WebSockets only says where else to look', async () => {
      const page = await open(await start(['--allowed-origins', 'https://elsewhere.example']));
      await connect(page);
      await notice(page)
        .getByText(`Do allowedOrigins name ${new URL(page.url()).origin}?`)
        .waitFor();
      expect(await page.locator('#handshake').textContent()).toContain(
        `-H 'Origin: ${new URL(page.url()).origin}'`,
      );
    });
  });

  it.each(['//elsewhere.example/plain', 'https://elsewhere.example/', 'plain', '/\\elsewhere.example'])(
    'takes %s for no path of this server, says so, and connects nowhere',
    async (path) => {
      const page = await open(server());
      const sockets: string[] = [];
      page.on('websocket', (socket) => sockets.push(socket.url()));
      await choosePath(page, path);
      await connect(page);
      await notice(page).getByText('none of this server: it begins with one /').waitFor();
      expect(await page.getByLabel('Path and query').getAttribute('aria-invalid')).toBe('true');
      expect(sockets).toEqual([]);

      await page.getByLabel('Path and query').fill('/plain');
      await connect(page);
      await state(page, 'open').waitFor();
      expect(await notice(page).textContent()).toBe('');
    },
  );

  describe('a lost connection', () => {
    it('is made again after pauses that grow, and the page says so', async () => {
      const port = String(await freePort());
      const farm = await start(['--port', port]);
      const page = await open(farm);
      await connect(page);
      await state(page, 'open').waitFor();
      await farm.stop();
      await lines(page, '1001 (going away)').waitFor();
      await page
        .getByText(/^connection lost; attempt 1 to reconnect in (0\.[5-9]|1\.0) s$/)
        .first()
        .waitFor();
      await page
        .getByText(/^the server cannot be reached; attempt 2 to reconnect in (1\.\d|2\.0) s$/)
        .first()
        .waitFor();
      await start(['--port', port]);
      await state(page, 'open').waitFor();
      await publish(page, 'after the restart');
      await lines(page, 'after the restart').waitFor();
    });

    it('is not made again once the user has disconnected', async () => {
      const farm = await start(['--port', String(await freePort())]);
      const page = await open(farm);
      await connect(page);
      await state(page, 'open').waitFor();
      await farm.stop();
      await state(page, 'waiting').waitFor();
      await page.getByRole('button', { name: 'Disconnect' }).click();
      await state(page, 'closed').waitFor();
      expect(await page.getByRole('button', { name: 'Connect', exact: true }).isEnabled()).toBe(true);
    });

    it.each([
      { code: 4500, title: 'disconnected', becomes: 'closed' },
      { code: 4501, title: 'message not accepted', becomes: 'closed' },
      { code: 4003, title: 'token expired', becomes: 'closed' },
      { code: 4700, title: 'application', becomes: 'closed' },
      { code: 4100, title: 'application', becomes: 'waiting' },
      { code: 1013, title: 'try again later', becomes: 'waiting' },
    ])('with code $code ($title) is then $becomes', async ({ code, title, becomes }) => {
      const page = await open(serverWithApp());
      await choosePath(page, `/closes?code=${code}`);
      await connect(page);
      await lines(page, `${code} (${title}): because`).first().waitFor();
      await state(page, becomes).waitFor();
    });
  });

  it('keeps the API key and the other fields over a reload, in this tab only', async () => {
    const page = await open(server());
    await page.getByLabel('API key').fill(API_KEY);
    await channels(page).fill('news, weather');
    await page.getByLabel('the data is JSON').check();
    await page.reload();
    expect(await page.getByLabel('API key').inputValue()).toBe(API_KEY);
    expect(await channels(page).inputValue()).toBe('news, weather');
    expect(await page.getByLabel('the data is JSON').isChecked()).toBe(true);
    const other = await page.context().newPage();
    await other.goto(page.url());
    expect(await other.getByLabel('API key').inputValue()).toBe('');
  });

  it('has the messages in view on a phone, while publishing and before', async () => {
    const page = await open(server(), { viewport: PHONE });
    await connect(page);
    await state(page, 'open').waitFor();
    expect(await isInView(page, '#messages li:last-child')).toBe(true);
    await publish(page, 'message 1');
    await publishMany(30);
    await lines(page, 'message 30').waitFor();
    expect(await isInView(page, '#messages li:last-child')).toBe(true);
    expect(await isInView(page, '#publish-form button')).toBe(true);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(PHONE.width);
    await page.evaluate('scrollTo(0, 0)');
    expect(await isInView(page, '#messages li:last-child')).toBe(true);
  });

  it('has the messages in view on a desk, too', async () => {
    const page = await open(server(), { viewport: { width: 1280, height: 720 } });
    await connect(page);
    await state(page, 'open').waitFor();
    expect(await isInView(page, '#messages')).toBe(true);
    await publishMany(30);
    await lines(page, 'message 30').waitFor();
    expect(await isInView(page, '#messages li:last-child')).toBe(true);
  });

  it('shows times as the clock of its reader does', async () => {
    const page = await open(server(), { timezoneId: 'Asia/Kolkata', locale: 'en-GB' });
    await connect(page);
    await lines(page, 'open').waitFor();
    const time = page.locator('#messages time').first();
    const at = new Date((await time.getAttribute('datetime')) ?? '');
    const inKolkata = new Date(at.getTime() + 5.5 * 3_600_000).toISOString().slice(11, 23);
    expect(await time.textContent()).toBe(inKolkata);
  });

  it('names every field, and tells of changes those who do not see them', async () => {
    const page = await open(server());
    const unnamed = await page.evaluate(`
      [...document.querySelectorAll('input, textarea, button')]
        .filter((field) => field.labels.length === 0 && field.textContent.trim() === '')
        .map(({ id }) => id)
    `);
    expect(unnamed).toEqual([]);
    expect(await page.locator('[role=log], [role=status], [role=alert]').count()).toBe(4);
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
  });

  it('runs no script that somebody slips into it, and talks to nobody else', async () => {
    const page = await open(server());
    const slipped = page.evaluate("document.createElement('script').setAttribute('src', '/page/page.js')");
    await expect(slipped).rejects.toThrow('TrustedScriptURL');
    const violated = await page.evaluate(`new Promise((resolve) => {
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => resolve(effectiveDirective));
      fetch('https://elsewhere.example/').catch(() => {});
    })`);
    expect(violated).toBe('connect-src');
  });
});
