import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { keyCheck } from './authorize.ts';

const check = keyCheck(createHash('sha256').update('sesame').digest('hex'));

describe('the API key', () => {
  it.each([
    { 'x-api-key': 'sesame' },
    { authorization: 'apikey sesame' },
    { authorization: 'ApiKey sesame' },
  ])('opens with %j', (headers) => {
    expect(check(headers)).toBe(true);
  });

  it.each([
    {},
    { 'x-api-key': '' },
    { 'x-api-key': 'sesam' },
    { 'x-api-key': 'sesame ' },
    { authorization: 'Bearer sesame' },
    { authorization: 'sesame' },
    { 'x-api-key': 'wrong', authorization: 'apikey sesame' },
  ])('does not open with %j', (headers) => {
    expect(check(headers)).toBe(false);
  });
});
