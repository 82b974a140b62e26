import { expect, it } from 'vitest';
import { ChannelRules } from './channel-rules.ts';

const rules = new ChannelRules(['public:*', 'lobby']);

it.each<[string[], string[] | undefined, string | undefined]>([
  [['lobby', 'public:', 'public:a:b'], undefined, undefined],
  [['lobby', 'news'], undefined, 'news'],
  [['news'], [], 'news'],
  [['news', 'room:1', 'lobby'], ['news', 'room:?'], undefined],
  [['room:12'], ['room:?'], 'room:12'],
  [['News'], ['news'], 'News'],
  [['xnews', 'newsx'], ['news'], 'xnews'],
  [['*'], ['news'], '*'],
  [['anything'], ['*'], undefined],
  // The verifier refuses it; it is not to mean all.
  [['anything'], [''], 'anything'],
])('of %j a token for %j does not give %j', (channels, granted, closed) => {
  expect(rules.firstClosed(channels, granted === undefined ? undefined : { channels: granted })).toBe(closed);
});
