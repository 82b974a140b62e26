import { describe, expect, it } from 'vitest';
import { globMatcher } from './glob.ts';

describe('a glob', () => {
  it.each([
    ['', 'anything', true],
    ['*', '', true],
    ['news', 'news', true],
    ['news', 'news.a', false],
    ['news.*', 'news.a', true],
    ['news.*', 'news.', true],
    ['news.*', 'newsa', false],
    ['*.a', 'news.b.a', true],
    ['*a*b*', 'xxaxxbxx', true],
    ['*a*b*', 'xxbxxaxx', false],
    ['n?ws', 'news', true],
    ['n?ws', 'nws', false],
    ['??', 'a', false],
    ['a**b', 'ab', true],
    ['[a-z]+', 'abc', false],
    ['[a-z]+', '[a-z]+', true],
    ['a.c', 'abc', false],
  ])('%j and %j: %s', (pattern, name, matches) => {
    expect(globMatcher(pattern)(name)).toBe(matches);
  });

  it('with many stars costs no more than name times pattern', () => {
    // Name to the power of stars, and nobody would see the end of it.
    expect(globMatcher('*a'.repeat(100))(`${'a'.repeat(255)}b`)).toBe(false);
  });
});
