import { describe, expect, it } from 'vitest';
import { channelsOf, isReplaced } from './codec.ts';

function request(query: string): { url: string; query: URLSearchParams } {
  return { url: `/plain?${query}`, query: new URLSearchParams(query) };
}

describe('a URL of /plain', () => {
  it.each([
    ['channel=news', ['news']],
    ['channel=news&channel=sports&channel=news', ['news', 'sports']],
    ['channel=a%20b+c', ['a b c']],
    ['channel=', ['']],
    ['other=news', []],
  ])('with %j names the channels %j', (query, channels) => {
    expect(channelsOf(request(query))).toEqual(channels);
  });

  it('is told apart when a name is not UTF-8 from one that has U+FFFD itself', () => {
    expect(isReplaced('\uFFFD', request('channel=%FF'))).toBe(true);
    expect(isReplaced('\uFFFD', request('channel=%EF%BF%BD'))).toBe(false);
    expect(isReplaced('news', request('channel=news'))).toBe(false);
  });
});
