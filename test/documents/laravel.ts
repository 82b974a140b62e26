import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { eventually, listenLocally } from '@roost/testing';
import type Echo from 'laravel-echo';
import Pusher from 'pusher';
import { expect } from 'vitest';
import { endAfterTest } from '../harness/system.ts';
import type { Program } from './programs.ts';
import { startPusherFarm } from './pusher-farm.ts';
import { snippet } from './snippets.ts';

/** The `.env` of the guide, for a farm on another port. */
function laravelEnvironment(port: number): Record<string, string> {
  const values: Record<string, string> = {};
  for (const line of snippet('docs/guide/pusher.md', 'BROADCAST_CONNECTION').text.split('\n')) {
    const [, name, value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const written = name === 'PUSHER_PORT' ? String(port) : value;
    values[name] = written
      .replace(/^"(.*)"$/, '$1')
      .replaceAll(/\$\{(\w+)\}/g, (_, other) => values[other] ?? '');
  }
  return values;
}

/** The back end of Pusher as config/broadcasting.php of Laravel makes it of that. */
function laravelPusher(env: Readonly<Record<string, string>>): Pusher {
  const of = (name: string): string => env[`PUSHER_${name}`] ?? '';
  return new Pusher({
    appId: of('APP_ID'),
    key: of('APP_KEY'),
    secret: of('APP_SECRET'),
    host: of('HOST'),
    port: of('PORT'),
    useTLS: of('SCHEME') === 'https',
    encryptionMasterKeyBase64: Buffer.alloc(32, 'k').toString('base64'),
  });
}

/** What Laravel answers at /broadcasting/auth: it knows users by their bearer token, and signs wrongly for `private-forbidden`. */
async function startAuthorizer(pusher: Pusher): Promise<string> {
  const answer = async (request: IncomingMessage): Promise<string> => {
    const form = new URLSearchParams(await text(request));
    const name = request.headers.authorization?.replace('Bearer ', '') ?? '';
    const channel = form.get('channel_name') ?? '';
    const member = { user_id: name, user_info: { name } };
    return JSON.stringify(
      channel === 'private-forbidden'
        ? { auth: 'app-key:0123456789abcdef' }
        : pusher.authorizeChannel(
            form.get('socket_id') ?? '',
            channel,
            channel.startsWith('presence-') ? member : undefined,
          ),
    );
  };
  const server = createServer((request, response) => {
    void answer(request).then((body) => response.setHeader('Content-Type', 'application/json').end(body));
  });
  const port = await listenLocally(server);
  endAfterTest(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${port}/broadcasting/auth`;
}

type EchoOfPusher = Echo<'pusher'>;

/** Runs `resources/js/echo.js` of the guide for one user. */
async function echoOf(
  program: Program,
  { user, env, endpoint }: { user: string; env: Readonly<Record<string, string>>; endpoint: string },
): Promise<EchoOfPusher> {
  const last = "enabledTransports: ['ws', 'wss'],";
  const path = await program.runnable({
    'import.meta.env': `(${JSON.stringify(env)})`,
    // Not bearerToken: all that a page has of Echo share its headers, and here are two users.
    [last]: `${last} authEndpoint: '${endpoint}', auth: { headers: { Authorization: 'Bearer ${user}' } },`,
  });
  const page: { Echo?: EchoOfPusher } = {};
  Object.assign(globalThis, { window: page });
  try {
    await import(`${pathToFileURL(path).href}?user=${user}`);
  } finally {
    Reflect.deleteProperty(globalThis, 'window');
  }
  const { Echo: echo } = page;
  if (echo === undefined) throw new Error('The program makes no window.Echo.');
  endAfterTest(() => Promise.resolve(echo.disconnect()));
  return echo;
}

interface Named {
  readonly name: string;
}

const names = (users: readonly Named[]): string =>
  users
    .map(({ name }) => name)
    .toSorted()
    .join(' ');

/** Two users of Laravel Echo, and a back end, do what Echo can. */
export async function tryEcho(program: Program): Promise<void> {
  const farm = await startPusherFarm();
  const env = laravelEnvironment(farm.port);
  const pusher = laravelPusher(env);
  const endpoint = await startAuthorizer(pusher);
  const ada = await echoOf(program, { user: 'ada', env, endpoint });
  const bob = await echoOf(program, { user: 'bob', env, endpoint });
  const seen: string[] = [];
  const see = async (...lines: string[]): Promise<void> => {
    await eventually(() => expect(seen).toEqual(lines));
    seen.length = 0;
  };

  const room = ada
    .join('room')
    .here((users: Named[]) => seen.push(`ada: here are ${names(users)}`))
    .joining((user: Named) => seen.push(`ada: ${user.name} joins`))
    .leaving((user: Named) => seen.push(`ada: ${user.name} leaves`))
    .listenForWhisper('typing', (whisper: { at: number }) =>
      seen.push(`ada: somebody types at ${whisper.at}`),
    )
    .listen('Said', (event: { text: string }) => seen.push(`ada: ${event.text}`));
  await see('ada: here are ada');
  const ofBob = bob
    .join('room')
    .here((users: Named[]) => seen.push(`bob: here are ${names(users)}`))
    .listen('Said', (event: { text: string }) => seen.push(`bob: ${event.text}`));
  await eventually(() => expect(seen.toSorted()).toEqual(['ada: bob joins', 'bob: here are ada bob']));
  seen.length = 0;
  ofBob.whisper('typing', { at: 7 });
  await see('ada: somebody types at 7');

  // broadcast(…)->toOthers() of a request with the X-Socket-Id of bob, then one to all.
  const event = 'App\\Events\\Said';
  await pusher.trigger('presence-room', event, { text: 'hi' }, { socket_id: bob.socketId() ?? '' });
  await see('ada: hi');
  await pusher.trigger('presence-room', event, { text: 'all' });
  await eventually(() => expect(seen.toSorted()).toEqual(['ada: all', 'bob: all']));
  seen.length = 0;

  let isIn = false;
  ada
    .encryptedPrivate('vault')
    .subscribed(() => (isIn = true))
    .listen('.opened', ({ code }: { code: string }) => seen.push(`ada: the code is ${code}`));
  await eventually(() => isIn);
  await pusher.trigger('private-encrypted-vault', 'opened', { code: 'x' });
  await see('ada: the code is x');

  ada
    .private('forbidden')
    .error(({ type, status }: { type: string; status: number }) => seen.push(`${type} ${status}`));
  await see('AuthError 401');

  bob.leave('room');
  await see('ada: bob leaves');
  expect(room.subscription).toMatchObject({ members: { count: 1 } });
}
