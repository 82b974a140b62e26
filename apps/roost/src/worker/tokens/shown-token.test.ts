import type { UpgradeRequest } from '@roost/farm';
import { describe, expect, it } from 'vitest';
import { shownTokens, VerifiedRequest } from './shown-token.ts';

function request(url: string, headers: Readonly<Record<string, string>> = {}): UpgradeRequest {
  const start = url.indexOf('?');
  return {
    url,
    path: start === -1 ? url : url.slice(0, start),
    query: new URLSearchParams(start === -1 ? '' : url.slice(start)),
    headers,
    protocols: headers['sec-websocket-protocol']?.split(', ') ?? [],
    remoteAddress: '127.0.0.1',
    signal: new AbortController().signal,
    claims: undefined,
  };
}

describe('the tokens of a request', () => {
  it.each<[string, UpgradeRequest, string[]]>([
    ['none', request('/a?b=token'), []],
    ['the query', request('/?token=T'), ['T']],
    ['a query with an escaped name', request('/?%74oken=T'), ['T']],
    ['an empty one', request('/?token='), ['']],
    ['the header, in any case', request('/', { authorization: 'bEARER  T' }), ['T']],
    ['a header without one', request('/', { authorization: 'Bearer' }), ['']],
    ['another scheme', request('/', { authorization: 'Basic dXNlcjpwYXNz' }), []],
    ['a scheme that only begins so', request('/', { authorization: 'BearerX T' }), []],
    ['a subprotocol', request('/', { 'sec-websocket-protocol': 'chat, bearer.T' }), ['T']],
    [
      'everywhere',
      request('/?token=A&token=B', { authorization: 'Bearer C', 'sec-websocket-protocol': 'bearer.D' }),
      ['A', 'B', 'C', 'D'],
    ],
  ])('are found: %s', (_, shown, tokens) => {
    expect(shownTokens(shown)).toEqual(tokens);
  });
});

describe('a verified request', () => {
  const claims = { sub: 'ada' };

  it.each([
    ['/a?token=T', '/a'],
    ['/a?x=%20&token=T&y=a+b', '/a?x=%20&y=a+b'],
    ['/a?%74oken=T&tokens=1', '/a?tokens=1'],
    ['/a?x=1', '/a?x=1'],
    ['/a', '/a'],
  ])('has no token in its URL: %s', (url, expected) => {
    const verified = new VerifiedRequest(request(url), claims);
    expect(verified.url).toBe(expected);
    expect(verified.query.has('token')).toBe(false);
    expect(verified.path).toBe('/a');
    expect(verified.claims).toBe(claims);
  });

  it('has no token in its headers and protocols, and all the others', () => {
    const headers = { host: 'a', authorization: 'Bearer T', 'sec-websocket-protocol': 'chat, bearer.T, v2' };
    const verified = new VerifiedRequest(request('/', headers), claims);
    expect({ ...verified.headers }).toEqual({ host: 'a', 'sec-websocket-protocol': 'chat, v2' });
    expect(verified.protocols).toEqual(['chat', 'v2']);
    expect(headers.authorization).toBe('Bearer T');
    const basic = { authorization: 'Basic dXNlcjpwYXNz' };
    expect(new VerifiedRequest(request('/?token=T', basic), claims).headers).toEqual(basic);
  });

  it('names a protocol to select only when the token came as one', () => {
    for (const [offered, expected] of [
      ['bearer.T, chat, v2', 'chat'],
      ['bearer.T', 'bearer.T'],
      ['chat', undefined],
    ] as const) {
      const shown = request('/', { 'sec-websocket-protocol': offered });
      expect(new VerifiedRequest(shown, claims).defaultProtocol).toBe(expected);
    }
  });
});
