import { describe, expect, it } from 'vitest';
import { payloadOf, readRequest } from './request.ts';

describe('a request body', () => {
  it('keeps a string as it is and makes compact JSON of other data', () => {
    expect(readRequest(Buffer.from('{"channel":"a","data":"x  y"}'))).toEqual({ channel: 'a', data: 'x  y' });
    expect(readRequest(Buffer.from('{"data": {"id": 9007199254740993}}'))).toEqual({
      data: '{"id":9007199254740993}',
    });
  });

  it('is refused when it is not JSON or not UTF-8', () => {
    expect(() => readRequest(Buffer.from('{'))).toThrow(/^bad request: the body is not JSON/);
    expect(() => readRequest(Buffer.from('7b2264617461223a22ff227d', 'hex'))).toThrow(/^bad request/);
  });
});

describe('a payload', () => {
  it('is text of data or the bytes of b64data', () => {
    expect(payloadOf({ data: 'hi' })).toBe('hi');
    expect(payloadOf({ b64data: 'AP8=' })).toEqual(Buffer.from('00ff', 'hex'));
    expect(payloadOf({ data: '' })).toBe('');
  });

  it.each([
    [{}, 'exactly one'],
    [{ data: 'a', b64data: 'AP8=' }, 'exactly one'],
    [{ b64data: 'AP8' }, 'not padded base64'],
    [{ b64data: 'A P8=' }, 'not padded base64'],
    [{ data: '\ud800' }, 'surrogate'],
  ])('is refused when it is %j', (fields, reason) => {
    expect(() => payloadOf(fields)).toThrow(reason);
  });
});
