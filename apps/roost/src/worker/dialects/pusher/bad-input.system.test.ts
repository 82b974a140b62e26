import { expect, it } from 'vitest';
import { countersOf, endAfterEach, RawPusher, startFarm, trigger } from './fixtures/pusher-farm.ts';
import type { PusherMessage } from './fixtures/pusher-farm.ts';

endAfterEach();

const error = (code: number | null, message: string): PusherMessage => ({
  event: 'pusher:error',
  data: { code, message },
});
const malformed = (problem: string): PusherMessage => error(null, `The message is not an event: ${problem}.`);
const unknown = error(null, 'Clients send no event of this name: one of their own begins with client-.');
const wrongChannel = error(
  4301,
  'Client events are for private and presence channels that are not encrypted.',
);

/** What a client may send that is wrong, with its answer and what is counted. The client is subscribed to private-a. */
const BAD_MESSAGES: readonly (readonly [string | Buffer, PusherMessage, string])[] = [
  [
    Buffer.from('{"event":"pusher:ping","data":{}}'),
    error(null, 'A binary message was received: events are sent as text.'),
    'app_pusher_malformed',
  ],
  [
    Buffer.from([0xff]),
    error(null, 'A binary message was received: events are sent as text.'),
    'app_pusher_malformed',
  ],
  ['', malformed('it is not a JSON object'), 'app_pusher_malformed'],
  ['hello', malformed('it is not a JSON object'), 'app_pusher_malformed'],
  ['{"event":', malformed('it is not a JSON object'), 'app_pusher_malformed'],
  ['[]', malformed('it is not a JSON object'), 'app_pusher_malformed'],
  ['"\\ud800"', malformed('it is not a JSON object'), 'app_pusher_malformed'],
  ['['.repeat(60_000), malformed('it is not a JSON object'), 'app_pusher_malformed'],
  [
    `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
    malformed('its event must be a text'),
    'app_pusher_malformed',
  ],
  ['{}', malformed('its event must be a text'), 'app_pusher_malformed'],
  ['{"event":7}', malformed('its event must be a text'), 'app_pusher_malformed'],
  ['{"event":["pusher:ping"]}', malformed('its event must be a text'), 'app_pusher_malformed'],
  ['{"event":""}', unknown, 'app_pusher_malformed'],
  ['{"event":"greet","channel":"private-a","data":"{}"}', unknown, 'app_pusher_malformed'],
  ['{"event":"pusher:error","data":{}}', unknown, 'app_pusher_malformed'],
  ['{"event":"pusher:connection_established","data":"{}"}', unknown, 'app_pusher_malformed'],
  [
    '{"event":"pusher_internal:member_added","channel":"private-a","data":"{}"}',
    unknown,
    'app_pusher_malformed',
  ],
  ['{"event":"pusher:subscribe"}', malformed('its data must be an object'), 'app_pusher_malformed'],
  [
    '{"event":"pusher:subscribe","data":null}',
    malformed('its data must be an object'),
    'app_pusher_malformed',
  ],
  [
    '{"event":"pusher:subscribe","data":"private-a"}',
    malformed('its data must be an object'),
    'app_pusher_malformed',
  ],
  [
    '{"event":"pusher:subscribe","data":{"channel":{}}}',
    malformed('the channel in its data must be a text'),
    'app_pusher_malformed',
  ],
  [
    '{"event":"pusher:subscribe","data":{"channel":"a","auth":[]}}',
    malformed('the auth in its data must be a text'),
    'app_pusher_malformed',
  ],
  [
    '{"event":"pusher:subscribe","data":{"channel":"a","channel_data":{}}}',
    malformed('the channel_data in its data must be a text'),
    'app_pusher_malformed',
  ],
  [
    '{"event":"pusher:unsubscribe","data":{"channel":7}}',
    malformed('the channel in its data must be a text'),
    'app_pusher_malformed',
  ],
  [
    '{"event":"pusher:signin","data":{}}',
    malformed('the auth in its data must be a text'),
    'app_pusher_malformed',
  ],
  [
    '{"event":"pusher:signin","data":{"auth":"a","user_data":7}}',
    malformed('the user_data in its data must be a text'),
    'app_pusher_malformed',
  ],
  ['{"event":"client-a","data":{}}', malformed('its channel must be a text'), 'app_pusher_malformed'],
  ['{"event":"client-a","channel":"news","data":{}}', wrongChannel, 'app_pusher_refused_client_events'],
  ['{"event":"client-a","channel":"","data":{}}', wrongChannel, 'app_pusher_refused_client_events'],
  [
    '{"event":"client-a","channel":"#server-to-user-1","data":{}}',
    wrongChannel,
    'app_pusher_refused_client_events',
  ],
  [
    '{"event":"client-a","channel":"private-encrypted-a","data":{}}',
    wrongChannel,
    'app_pusher_refused_client_events',
  ],
  [
    '{"event":"client-a","channel":"private-b","data":{}}',
    error(4301, 'A client event needs a subscription to its channel.'),
    'app_pusher_refused_client_events',
  ],
  [
    `{"event":"client-${'a'.repeat(194)}","channel":"private-a"}`,
    error(4301, 'The name of the client event has more than 200 characters, or half a surrogate pair.'),
    'app_pusher_refused_client_events',
  ],
  [
    '{"event":"client-\\ud800","channel":"private-a"}',
    error(4301, 'The name of the client event has more than 200 characters, or half a surrogate pair.'),
    'app_pusher_refused_client_events',
  ],
  [
    `{"event":"client-a","channel":"private-a","data":"${'x'.repeat(10_239)}"}`,
    error(4301, 'The data of the client event is larger than the app allows.'),
    'app_pusher_refused_client_events',
  ],
];

it('a message that is wrong has the documented answer, is counted, and hurts nobody', async () => {
  const farm = await startFarm(['--workers', '1']);
  const [bad, good] = [await RawPusher.connect(farm), await RawPusher.connect(farm)];
  await bad.subscribe('private-a');
  await good.subscribe('private-a');
  const counts: Record<string, number> = {};
  for (const [message, answer, counter] of BAD_MESSAGES) {
    const what = String(message).slice(0, 100);
    bad.client.send(message);
    expect(await bad.next(), what).toEqual(answer);
    counts[counter] = (counts[counter] ?? 0) + 1;
    expect(await countersOf(farm), what).toMatchObject(counts);
  }
  await bad.expectQuiet();
  await good.expectQuiet();
  await trigger(farm, 'private-a', 'marker', '');
  expect([(await bad.next()).event, (await good.next()).event]).toEqual(['marker', 'marker']);
  expect(farm.logs.filter(({ level }) => level === 'error')).toEqual([]);
});

it('a message that is too large closes only its connection, with 1009', async () => {
  const farm = await startFarm(['--workers', '1', '--max-message-bytes', '1000']);
  const [bad, good] = [await RawPusher.connect(farm), await RawPusher.connect(farm)];
  bad.send(`{"event":"pusher:ping","data":"${'x'.repeat(1000)}"}`);
  expect((await bad.client.closed).code).toBe(1009);
  await good.expectQuiet();
});

it('client events beyond the rate are dropped, each with an error, and the connection stays', async () => {
  const farm = await startFarm(['--workers', '1']);
  const [sender, receiver] = [await RawPusher.connect(farm), await RawPusher.connect(farm)];
  await sender.subscribe('private-a');
  await receiver.subscribe('private-a');
  for (let n = 0; n < 100; n++) sender.send(`{"event":"client-n","channel":"private-a","data":${n}}`);
  // As many more may pass as the time that this takes.
  const refused: unknown[] = [];
  while (refused.length < 50) refused.push(await sender.next());
  for (const answer of refused) {
    expect(answer).toEqual(
      error(4301, 'The connection sends more client events per second than the app allows.'),
    );
  }
  const numbers: unknown[] = [];
  for (let n = 0; n < 10; n++) numbers.push((await receiver.next()).data);
  expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

it('client events are refused where the app does not allow them', async () => {
  const farm = await startFarm(['--workers', '1'], { ROOST_PUSHER_CLIENT_EVENTS: 'false' });
  const pusher = await RawPusher.connect(farm);
  await pusher.subscribe('private-a');
  pusher.send('{"event":"client-a","channel":"private-a","data":1}');
  expect(await pusher.next()).toEqual(error(4301, 'The app has client events disabled.'));
});

it('a client that sends too much at a time is closed with 4100, after which pusher-js comes back', async () => {
  const farm = await startFarm(['--workers', '1', '--message-rate', '5']);
  const pusher = await RawPusher.connect(farm);
  for (let n = 0; n < 20; n++) pusher.send('{"event":"pusher:ping","data":{}}');
  expect((await pusher.client.closed).code).toBe(4100);
});
