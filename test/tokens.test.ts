import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { accessSync, constants } from 'node:fs';
import { eventually, patient, TestClient } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JWK, JWTPayload } from 'jose';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  connect,
  connectRaw,
  counter,
  endAfterTest,
  startFarm,
  startSharedFarm,
  SWITCHING,
  upgradeRequest,
} from './harness/system.ts';

const CHROMIUM = '/usr/bin/chromium';
const SECRET = 'only-the-farm-and-its-issuer-know-this';
const CLAIMS = { sub: 'ada', channels: ['news', 'user:ada', 'room:*'], publish: ['room:*'] };

function token(claims: JWTPayload = {}, secret = SECRET, alg = 'HS256'): Promise<string> {
  return new SignJWT({ exp: now() + 60, ...CLAIMS, ...claims })
    .setProtectedHeader({ alg })
    .sign(Buffer.from(secret));
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

function isInstalled(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    process.stderr.write(`Tokens are not tried in a browser: there is no ${path}.\n`);
    return false;
  }
}

/** The status line, the headers and the body of the answer to an upgrade. */
async function answerTo(
  farm: FarmProcess,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ line: string; head: string; body: string }> {
  const client = await connectRaw(farm.port);
  client.writeText(upgradeRequest(path, headers));
  const head = await client.readHead();
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  const body = (await client.read(length)).toString();
  return { line: head.slice(0, head.indexOf('\r\n')), head, body };
}

/** Expects a refusal with this status and code, said in the body and counted. */
async function expectRefusal(
  farm: FarmProcess,
  { path, headers = {} }: { path: string; headers?: Record<string, string> },
  [status, code]: readonly [number, string],
): Promise<string> {
  const before = await counter(farm, code);
  const { line, head, body } = await answerTo(farm, path, headers);
  expect(line).toContain(` ${status} `);
  const { error }: { error: { code: string; message: string } } = JSON.parse(body);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(/^[A-Z].*\.$/);
  await eventually(async () => (await counter(farm, code)) === before + 1, { what: `${code} is counted` });
  return head;
}

/** What the app behind the guard sees of a request. */
async function seenByApp(client: TestClient): Promise<Record<string, unknown>> {
  return JSON.parse((await client.nextMessage()).text);
}

describe('a farm with a secret for tokens', () => {
  let farm: FarmProcess;
  beforeAll(async () => {
    farm = await startSharedFarm(['--tokens-public-channels', 'public:*,lobby', '--plain-client-publish'], {
      env: { ROOST_TOKENS_SECRET: SECRET },
    });
  });
  afterAll(() => farm.stop());

  it('refuses a bad token with 401 and a reason code, wherever it leads', async () => {
    const cases: readonly (readonly [string, string])[] = [
      ['token_expired', await token({ exp: now() - 1 })],
      ['token_not_yet_valid', await token({ nbf: now() + 60 })],
      ['token_signature', await token({}, SECRET.toUpperCase())],
      ['token_algorithm', await token({}, SECRET.repeat(2), 'HS512')],
      ['token_malformed', 'not-a-token'],
    ];
    for (const [code, shown] of cases) {
      const head = await expectRefusal(farm, { path: `/plain?channel=lobby&token=${shown}` }, [401, code]);
      expect(head).toContain('\r\nContent-Type: application/json; charset=utf-8\r\n');
      expect(head).toMatch(
        new RegExp(
          `\\r\\nWWW-Authenticate: Bearer realm="roost", error="invalid_token", error_description="${code}: [^"]+"\\r\\n`,
        ),
      );
    }
  });

  it('asks for a token with 401, and for one alone with 400', async () => {
    const head = await expectRefusal(farm, { path: '/me' }, [401, 'token_missing']);
    // RFC 6750 §3.1: who showed nothing is told no error.
    expect(head).toContain('\r\nWWW-Authenticate: Bearer realm="roost"\r\n');
    const shown = await token();
    const headers = { Authorization: `Bearer ${shown}` };
    await expectRefusal(farm, { path: `/me?token=${shown}`, headers }, [400, 'token_repeated']);
    await expectRefusal(farm, { path: `/me?token=${shown}&token=${shown}` }, [400, 'token_repeated']);
  });

  it('takes it from the query, the header or a subprotocol, and gives the app its claims without it', async () => {
    const shown = await token();
    const clients = [
      await connect(farm, `/me?a=1&token=${shown}&b=%20`),
      await TestClient.connect(`${farm.url}/me?a=1&b=%20`, { headers: { Authorization: `bearer ${shown}` } }),
      await TestClient.connect(`${farm.url}/me?a=1&b=%20`, { protocols: [`bearer.${shown}`, 'chat'] }),
    ];
    for (const client of clients) {
      endAfterTest(() => client.terminate());
      const seen = await seenByApp(client);
      expect(seen['claims']).toMatchObject(CLAIMS);
      expect(seen['url']).toBe('/me?a=1&b=%20');
      expect(JSON.stringify(seen)).not.toContain(shown);
    }
    expect(clients.map((client) => client.protocol)).toEqual(['', '', 'chat']);
  });

  it('closes a connection with 4003 when its token expires, and only that', async () => {
    const before = await counter(farm, 'closed_token_expired');
    const exp = now() + 2;
    const short = await connect(farm, `/echo?token=${await token({ exp })}`);
    const plain = await connect(farm, `/plain?channel=news&token=${await token({ exp })}`);
    const long = await connect(farm, `/echo?token=${await token()}`);
    for (const client of [short, plain]) {
      expect(await client.closed).toEqual({ code: 4003, reason: 'the token has expired' });
    }
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(exp);
    expect(await counter(farm, 'closed_token_expired')).toBe(before + 2);
    expect(long.isClosed).toBe(false);
  });

  it('lets clients of /plain subscribe to what their token or a public pattern covers', async () => {
    const shown = await token();
    const open = [
      `/plain?channel=news&channel=user:ada&channel=room:7&channel=public:x&token=${shown}`,
      '/plain?channel=lobby&channel=public:chess',
    ];
    for (const path of open) expect((await answerTo(farm, path)).line).toBe(SWITCHING);
    await expectRefusal(farm, { path: '/plain?channel=lobby&channel=news' }, [401, 'token_missing']);
    const path = `/plain?channel=news&channel=user:bob&token=${shown}`;
    const head = await expectRefusal(farm, { path }, [403, 'token_channel']);
    expect(head).toContain('error="insufficient_scope"');
    // A channel of that name is no pattern for others.
    await expectRefusal(farm, { path: `/plain?channel=*&token=${shown}` }, [403, 'token_channel']);
  });

  it('publishes what clients of /plain send where their token lets them, and closes the others with 4501', async () => {
    const shown = await token();
    const reader = await connect(farm, `/plain?channel=news&channel=room:7&token=${shown}`);
    const writer = await connect(farm, `/plain?channel=room:7&token=${shown}`);
    writer.send('to the room');
    expect((await reader.nextMessage()).text).toBe('to the room');
    // One of its two channels.
    reader.send('from the reader');
    expect((await writer.nextMessage()).text).toBe('to the room');
    expect((await writer.nextMessage()).text).toBe('from the reader');
    expect((await reader.nextMessage()).text).toBe('from the reader');
    const mute = [
      await connect(farm, `/plain?channel=news&token=${shown}`),
      await connect(farm, '/plain?channel=lobby'),
    ];
    for (const client of mute) {
      client.send('may I?');
      expect(await client.closed).toEqual({
        code: 4501,
        reason: 'your token does not let you publish here',
      });
    }
    expect(await counter(farm, 'token_publish')).toBe(2);
    expect(reader.messageCount).toBe(2);
  });

  it.skipIf(!isInstalled(CHROMIUM))(
    'takes a token from a browser as a subprotocol beside a real one',
    async () => {
      const browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu'],
      });
      endAfterTest(() => browser.close());
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${farm.port}/`);
      const protocolFor = (protocols: readonly string[]): Promise<string> =>
        page.evaluate(
          ([url, offered]) =>
            new Promise<string>((resolve) => {
              const socket = new WebSocket(url, [...offered]);
              socket.addEventListener('open', () => resolve(socket.protocol));
              socket.addEventListener('close', ({ code }) => resolve(`closed with ${code}`));
            }),
          [`ws://127.0.0.1:${farm.port}/plain?channel=news`, protocols] as const,
        );
      const bearer = `bearer.${await token()}`;
      expect(await protocolFor(['roost', bearer])).toBe('roost');
      expect(await protocolFor([bearer])).toBe(bearer);
      expect(await protocolFor(['roost', `bearer.${await token({ exp: now() - 1 })}`])).toBe(
        'closed with 1006',
      );
      expect(await protocolFor(['roost'])).toBe('closed with 1006');

      // The server's own page has a field for it.
      await page.getByText('A token, or another path').click();
      await page.getByLabel('Token').fill(await token());
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
      await page.locator('#state[data-state=open]').waitFor();
    },
  );

  it('never logs a token or the secret', () => {
    const output = farm.logs.map((line) => JSON.stringify(line)).join('\n') + farm.otherOutput;
    expect(output).toContain('farm ready');
    expect(output).not.toMatch(/eyJ[\w-]+\./);
    expect(output).not.toContain(SECRET);
  });
});

describe('a farm with a JWKS at a URL', () => {
  let farm: FarmProcess;
  let server: Server;
  let port = 0;
  let keys: JWK[] = [];
  let first: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };
  let second: typeof first;

  function signed(kid: string, { privateKey }: typeof first): Promise<string> {
    return new SignJWT({ ...CLAIMS, exp: now() + 60 })
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(privateKey);
  }

  beforeAll(async () => {
    first = await generateKeyPair('ES256', { extractable: true });
    second = await generateKeyPair('ES256', { extractable: true });
    server = createServer((_request, response) => response.end(JSON.stringify({ keys })));
    port = await listenOn(server, 0);
    await new Promise((resolve) => void server.close(resolve));
    const url = `http://127.0.0.1:${port}/jwks.json`;
    farm = await startSharedFarm([
      '--workers=1',
      `--tokens-jwks=${url}`,
      '--tokens-jwks-cooldown-ms=0',
      '--tokens-allow-anonymous',
    ]);
  });
  afterAll(async () => {
    await farm.stop();
    server.closeAllConnections();
    await new Promise((resolve) => void server.close(resolve));
  });

  it('answers 503 with Retry-After while nobody serves it, and goes on when somebody does, with new keys too', async () => {
    const shown = await signed('a', first);
    const head = await expectRefusal(farm, { path: `/me?token=${shown}` }, [503, 'token_keys_unavailable']);
    expect(head).toContain('\r\nRetry-After: 5\r\n');
    keys = [{ ...(await exportJWK(first.publicKey)), kid: 'a' }];
    await listenOn(server, port);
    const client = await eventually(() => connect(farm, `/me?token=${shown}`), {
      what: 'the keys are fetched',
    });
    expect((await seenByApp(client))['claims']).toMatchObject(CLAIMS);

    const rotated = await signed('b', second);
    await expectRefusal(farm, { path: `/me?token=${rotated}` }, [401, 'token_key']);
    keys = [...keys, { ...(await exportJWK(second.publicKey)), kid: 'b' }];
    await connect(farm, `/me?token=${rotated}`);
  });

  it('asks the app about clients without a token where it may, and still refuses bad tokens', async () => {
    const client = await connect(farm, '/me?a=1');
    const seen = await seenByApp(client);
    expect(seen['claims']).toBeUndefined();
    expect(seen['url']).toBe('/me?a=1');
    await expectRefusal(farm, { path: '/me?token=x' }, [401, 'token_malformed']);
    await expectRefusal(farm, { path: '/plain?channel=news' }, [401, 'token_missing']);
  });
});

describe('a farm whose JWKS does not answer', () => {
  it('lets maxHandshakes clients wait for it, tokens.jwksTimeoutMs long, and refuses the others at once', async () => {
    // Takes connections and says nothing.
    const silent = createServer(() => undefined);
    endAfterTest(async () => {
      silent.closeAllConnections();
      await new Promise((resolve) => void silent.close(resolve));
    });
    const timeoutMs = patient(2000);
    const farm = await startFarm([
      '--workers=1',
      `--tokens-jwks=http://127.0.0.1:${await listenOn(silent, 0)}/`,
      `--tokens-jwks-timeout-ms=${timeoutMs}`,
      '--upgrade-timeout-ms=600000',
      '--max-handshakes=1',
    ]);
    const { privateKey } = await generateKeyPair('ES256');
    const shown = await new SignJWT(CLAIMS).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
    const path = `/echo?token=${shown}`;
    // Sent together, so that both come while the keys are awaited.
    const [first, second] = [await connectRaw(farm.port), await connectRaw(farm.port)];
    first.writeText(upgradeRequest(path));
    second.writeText(upgradeRequest(path));
    const heads = [await first.readHead(), await second.readHead()];
    for (const head of heads) expect(head).toMatch(/^HTTP\/1\.1 503 [^]*\r\nRetry-After: 5\r\n/);
    expect(await counter(farm, 'refused_handshakes')).toBe(1);
    expect(await counter(farm, 'token_keys_unavailable')).toBe(1);
    expect(await counter(farm, 'token_missing')).toBe(0);
    const line = await farm.log(({ msg }) => msg === 'token keys cannot be loaded');
    expect(line['error']).toBe(`it did not answer within ${timeoutMs} ms`);
  });
});

/** The port on which the server listens on loopback from now on. */
async function listenOn(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
