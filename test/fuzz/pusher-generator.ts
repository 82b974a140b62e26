import { Dice } from './dice.ts';

/** What a client of the Pusher protocol sends, in this order, on one connection. */
export interface PusherSession {
  readonly seed: number;
  readonly index: number;
  /** The socket id is not known yet: {@link SIGNATURE} stands for a signature. */
  readonly messages: readonly (string | Buffer)[];
}

/** Stands for `<key>:<signature>` of the channel, or the user, in the same message. */
export const SIGNATURE = '\u{1f511}';

const CHANNELS = [
  'news',
  'cache-a',
  'private-a',
  'private-b',
  'private-cache-a',
  'private-encrypted-a',
  'presence-a',
  'presence-cache-a',
  '#server-to-user-u1',
  '#server-to-user-',
  '',
  'a b',
  'private-',
  'constructor',
  '__proto__',
  'x'.repeat(164),
  'x'.repeat(165),
];

const MEMBERS = [
  '{"user_id":"u1","user_info":{"name":"Ada"}}',
  '{"user_id":7}',
  '{"user_id":""}',
  '{"user_info":{}}',
  'null',
  '',
  `{"user_id":"u2","user_info":"${'x'.repeat(2000)}"}`,
];

const USERS = ['{"id":"u1"}', '{"id":"u1","user_info":{"n":1},"watchlist":["u2"]}', '{"id":7}', '{}', '['];

const EVENTS = [
  'client-a',
  'client-',
  `client-${'a'.repeat(194)}`,
  'pusher:error',
  'pusher_internal:member_added',
  'pusher:watchlist',
  'greet',
  '',
  'toString',
];

const VALUES = [
  'null',
  '{}',
  '[]',
  '""',
  '0',
  '-1e999',
  'true',
  '"\\ud800"',
  '"\\u0000"',
  '{"channel":{"channel":[]}}',
  '12345678901234567890',
  '[[[[[[[[]]]]]]]]',
  '"é"',
];

/** The same for the same seed and index. */
export function generatePusherSession(seed: number, index: number): PusherSession {
  const dice = new Dice(seed, index);
  const messages = Array.from({ length: dice.between(1, 12) }, () => {
    const message = valid(dice);
    return dice.percent(45) ? message : mutated(message, dice);
  });
  return { seed, index, messages };
}

function valid(dice: Dice): string {
  const channel = dice.pick(CHANNELS);
  switch (dice.below(7)) {
    case 0:
      return dice.pick(['{"event":"pusher:ping","data":{}}', '{"event":"pusher:pong","data":{}}']);
    case 1:
      return JSON.stringify({ event: 'pusher:unsubscribe', data: { channel } });
    case 2:
      return JSON.stringify({
        event: 'pusher:signin',
        data: { auth: SIGNATURE, user_data: dice.pick(USERS) },
      });
    case 3:
      return `{"event":${JSON.stringify(dice.pick(EVENTS))},"channel":${JSON.stringify(channel)},"data":${dice.pick(VALUES)}}`;
    default: {
      const data = {
        channel,
        auth: dice.percent(80) ? SIGNATURE : dice.pick(['', 'app-key:', ':', 'app-key:0']),
        ...(dice.percent(50) && { channel_data: dice.pick(MEMBERS) }),
      };
      return JSON.stringify({
        event: 'pusher:subscribe',
        data: dice.percent(20) ? JSON.stringify(data) : data,
      });
    }
  }
}

function mutated(message: string, dice: Dice): string | Buffer {
  let text = message;
  for (let times = dice.between(1, 3); times > 0; times--) text = mutatedOnce(text, dice);
  // A text frame must be UTF-8; what is not is binary.
  return dice.percent(4) ? Buffer.concat([Buffer.from(text), dice.bytes(dice.below(8))]) : text;
}

function mutatedOnce(text: string, dice: Dice): string {
  const at = dice.below(text.length + 1);
  switch (dice.below(9)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(at);
    case 2:
      return (
        text.slice(0, at) +
        dice.pick(['{', '}', '[', ']', '"', ':', ',', '\\', ' ', '0', 'e', 'é', SIGNATURE, '\u0001', '\n']) +
        text.slice(at)
      );
    case 3:
      return text.slice(0, at) + text.slice(at + dice.between(1, 4));
    case 4:
      return text.slice(0, at) + text.slice(0, at);
    case 5:
      // A value of another kind.
      return text.replace(/"(?:[^"\\]|\\.)*"(?=[,}])/, () => dice.pick(VALUES));
    case 6:
      // A key twice, of which the last counts.
      return text.replace(/\{/, () => `{"${dice.pick(['event', 'data', 'channel'])}":${dice.pick(VALUES)},`);
    case 7:
      return text.replace(
        /\}$/,
        () => `,"${dice.pick(['event', 'data', 'channel', 'user_id'])}":${dice.pick(VALUES)}}`,
      );
    default:
      return text.replaceAll(/[:,]/g, (token) => token + dice.pick(['', ' ', '\t', '\n']));
  }
}
