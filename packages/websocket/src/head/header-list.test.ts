import { describe, expect, it } from 'vitest';
import { hasToken, listElements, quotedListElements } from './header-list.ts';

describe('the elements of a list header', () => {
  it.each<[string, string[]]>([
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    [' a \t,\t b ', ['a', 'b']],
    ['', []],
    [' ,\t, ', []],
    ['a,', ['a']],
    [', a', ['a']],
    ['a, , ,b', ['a', 'b']],
    ['\u00a0a, b\u00a0', ['\u00a0a', 'b\u00a0']],
  ])('of %j are %j', (value, elements) => {
    expect(listElements(value)).toEqual(elements);
    expect(quotedListElements(value)).toEqual(elements);
  });

  it.each<[string, string[], string[]]>([
    ['a; b="c,d", e', ['a; b="c,d"', 'e'], ['a; b="c', 'd"', 'e']],
    [String.raw`a; b="\",", c`, [String.raw`a; b="\","`, 'c'], [String.raw`a; b="\"`, '"', 'c']],
    ['a; b="c, d', ['a; b="c, d'], ['a; b="c', 'd']],
  ])('of %j with quotes are %j, and %j where quotes mean nothing', (value, quoted, tokens) => {
    expect(quotedListElements(value)).toEqual(quoted);
    expect(listElements(value)).toEqual(tokens);
  });

  it('are compared as tokens, whatever their case', () => {
    expect(hasToken('Upgrade', 'upgrade')).toBe(true);
    expect(hasToken('keep-alive , UPGRADE,', 'upgrade')).toBe(true);
    expect(hasToken('upgraded, "upgrade"', 'upgrade')).toBe(false);
    expect(hasToken('', 'upgrade')).toBe(false);
  });
});
