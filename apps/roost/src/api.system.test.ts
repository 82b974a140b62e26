import { gzipSync } from 'node:zlib';
import { redisIsInstalled } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import {
  API_KEY,
  call,
  closeAfterEach,
  connect,
  request,
  serverForAll,
  start,
  startOwnRedis,
} from './fixtures/system-test.ts';

closeAfterEach();
const server = serverForAll();

describe('the HTTP API', () => {
  it('publishes a string as it is, other data as compact JSON, and b64data as bytes', async () => {
    const farm = server();
    const client = await connect(farm, '/plain?channel=news');
    const published: [string, object][] = [
      ['two  words', { text: 'two  words', isBinary: false }],
      [
        '{ "id": 9007199254740993, "b": [1, 2] }',
        { text: '{"id":9007199254740993,"b":[1,2]}', isBinary: false },
      ],
      ['null', { text: 'null' }],
    ];
    for (const [data, message] of published) {
      const body = `{"channel":"news","data":${data.startsWith('two') ? JSON.stringify(data) : data}}`;
      expect(await call(farm, 'publish', body)).toEqual({ status: 200, body: { result: {} } });
      expect(await client.nextMessage()).toMatchObject(message);
    }
    await call(farm, 'publish', { channel: 'news', b64data: 'AP8=' });
    expect(await client.nextMessage()).toMatchObject({ data: Buffer.from('00ff', 'hex'), isBinary: true });
  });

  it('takes JSON whatever the content type says, as curl sends it', async () => {
    const farm = server();
    for (const type of [
      'application/json',
      'application/x-www-form-urlencoded',
      'text/plain',
      '',
      'json',
      '/',
    ]) {
      const headers = { 'X-API-Key': API_KEY, 'Content-Type': type };
      expect(await call(farm, 'publish', { channel: 'a', data: 1 }, headers)).toMatchObject({ status: 200 });
    }
  });

  it('takes a body in gzip, within the same limit, and names it to who sends another encoding', async () => {
    const farm = server();
    const client = await connect(farm, '/plain?channel=zipped');
    const publish = (encoding: string, body: Buffer): Promise<Response> =>
      request(farm, '/api/publish', {
        method: 'POST',
        headers: { 'X-API-Key': API_KEY, 'Content-Encoding': encoding },
        body,
      });
    const body = gzipSync('{"channel":"zipped","data":"small"}');
    expect(await (await publish('gzip', body)).json()).toEqual({ result: {} });
    expect((await client.nextMessage()).text).toBe('small');
    expect((await publish('gzip', gzipSync(Buffer.alloc(20_000_000, ' ')))).status).toBe(413);
    expect((await publish('gzip', Buffer.from('{}'))).status).toBe(400);
    const refused = await publish('br', body);
    expect([refused.status, refused.headers.get('accept-encoding')]).toEqual([415, 'gzip']);
    expect(await refused.json()).toEqual({
      error: {
        code: 1006,
        message: 'unsupported encoding: a body is sent as it is or as gzip, got "br"',
      },
    });
  });

  it('broadcasts to several channels with one answer for each', async () => {
    const farm = server();
    const [one, two] = [await connect(farm, '/plain?channel=one'), await connect(farm, '/plain?channel=two')];
    expect(await call(farm, 'broadcast', { channels: ['one', '', 'two'], data: 'hello' })).toEqual({
      status: 200,
      body: {
        result: {
          responses: [
            { result: {} },
            { error: { code: 107, message: 'bad request: a channel name must not be empty' } },
            { result: {} },
          ],
        },
      },
    });
    expect((await one.nextMessage()).text).toBe('hello');
    expect((await two.nextMessage()).text).toBe('hello');
  });

  it('tells about the farm and its channels', async () => {
    // A farm of its own: clients of other tests may not be gone for the server yet.
    const farm = await start();
    const clients = [await connect(farm, '/plain?channel=news'), await connect(farm, '/plain?channel=news')];
    await connect(farm, '/plain?channel=sports');
    expect(await call(farm, 'channels', {})).toEqual({
      status: 200,
      body: {
        result: {
          channels: { news: { num_clients: 2 }, sports: { num_clients: 1 } },
          scope: 'farm',
          partial: false,
          unanswered_workers: [],
        },
      },
    });
    expect(await call(farm, 'channels', { pattern: 'sp*' })).toMatchObject({
      body: { result: { channels: { sports: { num_clients: 1 } } } },
    });
    const { body } = await call(farm, 'info', '');
    expect(body).toMatchObject({
      result: {
        nodes: [
          {
            uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
            version: '0.2.0',
            num_clients: clients.length + 1,
            num_subs: 3,
            broker: { kind: 'memory' },
            readiness: { ready: true },
            workers: [{ worker: 0 }, { worker: 1 }],
            scope: 'farm',
            partial: false,
            unanswered_workers: [],
          },
        ],
      },
    });
  });

  it('answers 401 without the right key, before anything else', async () => {
    const farm = server();
    for (const headers of [{}, { 'X-API-Key': 'wrong' }, { Authorization: `Bearer ${API_KEY}` }]) {
      for (const method of ['publish', 'absent']) {
        expect(await call(farm, method, '{', headers)).toEqual({
          status: 401,
          body: { error: { code: 101, message: 'unauthorized: show the API key in the header X-API-Key' } },
        });
      }
    }
    expect(await call(farm, 'info', {}, { Authorization: `apikey ${API_KEY}` })).toMatchObject({
      status: 200,
    });
  });

  it.each([
    ['publish', { data: 'x' }, '"channel" is missing'],
    ['publish', { channel: 7, data: 'x' }, '"channel" must be string'],
    ['publish', { channel: 'a' }, 'give exactly one of "data" and "b64data"'],
    ['publish', { channel: 'a', data: 'x', b64data: '' }, 'give exactly one of "data" and "b64data"'],
    ['publish', { channel: 'a', data: 'x', tags: {} }, '"tags" is not a field of this method'],
    ['publish', { channel: 'a\n', data: 'x' }, 'a channel name must not contain control characters'],
    ['publish', [], 'the body must be object'],
    ['publish', '{', 'the body is not JSON'],
    ['broadcast', { channels: [], data: 'x' }, '"channels" must NOT have fewer than 1 items'],
    ['broadcast', { channels: 'a', data: 'x' }, '"channels" must be array'],
    ['channels', { pattern: '' }, '"pattern" must NOT have fewer than 1 characters'],
  ])('answers 400 to %s with %j', async (method, body, reason) => {
    const farm = server();
    expect(await call(farm, method, body)).toMatchObject({
      status: 400,
      body: { error: { code: 107, message: expect.stringContaining(`bad request: ${reason}`) } },
    });
  });

  it('answers 404 to an unknown method and 405 to other HTTP methods', async () => {
    const farm = server();
    expect(await call(farm, 'presence', {})).toEqual({
      status: 404,
      body: { error: { code: 104, message: 'method not found' } },
    });
    const got = await request(farm, '/api/publish', { headers: { 'X-API-Key': API_KEY } });
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
    expect(await got.json()).toEqual({
      error: { code: 107, message: 'bad request: every method is a POST' },
    });
  });

  it('answers 413 to what is larger than its limits', async () => {
    const farm = await start(['--api-max-body-bytes', '100', '--api-max-broadcast-channels', '2']);
    expect(await call(farm, 'publish', { channel: 'a', data: 'x'.repeat(100) })).toEqual({
      status: 413,
      body: {
        error: { code: 106, message: 'limit exceeded: a body has at most 100 bytes (api.maxBodyBytes)' },
      },
    });
    expect(await call(farm, 'broadcast', { channels: ['a', 'b', 'c'], data: 1 })).toMatchObject({
      status: 413,
      body: { error: { code: 106 } },
    });
  });

  it.skipIf(!redisIsInstalled())('answers at once when the broker is away', async () => {
    const redis = await startOwnRedis();
    const farm = await start(['--redis-url', redis.url]);
    expect(await call(farm, 'publish', { channel: 'a', data: 'x' })).toMatchObject({ status: 200 });
    await redis.stop();
    await expect.poll(async () => (await request(farm, '/health/ready')).status).toBe(503);
    expect(await call(farm, 'publish', { channel: 'a', data: 'x' })).toMatchObject({
      status: 503,
      body: { error: { code: 1000, message: expect.stringContaining('broker unavailable') } },
    });
    expect(await call(farm, 'broadcast', { channels: ['a'], data: 'x' })).toMatchObject({
      status: 200,
      body: { result: { responses: [{ error: { code: 1000 } }] } },
    });
  });
});
