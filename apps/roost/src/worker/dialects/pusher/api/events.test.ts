import { describe, expect, it } from 'vitest';
import { RequestError } from './errors.ts';
import { readBatch, readEvent, readInfo } from './events.ts';

const RULES = {
  app: { maxEventBytes: 20, channelPrefix: '1/' },
  maxChannelCharacters: 164,
  channelNameProblem: (name: string) => (name.length > 180 ? 'too long' : undefined),
};

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof RequestError) return `${error.status} ${error.message}`;
    throw error;
  }
  throw new Error('nothing was refused');
}

const EVENT = { name: 'greet', data: '{"n":1}', channels: ['a'], except: undefined, info: new Set() };

const body = (more: object): string => JSON.stringify({ name: 'greet', data: 'x', channels: ['a'], ...more });

describe('POST /events', () => {
  it.each([
    ['{"name":"greet","data":"{\\"n\\":1}","channels":["a"]}', EVENT],
    ['{"name":"greet","data":"{\\"n\\":1}","channel":"a"}', EVENT],
    ['{"name":"greet","data":"{\\"n\\":1}","channels":["a","b","a"]}', { ...EVENT, channels: ['a', 'b'] }],
    [
      '{"name":"greet","data":"{\\"n\\":1}","channels":["a"],"socket_id":"77.88","info":"user_count,subscription_count"}',
      { ...EVENT, except: '77.88', info: new Set(['user_count', 'subscription_count']) },
    ],
    ['{"name":"greet","data":"{\\"n\\":1}","channels":["a"],"socket_id":null,"info":null,"tags":{}}', EVENT],
    ['{"name":"greet","data":{"n":1},"channels":["a"]}', EVENT],
    ['{"name":"greet","data":null,"channels":["a"]}', { ...EVENT, data: 'null' }],
    ['{"name":"greet","data":"","channels":["a"]}', { ...EVENT, data: '' }],
    [
      '{"name":"greet","data":"x","channels":["#server-to-user-Ada L"]}',
      { ...EVENT, data: 'x', channels: ['#server-to-user-Ada L'] },
    ],
    [
      `{"name":"client-a","data":"${'x'.repeat(20)}","channels":["private-encrypted-a"]}`,
      { ...EVENT, name: 'client-a', data: 'x'.repeat(20), channels: ['private-encrypted-a'] },
    ],
  ])('reads %s', (text, event) => {
    expect(readEvent(text, RULES)).toEqual(event);
  });

  it.each([
    ['', '400 The request is wrong: the body is not JSON.'],
    ['[]', '400 The request is wrong: the body must be an object.'],
    [body({ name: undefined }), '400 The request is wrong: the name of an event must be a text.'],
    [body({ name: '' }), '400 The request is wrong: the name of an event is empty.'],
    [
      body({ name: 'e'.repeat(201) }),
      '400 The request is wrong: the name of an event has more than 200 characters.',
    ],
    [
      body({ name: 'pusher:connection_established' }),
      '400 The request is wrong: the name of an event begins with pusher: or pusher_internal:, which only the server sends.',
    ],
    [
      body({ name: 'pusher_internal:member_added' }),
      '400 The request is wrong: the name of an event begins with pusher: or pusher_internal:, which only the server sends.',
    ],
    [body({ data: undefined }), '400 The request is wrong: the data of an event is missing.'],
    [
      '{"name":"a","channels":["a"],"data":"\\ud800"}',
      '400 The request is wrong: the data of an event has half a surrogate pair.',
    ],
    [
      body({ data: 'x'.repeat(21) }),
      '413 The request is too large: the data of an event has at most 20 bytes, got 21.',
    ],
    [
      body({ data: 'é'.repeat(11) }),
      '413 The request is too large: the data of an event has at most 20 bytes, got 22.',
    ],
    [
      body({ data: { n: 'x'.repeat(20) } }),
      '413 The request is too large: the data of an event has at most 20 bytes, got 28.',
    ],
    [
      body({ channels: [] }),
      '400 The request is wrong: an event needs channels, a list of names, or channel, a name.',
    ],
    [
      body({ channels: 'a' }),
      '400 The request is wrong: an event needs channels, a list of names, or channel, a name.',
    ],
    [body({ channels: [7] }), '400 The request is wrong: the name of a channel must be a text.'],
    [
      body({ channels: Array.from({ length: 101 }, (_, at) => `c${at}`) }),
      '400 The request is wrong: an event has at most 100 channels, got 101.',
    ],
    [
      body({ channels: ['a', 'b c'] }),
      '400 The request is wrong: the channel "b c" has other characters than letters, digits and _ - = @ , . ;.',
    ],
    [body({ channels: ['a'.repeat(165)] }), /^400 .* has more than 164 characters\.$/],
    [
      body({ channels: [`#server-to-user-${'é'.repeat(128)}${'x'.repeat(60)}`] }),
      /^400 .* has more than 128 characters\.$/,
    ],
    [
      body({ channels: ['a', 'private-encrypted-b'] }),
      '400 The request is wrong: an event for an encrypted channel has no other channels: they have no common key.',
    ],
    [
      body({ socket_id: '77' }),
      '400 The request is wrong: the socket_id must be two numbers with a dot, as a client has it.',
    ],
    [body({ socket_id: 77.88 }), /^400 .*the socket_id must be two numbers/],
    [body({ info: 'user_count,age' }), /^400 .*info may be user_count, subscription_count, cache\.$/],
    [body({ info: ['user_count'] }), /^400 .*info must be a text\.$/],
  ])('refuses %s', (text, message) => {
    expect(refusal(() => readEvent(text, RULES))).toEqual(
      typeof message === 'string' ? message : expect.stringMatching(message),
    );
  });

  it('takes 100 channels', () => {
    const channels = Array.from({ length: 100 }, (_, at) => `c${at}`);
    expect(readEvent(body({ channels }), RULES).channels).toEqual(channels);
  });
});

describe('POST /batch_events', () => {
  const event = { name: 'greet', data: '{"n":1}', channel: 'a' };

  it('reads up to ten events, each for one channel', () => {
    expect(readBatch('{"batch":[]}', RULES)).toEqual([]);
    const batch = Array.from({ length: 10 }, () => event);
    expect(readBatch(JSON.stringify({ batch }), RULES)).toEqual(Array.from({ length: 10 }, () => EVENT));
    expect(readBatch(JSON.stringify({ batch: [{ ...event, channels: ['b'] }] }), RULES)).toEqual([EVENT]);
  });

  it.each([
    [{}, '400 The request is wrong: batch must be a list of events.'],
    [{ batch: {} }, '400 The request is wrong: batch must be a list of events.'],
    [
      { batch: Array.from({ length: 11 }, () => event) },
      '400 The request is wrong: a batch has at most 10 events, got 11.',
    ],
    [{ batch: [event, 7] }, '400 The request is wrong: event 1 of the batch must be an object.'],
    [
      { batch: [event, { ...event, channel: undefined, channels: ['a'] }] },
      '400 The request is wrong: the channel of event 1 must be a text.',
    ],
    [{ batch: [event, { ...event, data: 'x'.repeat(21) }] }, /^413 /],
  ])('refuses %j', (request, message) => {
    expect(refusal(() => readBatch(JSON.stringify(request), RULES))).toEqual(
      typeof message === 'string' ? message : expect.stringMatching(message),
    );
  });
});

it('info is a list with commas', () => {
  expect([...readInfo('user_count, cache')]).toEqual(['user_count', 'cache']);
  expect([...readInfo('')]).toEqual([]);
});
