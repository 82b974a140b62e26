import { describe, expect, it } from 'vitest';
import {
  cacheMiss,
  connectionEstablished,
  encodeEvent,
  errorMessage,
  parseMessage,
  PING,
  PONG,
  signinSuccess,
  subscriptionError,
  subscriptionSucceeded,
} from './codec.ts';
import type { ChannelEvent } from './codec.ts';

describe('a message of a client', () => {
  it.each([
    ['{"event":"pusher:ping","data":{}}', { type: 'ping' }],
    ['{"event":"pusher:ping","data":"{}"}', { type: 'ping' }],
    ['{"event":"pusher:ping","data":""}', { type: 'ping' }],
    ['{"event": "pusher:ping"}', { type: 'ping' }],
    ['{"data":7,"event":"pusher:pong"}', { type: 'pong' }],
    [
      '{"event":"pusher:subscribe","data":{"auth":"","channel":"news"}}',
      { type: 'subscribe', channel: 'news', auth: '', channelData: undefined },
    ],
    [
      '{"event":"pusher:subscribe","data":{"channel":"news"}}',
      { type: 'subscribe', channel: 'news', auth: '', channelData: undefined },
    ],
    [
      '{"event":"pusher:subscribe","data":{"channel":"news","auth":null,"channel_data":null}}',
      { type: 'subscribe', channel: 'news', auth: '', channelData: undefined },
    ],
    [
      '{"event":"pusher:subscribe","data":"{\\"channel\\":\\"presence-a\\",\\"auth\\":\\"k:0\\",\\"channel_data\\":\\"{}\\"}"}',
      { type: 'subscribe', channel: 'presence-a', auth: 'k:0', channelData: '{}' },
    ],
    ['{"event":"pusher:unsubscribe","data":{"channel":"news"}}', { type: 'unsubscribe', channel: 'news' }],
    [
      '{"event":"pusher:signin","data":{"auth":"k:0","user_data":"{\\"id\\":\\"u\\"}"}}',
      { type: 'signin', auth: 'k:0', userData: '{"id":"u"}' },
    ],
    [
      '{"event":"client-typing","channel":"private-a","data":{ "n" : 9007199254740993, "s" : "a b" }}',
      {
        type: 'clientEvent',
        event: 'client-typing',
        channel: 'private-a',
        data: '{"n":9007199254740993,"s":"a b"}',
      },
    ],
    [
      '{"event":"client-typing","channel":"private-a","data":"text"}',
      { type: 'clientEvent', event: 'client-typing', channel: 'private-a', data: '"text"' },
    ],
    [
      '{"event":"client-","channel":""}',
      { type: 'clientEvent', event: 'client-', channel: '', data: 'null' },
    ],
    // Of a repeated key the last counts, for the server as for whoever gets it.
    [
      '{"event":"client-a","channel":"private-a","data":1,"data":2}',
      { type: 'clientEvent', event: 'client-a', channel: 'private-a', data: '2' },
    ],
    ['{"event":"pusher:hello"}', { type: 'unknown' }],
    ['{"event":"pusher_internal:member_added","channel":"presence-a","data":"{}"}', { type: 'unknown' }],
    ['{"event":""}', { type: 'unknown' }],
  ])('%s is read', (text, message) => {
    expect(parseMessage(text)).toEqual(message);
  });

  it.each([
    ['', 'it is not a JSON object'],
    ['ping', 'it is not a JSON object'],
    ['[]', 'it is not a JSON object'],
    ['null', 'it is not a JSON object'],
    ['"{}"', 'it is not a JSON object'],
    ['{"event":"pusher:ping"', 'it is not a JSON object'],
    ['{"event":"pusher:ping"}{}', 'it is not a JSON object'],
    ['{}', 'its event must be a text'],
    ['{"event":null}', 'its event must be a text'],
    ['{"event":{"toString":"ping"}}', 'its event must be a text'],
    ['{"__proto__":{"event":"pusher:ping"}}', 'its event must be a text'],
    ['{"event":"client-a"}', 'its channel must be a text'],
    ['{"event":"client-a","channel":["private-a"]}', 'its channel must be a text'],
    ['{"event":"pusher:subscribe"}', 'its data must be an object'],
    ['{"event":"pusher:subscribe","data":"news"}', 'its data must be an object'],
    ['{"event":"pusher:subscribe","data":[]}', 'its data must be an object'],
    ['{"event":"pusher:subscribe","data":{}}', 'the channel in its data must be a text'],
    ['{"event":"pusher:subscribe","data":{"channel":7}}', 'the channel in its data must be a text'],
    ['{"event":"pusher:subscribe","data":{"channel":"a","auth":7}}', 'the auth in its data must be a text'],
    [
      '{"event":"pusher:subscribe","data":{"channel":"a","channel_data":{}}}',
      'the channel_data in its data must be a text',
    ],
    ['{"event":"pusher:unsubscribe","data":""}', 'the channel in its data must be a text'],
    ['{"event":"pusher:unsubscribe","data":{"channel":null}}', 'the channel in its data must be a text'],
    ['{"event":"pusher:signin"}', 'the auth in its data must be a text'],
    ['{"event":"pusher:signin","data":{"user_data":"{}"}}', 'the auth in its data must be a text'],
    [
      '{"event":"pusher:signin","data":{"auth":"","user_data":{}}}',
      'the user_data in its data must be a text',
    ],
  ])('%j is malformed: %s', (text, problem) => {
    expect(parseMessage(text)).toEqual({ type: 'malformed', problem });
  });
});

describe('a message of the server', () => {
  it('has these bytes', () => {
    expect(PING).toBe('{"event":"pusher:ping","data":{}}');
    expect(PONG).toBe('{"event":"pusher:pong","data":{}}');
    expect(connectionEstablished('123.456', 50)).toBe(
      '{"event":"pusher:connection_established","data":"{\\"socket_id\\":\\"123.456\\",\\"activity_timeout\\":50}"}',
    );
    expect(errorMessage(4001, 'There is no app with this key.')).toBe(
      '{"event":"pusher:error","data":{"code":4001,"message":"There is no app with this key."}}',
    );
    expect(errorMessage(null, 'x')).toBe('{"event":"pusher:error","data":{"code":null,"message":"x"}}');
    expect(subscriptionSucceeded('news')).toBe(
      '{"event":"pusher_internal:subscription_succeeded","channel":"news","data":"{}"}',
    );
    expect(
      subscriptionError('private-a', { type: 'AuthError', error: 'The signature is wrong.', status: 401 }),
    ).toBe(
      '{"event":"pusher:subscription_error","channel":"private-a","data":"{\\"type\\":\\"AuthError\\",\\"error\\":\\"The signature is wrong.\\",\\"status\\":401}"}',
    );
    expect(signinSuccess('{"id":"u1"}')).toBe(
      '{"event":"pusher:signin_success","data":{"user_data":"{\\"id\\":\\"u1\\"}"}}',
    );
    expect(cacheMiss('cache-a')).toBe('{"event":"pusher:cache_miss","channel":"cache-a"}');
  });

  it('names the members of a presence channel by their users', () => {
    expect(subscriptionSucceeded('presence-a', [])).toBe(
      '{"event":"pusher_internal:subscription_succeeded","channel":"presence-a","data":"{\\"presence\\":{\\"ids\\":[],\\"hash\\":{},\\"count\\":0}}"}',
    );
    const members = [
      { user: 'u"1', info: '{"name":"Zoë"}' },
      { user: '__proto__', info: '' },
    ];
    expect(subscriptionSucceeded('presence-a', members)).toBe(
      '{"event":"pusher_internal:subscription_succeeded","channel":"presence-a","data":"{\\"presence\\":{\\"ids\\":[\\"u\\\\\\"1\\",\\"__proto__\\"],\\"hash\\":{\\"u\\\\\\"1\\":{\\"name\\":\\"Zoë\\"},\\"__proto__\\":null},\\"count\\":2}}"}',
    );
  });
});

const encoded = (publication: Partial<Omit<ChannelEvent, 'payload'>> & { payload: string | Buffer }) =>
  encodeEvent('presence-a', {
    kind: 'publication',
    isText: true,
    ...publication,
    payload: Buffer.from(publication.payload),
  });

describe('a publication', () => {
  it.each([
    [{ event: 'greet', payload: '{"n":1}' }, '{"event":"greet","channel":"presence-a","data":"{\\"n\\":1}"}'],
    [
      { event: 'App\\Events\\Shipped', payload: 'not "JSON"\n✓' },
      '{"event":"App\\\\Events\\\\Shipped","channel":"presence-a","data":"not \\"JSON\\"\\n✓"}',
    ],
    [{ event: 'greet', payload: '' }, '{"event":"greet","channel":"presence-a","data":""}'],
    // As redis-cli publishes it.
    [{ payload: '{"n":1}' }, '{"event":"message","channel":"presence-a","data":"{\\"n\\":1}"}'],
    [
      { event: 'client-typing', payload: '{"n":9007199254740993}', user: 'u1' },
      '{"event":"client-typing","channel":"presence-a","data":{"n":9007199254740993},"user_id":"u1"}',
    ],
    [
      { event: 'client-typing', payload: '"text"' },
      '{"event":"client-typing","channel":"presence-a","data":"text"}',
    ],
    [
      { event: 'client-typing', payload: 'not JSON' },
      '{"event":"client-typing","channel":"presence-a","data":"not JSON"}',
    ],
    [
      { kind: 'join', payload: '{"name":"Ada"}', user: 'u"1' },
      '{"event":"pusher_internal:member_added","channel":"presence-a","data":"{\\"user_id\\":\\"u\\\\\\"1\\",\\"user_info\\":{\\"name\\":\\"Ada\\"}}"}',
    ],
    [
      { kind: 'join', payload: '', user: 'u1' },
      '{"event":"pusher_internal:member_added","channel":"presence-a","data":"{\\"user_id\\":\\"u1\\",\\"user_info\\":null}"}',
    ],
    [
      { kind: 'leave', payload: '', user: 'u1' },
      '{"event":"pusher_internal:member_removed","channel":"presence-a","data":"{\\"user_id\\":\\"u1\\"}"}',
    ],
    [
      { kind: 'count', payload: '42' },
      '{"event":"pusher_internal:subscription_count","channel":"presence-a","data":"{\\"subscription_count\\":42}"}',
    ],
  ] as const)('%j is sent as %s', (publication, message) => {
    expect(encoded(publication)).toBe(message);
    expect(() => JSON.parse(message)).not.toThrow();
  });

  it('is not sent when it is not UTF-8, and no mark is', () => {
    expect(encoded({ payload: Buffer.from([0xff]), isText: false })).toBeUndefined();
    expect(encoded({ kind: 'mark', payload: '', isText: true })).toBeUndefined();
  });
});
