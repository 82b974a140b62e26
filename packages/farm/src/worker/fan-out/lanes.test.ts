import { constants, inflateRawSync } from 'node:zlib';
import { encodeEnvelope, type Envelope } from '@roost/broker';
import {
  makeCertificate,
  readFrames,
  type Frame,
  type RawClient,
  seededRandom,
  testSeed,
} from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { ChannelPublication } from '../../api/channel-publication.ts';
import type { Connection } from '../../api/connection.ts';
import {
  FIRST_ID,
  poll,
  upgradeHead,
  WorkerHarness,
  type HarnessOptions,
} from '../fixtures/worker-harness.ts';

const OFFER = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits';
const certificate = makeCertificate();

let harness: WorkerHarness;
const opened: Connection[] = [];
/** What encode hooks were given, by app. */
let encoded: (readonly [app: string, publication: ChannelPublication])[] = [];
afterEach(async () => {
  await harness.stop();
  opened.length = 0;
  encoded = [];
});

/** An app whose paths begin with its name, and whose connections are in the channel that follows: `/json/news`. */
function appOf(name: string, encode?: App['encode']): App {
  return {
    name,
    upgrade: ({ path }) =>
      path.startsWith(`/${name}/`) ? accept({ channels: [path.slice(name.length + 2)] }) : undefined,
    open: (connection) => void opened.push(connection),
    ...(encode !== undefined && {
      encode: (publication) => {
        // The payload is lent.
        encoded.push([name, { ...publication, payload: Buffer.from(publication.payload) }]);
        return encode(publication);
      },
    }),
  };
}

function asJson({ channel, kind, event, user, payload }: ChannelPublication): string {
  return JSON.stringify({ channel, kind, event, user, data: payload.toString() });
}

const APPS = [
  appOf('plain'),
  appOf('json', asJson),
  appOf('bytes', ({ payload }) => Uint8Array.from([7, ...payload])),
  appOf('none', () => undefined),
];

async function start(options: HarnessOptions = {}, apps: readonly App[] = APPS): Promise<void> {
  harness = await WorkerHarness.start(apps, options);
}

/** Clients with their 101, whose open hooks have run. */
async function openAll(...paths: string[]): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const path of paths) {
    clients.push(await harness.open(path));
    await poll(() => opened.length).toBe(clients.length);
  }
  return clients;
}

async function openDeflated(path: string): Promise<RawClient> {
  const count = opened.length;
  const client = await harness.connect();
  client.writeText(upgradeHead(path, [OFFER]));
  expect(await client.readHead()).toContain('permessage-deflate');
  await poll(() => opened.length).toBe(count + 1);
  return client;
}

/** What Redis or the exchange brings. */
function publishEnvelope(channel: string, payload: string, rest: Partial<Envelope>): void {
  harness.publish(channel, encodeEnvelope(Buffer.from(payload), rest));
}

/** Opcode and text of a frame, inflated if it is compressed. */
function read({ first, payload }: Frame): string {
  if ((first & 0x40) === 0) return `${(first & 0x0f) === 1 ? 'text' : 'binary'} ${String(payload)}`;
  const whole = Buffer.concat([payload, Buffer.from('0000ffff', 'hex')]);
  return `deflated ${String(inflateRawSync(whole, { finishFlush: constants.Z_SYNC_FLUSH }))}`;
}

async function next(client: RawClient): Promise<string> {
  return read(await client.readFrame());
}

function jsonNews(data: string): string {
  return `text {"channel":"news","kind":"publication","data":"${data}"}`;
}

describe.each([
  ['TCP', {}],
  ['TLS', { tls: certificate }],
])('a publication to several lanes over %s', (_what, transport) => {
  it('reaches each client in the form of its app, which has made it once', async () => {
    await start(transport);
    const paths = ['/plain/news', '/json/news', '/bytes/news', '/json/news', '/none/news', '/plain/news'];
    const clients = await openAll(...paths);
    harness.publish('news', 'hello');
    harness.publish('news', 'again');
    const expected = [
      ['text hello', 'text again'],
      [jsonNews('hello'), jsonNews('again')],
      ['binary \u0007hello', 'binary \u0007again'],
      [jsonNews('hello'), jsonNews('again')],
    ];
    for (const [index, texts] of expected.entries()) {
      for (const text of texts) expect(await next(clients.at(index)!)).toBe(text);
    }
    expect(clients.at(4)?.unread).toHaveLength(0);
    expect(encoded.map(([name, { payload }]) => `${name} ${String(payload)}`)).toEqual([
      'json hello',
      'bytes hello',
      'none hello',
      'json again',
      'bytes again',
      'none again',
    ]);
    expect(encoded[0]?.[1]).toEqual({
      channel: 'news',
      payload: Buffer.from('hello'),
      isText: true,
      kind: 'publication',
      version: 0,
    });
    expect(await harness.count('publications')).toBe(2);
    expect(await harness.count('deliveries')).toBe(10);
  });

  it('is compressed once for each lane that has somebody who agreed on it', async () => {
    await start({ ...transport, compression: true });
    const clients = [
      await openDeflated('/json/news'),
      await openDeflated('/plain/news'),
      await openDeflated('/json/news'),
    ];
    clients.push(...(await Promise.all([harness.open('/json/news'), harness.open('/bytes/news')])));
    await poll(() => opened.length).toBe(5);
    const text = 'all the news '.repeat(100);
    harness.publish('news', text);
    const json = `{"channel":"news","kind":"publication","data":"${text}"}`;
    expect(await Promise.all(clients.map((client) => next(client)))).toEqual([
      `deflated ${json}`,
      `deflated ${text}`,
      `deflated ${json}`,
      `text ${json}`,
      `binary \u0007${text}`,
    ]);
    expect(await harness.count('publications_compressed')).toBe(2);
  });

  it('leaves out the one connection that it excepts, whatever its lane', async () => {
    await start(transport);
    const clients = await openAll('/json/news', '/plain/news', '/json/news', '/plain/news');
    expect(opened[0]?.id).toBe(FIRST_ID);
    for (const [index, { id }] of opened.entries()) {
      await harness.context?.publish('news', `not to ${index}`, { except: id });
    }
    await harness.context?.publish('news', 'to all');
    for (const [index, client] of clients.entries()) {
      for (let other = 0; other < 4; other++) {
        if (other !== index) expect(await next(client)).toContain(`not to ${other}`);
      }
      expect(await next(client)).toContain('to all');
    }
    expect(await harness.count('deliveries')).toBe(4 * 3 + 4);
  });
});

describe('a publication', () => {
  it('is not encoded for a lane that has nobody in the channel', async () => {
    await start();
    const client = (await openAll('/json/news', '/bytes/other')).at(0)!;
    harness.publish('news', 'hello');
    expect(await next(client)).toContain('hello');
    expect(encoded.map(([name]) => name)).toEqual(['json']);
  });

  it('is given to the hook with all its attributes', async () => {
    await start();
    const client = (await openAll('/json/news')).at(0)!;
    await harness.context?.publish('news', Buffer.from('fffe', 'hex'), {
      event: 'greet',
      except: '1.2',
      user: 'né',
    });
    expect(JSON.parse((await next(client)).slice(5))).toMatchObject({ event: 'greet', user: 'né' });
    expect(encoded[0]?.[1]).toEqual({
      channel: 'news',
      payload: Buffer.from('fffe', 'hex'),
      isText: false,
      kind: 'publication',
      version: 0,
      event: 'greet',
      except: '1.2',
      user: 'né',
    });
  });

  it('that excepts somebody of another farm, or nobody who is there, reaches all', async () => {
    await start();
    const clients = await openAll('/json/news', '/plain/news');
    const [, scrambled] = FIRST_ID.split('.');
    for (const except of [`1.${scrambled}`, `${FIRST_ID}0`, '305419896.1396198949999', 'nobody']) {
      publishEnvelope('news', except, { except });
    }
    for (const client of clients) {
      for (let count = 0; count < 4; count++) await client.readFrame();
    }
  });

  it('about members and counts reaches apps that can tell it, and a mark nobody', async () => {
    await start();
    const clients = await openAll('/plain/news', '/json/news');
    publishEnvelope('news', '{"name":"Ada"}', { kind: 'join', version: 1, user: 'ada' });
    publishEnvelope('news', '', { kind: 'mark', version: 1 });
    publishEnvelope('news', '', { kind: 'leave', version: 2, user: 'ada' });
    publishEnvelope('news', '42', { kind: 'count' });
    publishEnvelope('news', 'the end', { kind: 'publication', version: 3 });
    expect(await next(clients.at(0)!)).toBe('text the end');
    expect([await next(clients.at(1)!), await next(clients.at(1)!), await next(clients.at(1)!)]).toEqual([
      'text {"channel":"news","kind":"join","user":"ada","data":"{\\"name\\":\\"Ada\\"}"}',
      'text {"channel":"news","kind":"leave","user":"ada","data":""}',
      'text {"channel":"news","kind":"count","data":"42"}',
    ]);
    expect(await next(clients.at(1)!)).toContain('the end');
    expect(encoded.map(([, { version }]) => version)).toEqual([1, 2, 0, 3]);
  });

  it('from a client cannot be taken for news about members', async () => {
    await start();
    const client = (await openAll('/json/news')).at(0)!;
    const forged = encodeEnvelope(Buffer.alloc(0), { kind: 'leave', version: 9, user: 'ada' });
    await harness.context?.publish('news', forged);
    await client.readFrame();
    expect(encoded[0]?.[1]).toEqual({
      channel: 'news',
      payload: forged,
      isText: false,
      kind: 'publication',
      version: 0,
    });
  });

  it.each([
    [
      'throws',
      (): string => {
        throw new Error('cannot encode');
      },
    ],
    ['answers with a number', (): string => JSON.parse('7')],
    ['answers with a promise', (): string => JSON.parse('{}', () => Promise.reject(new Error('late')))],
  ])('is lost to the lane whose hook %s, counted and logged, and to nobody else', async (_what, encode) => {
    await start({}, [appOf('bad', encode), appOf('json', asJson)]);
    const clients = await openAll('/bad/news', '/json/news', '/bad/news');
    harness.publish('news', 'hello');
    expect(await next(clients.at(1)!)).toContain('hello');
    await poll(() => harness.logs.map(({ message }) => message)).toContain('app hook failed');
    expect(await harness.count('app_errors')).toBeGreaterThan(0);
    expect([clients.at(0)?.unread.length, clients.at(2)?.unread.length]).toEqual([0, 0]);
    expect(opened.map(({ isOpen }) => isOpen)).toEqual([true, true, true]);
  });

  it.each([
    { event: '' },
    { event: 'x'.repeat(1025) },
    JSON.parse('{"event":7}'),
    { except: '' },
    { except: 'me' },
    { except: '1.2.3' },
    { user: '' },
    { user: 'x'.repeat(257) },
    { user: '\ud800' },
  ])('is refused with the attributes %j', async (options) => {
    await start();
    await expect(harness.context?.publish('news', 'x', options)).rejects.toThrow(RangeError);
    expect(harness.exchange.counters.publicationCount).toBe(0);
  });
});

describe('lanes', () => {
  it('are seven at most, beside the one of apps without a hook', async () => {
    const apps = Array.from({ length: 7 }, (_, index) =>
      appOf(`a${index}`, ({ payload }) => `${index} ${String(payload)}`),
    );
    await start({}, [appOf('plain'), ...apps]);
    const paths = ['/plain/news', ...apps.map(({ name }) => `/${name}/news`)];
    const clients = await openAll(...paths);
    harness.publish('news', 'hello');
    const texts = await Promise.all(clients.map((client) => next(client)));
    expect(texts).toEqual(['text hello', ...apps.map((_, index) => `text ${index} hello`)]);
    const eight = [...apps, appOf('a7', () => undefined)];
    await expect(WorkerHarness.start(eight)).rejects.toThrow('at most 7 apps may have an encode hook');
  });

  /** Publications numbered by channel, some not for one of the clients, through slices and queues. */
  it.each(Array.from({ length: 4 }, testSeed))(
    'bring each client what is for it, once and in order (seed %d)',
    async (seed) => {
      const random = seededRandom(seed);
      await start({
        capacity: 128,
        compression: true,
        minCompressBytes: 64,
        maxOutboundBytes: 64 * 1024 * 1024,
        // 32 sends a turn of the event loop: a broadcast takes several.
        beyondLimits: { broadcastSliceMs: 0.001 },
      });
      const clients: { client: RawClient; app: string; id: string; expected: string[] }[] = [];
      for (let index = 0; index < 80; index++) {
        const app = ['plain', 'json', 'bytes', 'none'][random(4)] ?? 'plain';
        const path = `/${app}/news`;
        const client = random(3) === 0 ? await openDeflated(path) : await harness.open(path);
        await poll(() => opened.length).toBe(index + 1);
        if (random(4) === 0) client.pause();
        clients.push({ client, app, id: opened.at(index)!.id, expected: [] });
      }
      for (let number = 0; number < 60; number++) {
        const data = `${number} ${'x'.repeat(random(3) * 9000)}`;
        const excepted = random(2) === 0 ? clients[random(clients.length)] : undefined;
        publishEnvelope('news', data, excepted === undefined ? {} : { except: excepted.id });
        for (const each of clients) {
          if (each === excepted) continue;
          if (each.app === 'plain') each.expected.push(data);
          if (each.app === 'bytes') each.expected.push(`\u0007${data}`);
          if (each.app === 'json')
            each.expected.push(JSON.stringify({ channel: 'news', kind: 'publication', data }));
        }
      }
      await harness.counts(
        'deliveries',
        clients.reduce((sum, { expected }) => sum + expected.length, 0),
      );
      for (const { client, expected } of clients) {
        client.resume();
        const seen: string[] = [];
        while (seen.length < expected.length) seen.push((await next(client)).replace(/^\w+ /, ''));
        expect(seen).toEqual(expected);
      }
      // Nobody has got more than that.
      await poll(() => clients.every(({ client }) => readFrames(client.unread).length === 0)).toBe(true);
    },
  );
});
