import { describe, expect, it } from 'vitest';
import { isLoopback, isLoopbackHost } from './host.ts';

describe('a loopback address', () => {
  it.each(['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1'])('is %s', (address) => {
    expect(isLoopback(address)).toBe(true);
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', '::2', 'fe80::1', '::ffff:10.0.0.1'])(
    'is not %s',
    (address) => {
      expect(isLoopback(address)).toBe(false);
    },
  );
});

describe('the Host of a request that was meant for this machine', () => {
  it.each(['localhost', 'localhost:8081', 'LOCALHOST', '127.0.0.1:8081', '127.1.2.3', '[::1]', '[::1]:8081'])(
    'may be %s',
    (host) => {
      expect(isLoopbackHost(host)).toBe(true);
    },
  );

  it.each([
    undefined,
    '',
    'evil.example',
    'evil.example:8081',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'localhost:8081@evil.example',
    'localhost:',
    'localhost:123456',
    '127.1',
    '0x7f.0.0.1',
    '2130706433',
    '10.0.0.1',
    '::1',
    '[::1',
    '[10.0.0.1]',
    '[::2]:8081',
    ' localhost',
    'localhost\n',
  ])('may not be %j', (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  });
});
