import { describe, expect, it } from 'vitest';
import { AllowedOrigins, isOriginPattern } from './allowed-origins.ts';

function allows(patterns: readonly string[], origin: string): boolean {
  return new AllowedOrigins(patterns).isAllowed({ headers: { origin } });
}

describe('allowed origins', () => {
  it.each([
    ['https://app.example.com', 'https://app.example.com'],
    ['https://app.example.com', 'https://APP.Example.com'],
    ['HTTPS://App.Example.Com', 'https://app.example.com'],
    ['https://app.example.com:443', 'https://app.example.com'],
    ['http://app.example.com', 'http://app.example.com:80'],
    ['https://app.example.com:8443', 'https://app.example.com:8443'],
    ['http://localhost:3000', 'http://localhost:3000'],
    ['http://localhost:*', 'http://localhost:5173'],
    ['http://localhost:*', 'http://localhost'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['http://192.0.2.1', 'http://192.0.2.1'],
    ['https://*.example.com', 'https://app.example.com'],
    ['https://*.example.com', 'https://eu.app.example.com'],
    ['https://*.example.com:8443', 'https://app.example.com:8443'],
    ['https://*.example.com:*', 'https://app.example.com:8443'],
    ['chrome-extension://abcdefghijklmnop', 'chrome-extension://abcdefghijklmnop'],
    ['capacitor://localhost', 'capacitor://localhost'],
    ['null', 'null'],
    ['file://', 'file://'],
    ['*', 'https://anybody.example'],
    ['*', 'null'],
    ['*', 'nonsense'],
  ])('%s allow %s', (pattern, origin) => {
    expect(isOriginPattern(pattern)).toBe(true);
    expect(allows([pattern], origin)).toBe(true);
    expect(allows(['https://other.example', pattern], origin)).toBe(true);
  });

  it.each([
    ['https://app.example.com', 'http://app.example.com'],
    ['https://app.example.com', 'https://app.example.com:8443'],
    ['https://app.example.com', 'https://example.com'],
    ['https://app.example.com', 'https://app.example.com.evil.com'],
    ['https://app.example.com', 'https://evil.app.example.com'],
    ['https://app.example.com', 'https://app.example.com.'],
    ['https://app.example.com', 'https://app.example.com/'],
    ['https://app.example.com', 'https://evil.com#https://app.example.com'],
    ['https://app.example.com', 'https://app.example.com@evil.com'],
    ['https://app.example.com', 'https://evil.com, https://app.example.com'],
    ['https://app.example.com', 'null'],
    ['https://app.example.com', ''],
    ['https://app.example.com', 'nonsense'],
    ['https://*.example.com', 'https://example.com'],
    ['https://*.example.com', 'https://evilexample.com'],
    ['https://*.example.com', 'https://.example.com'],
    ['https://*.example.com', 'https://evil.com/.example.com'],
    ['https://*.example.com', 'https://evil.com?.example.com'],
    ['https://*.example.com', 'https://evil.com:1.example.com'],
    ['https://*.example.com', 'https://user@evil.com:80#.example.com'],
    ['https://*.example.com', 'https://example.com.evil.com'],
    ['https://*.example.com', 'https://app.example.com.evil.com'],
    ['https://*.example.com', 'http://app.example.com'],
    ['https://*.example.com', 'https://app.example.com:8443'],
    ['https://*.example.com', 'https://*.example.com'],
    ['http://localhost:*', 'http://localhost:99999'],
    ['http://localhost:*', 'http://localhost.evil.com:80'],
    ['http://localhost:*', 'https://localhost:5173'],
    ['http://localhost:*', 'http://localhost:*'],
    ['null', 'file://'],
    ['null', 'https://null'],
  ])('%s do not allow %j', (pattern, origin) => {
    expect(isOriginPattern(pattern)).toBe(true);
    expect(allows([pattern], origin)).toBe(false);
  });

  it('are everybody when none are listed', () => {
    const origins = new AllowedOrigins([]);
    for (const headers of [{}, { origin: 'https://anybody.example' }, { origin: 'null' }]) {
      expect(origins.isAllowed({ headers })).toBe(true);
    }
  });

  it('do not concern requests without an origin, which no browser sends', () => {
    expect(new AllowedOrigins(['https://app.example.com']).isAllowed({ headers: {} })).toBe(true);
  });

  it('concern the header of version 8, too', () => {
    const origins = new AllowedOrigins(['https://app.example.com']);
    expect(origins.isAllowed({ headers: { 'sec-websocket-origin': 'https://evil.com' } })).toBe(false);
    expect(origins.isAllowed({ headers: { 'sec-websocket-origin': 'https://app.example.com' } })).toBe(true);
  });

  it.each([
    '',
    'app.example.com',
    'https://',
    'https://*',
    'https://*example.com',
    'https://app.*.com',
    'https://app-*.example.com',
    'https://*.*.example.com',
    '*://app.example.com',
    '*.example.com',
    'https://app.example.com/',
    'https://app.example.com/chat',
    'https://app.example.com:65536',
    'https://app.example.com:',
    'https://user@example.com',
    'https://bücher.example',
    'https://*.[::1]',
    'NULL',
    '**',
  ])('cannot be %j', (pattern) => {
    expect(isOriginPattern(pattern)).toBe(false);
  });
});
