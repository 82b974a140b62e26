import { describe, expect, it } from 'vitest';

import { WebSocketArgumentError } from '../errors.ts';
import { refusalResponse } from './refusal-response.ts';

describe('refusalResponse', () => {
  it('is a whole response that ends the connection', () => {
    expect(refusalResponse(401, 'The token has expired.')).toBe(
      'HTTP/1.1 401 Unauthorized\r\n' +
        'Connection: close\r\n' +
        'Content-Type: text/plain; charset=utf-8\r\n' +
        'Content-Length: 22\r\n' +
        '\r\n' +
        'The token has expired.',
    );
  });

  it('counts the bytes of the reason, not its characters', () => {
    expect(refusalResponse(400, 'é€')).toContain('\r\nContent-Length: 5\r\n');
  });

  it('has a reason phrase for any status', () => {
    expect(refusalResponse(499, '')).toMatch(/^HTTP\/1\.1 499 Refused\r\n/);
  });

  it('adds headers, of which one may replace the content type', () => {
    const response = refusalResponse(503, '{}', { 'Retry-After': '5', 'content-type': 'application/json' });
    expect(response.split('\r\n')).toEqual([
      'HTTP/1.1 503 Service Unavailable',
      'Connection: close',
      'Content-Length: 2',
      'Retry-After: 5',
      'content-type: application/json',
      '',
      '{}',
    ]);
  });

  it.each<[string, Record<string, string>]>([
    ['a line break in a value', { A: 'b\r\nC: d' }],
    ['a value outside ASCII', { A: 'é' }],
    ['a name that is no token', { 'A b': 'c' }],
    ['a line break in a name', { 'A: b\r\nC': 'd' }],
    ['an empty name', { '': 'c' }],
    ['another length', { 'Content-Length': '1' }],
    ['a framing', { 'Transfer-Encoding': 'chunked' }],
  ])('refuses %s', (_name, headers) => {
    expect(() => refusalResponse(400, 'x', headers)).toThrow(WebSocketArgumentError);
  });
});
