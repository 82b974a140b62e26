import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import Pusher from 'pusher';

/**
 * http://localhost:3000: a chat that shows who is here and who is typing, in the browser by pusher-js. This is its back end, and
 * no part of Roost: it says who may be in the room, and what is said there. The farm is that of PUSHER_HOST and PUSHER_PORT.
 */
const { env } = process;
const APP = {
  appId: env['PUSHER_APP_ID'] ?? '1',
  key: env['PUSHER_APP_KEY'] ?? 'app-key',
  secret: env['PUSHER_APP_SECRET'] ?? 'app-secret',
};
const FARM = { host: env['PUSHER_HOST'] ?? '127.0.0.1', port: env['PUSHER_PORT'] ?? '8080' };
const ROOM = 'presence-room';
const MAX_BODY_BYTES = 8192;

const pusher = new Pusher({ ...APP, ...FARM, useTLS: false });

const PAGE = fileURLToPath(new URL('../page/', import.meta.url));
const CLIENT = createRequire(import.meta.url).resolve('pusher-js/dist/web/pusher.min.js');

/** Path, file and type of what the page is made of. */
const FILES = new Map<string | undefined, readonly [path: string, type: string]>([
  ['/', [`${PAGE}presence-chat.html`, 'text/html']],
  ['/presence-chat.css', [`${PAGE}presence-chat.css`, 'text/css']],
  ['/presence-chat.js', [`${PAGE}presence-chat.js`, 'text/javascript']],
  ['/pusher.min.js', [CLIENT, 'text/javascript']],
]);

/** Who is asking: the name that a cookie remembers. A real back end has sessions. */
function userOf({ headers }: IncomingMessage): string | undefined {
  return /(?:^|; )nick=(\w{1,32})(?:;|$)/.exec(headers.cookie ?? '')?.[1];
}

async function formOf(request: IncomingMessage): Promise<URLSearchParams> {
  if (Number(request.headers['content-length'] ?? Infinity) > MAX_BODY_BYTES)
    throw new RangeError('too much');
  return new URLSearchParams(await text(request));
}

function answer(response: ServerResponse, status: number, body: object = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

async function post(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const form = await formOf(request);
  if (request.url === '/name') {
    const nick = form.get('nick') ?? '';
    if (!/^\w{1,32}$/.test(nick))
      return answer(response, 400, { error: 'A name is 1 to 32 letters, digits or _.' });
    response.setHeader('Set-Cookie', `nick=${nick}; HttpOnly; SameSite=Strict; Path=/`);
    return answer(response, 200, { key: APP.key, port: Number(FARM.port) });
  }
  const user = userOf(request);
  const socketId = form.get('socket_id') ?? '';
  if (user === undefined) return answer(response, 403);
  if (request.url === '/auth' && form.get('channel_name') === ROOM) {
    const member = { user_id: user, user_info: { name: user } };
    return answer(response, 200, pusher.authorizeChannel(socketId, ROOM, member));
  }
  if (request.url === '/say') {
    // Its own page has the line already: it is left out by its socket id.
    await pusher.trigger(ROOM, 'line', { user, line: form.get('line') ?? '' }, { socket_id: socketId });
    return answer(response, 200);
  }
  return answer(response, 404);
}

async function get(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path, type] = FILES.get(request.url) ?? [];
  if (path === undefined) return answer(response, 404);
  // Before the head: a file that cannot be read is an error that can still be answered.
  const file = await readFile(path);
  response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(file);
}

const server = createServer((request, response) => {
  (request.method === 'POST' ? post(request, response) : get(request, response)).catch((error: unknown) => {
    console.error(error);
    answer(response, 502, { error: 'That did not work.' });
  });
});
server.listen(Number(env['PORT'] ?? 3000), () => {
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : address;
  console.log(`The chat is at http://localhost:${port}`);
});
