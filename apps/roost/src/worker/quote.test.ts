import { expect, it } from 'vitest';
import { quote } from './quote.ts';

it.each([
  ['news', '"news"'],
  ['a"b\\', '"a\\"b\\\\"'],
  ['\u0007\u009b2J', '"\\u0007\\u009b2J"'],
  ['café \u202e', '"caf\\u00e9 \\u202e"'],
  ['x'.repeat(70), `"${'x'.repeat(64)}\\u2026"`],
])('%j is quoted as %s', (text, quoted) => {
  expect(quote(text)).toBe(quoted);
});
