import { describe, expect, it } from 'vitest';
import { FarmError } from '../api/errors.ts';
import { LIMITS } from './limits.ts';
import { resolveOptions, type FarmOptions } from './options.ts';

function resolve(options: Partial<FarmOptions> = {}): ReturnType<typeof resolveOptions> {
  return resolveOptions({ app: '/app.js', ...options }, 3, '1.2.3');
}

describe('options that are left out', () => {
  it('have their defaults', () => {
    const config = resolve();
    expect(config).toMatchObject({
      app: '/app.js',
      appOptions: null,
      host: '0.0.0.0',
      port: 8080,
      workers: 3,
      redisUrl: null,
      redisPrefix: 'roost:',
      slowConsumerPolicy: 'close',
      trustedProxies: [],
      proxyProtocol: 'off',
      allowedOrigins: [],
      compression: false,
      borrowMessages: false,
      version: '1.2.3',
    });
    for (const [name, { default: fallback }] of Object.entries(LIMITS)) {
      expect(config, name).toHaveProperty(name, fallback);
    }
  });

  it('leave a configuration that can be sent to a worker as JSON, and not be changed', () => {
    const config = resolve({ app: new URL('file:///app.js') });
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
    expect(config.app).toBe('file:///app.js');
    expect(Object.isFrozen(config)).toBe(true);
  });
});

describe('a limit', () => {
  it.each(Object.entries(LIMITS))('%s takes its range, and nothing else', (name, limit) => {
    const { default: fallback, min, max, unit } = limit;
    const room = {
      maxInboundBytesPerWorker: LIMITS.maxInboundBytesPerWorker.max,
      maxOutboundBytesPerWorker: LIMITS.maxOutboundBytesPerWorker.max,
      tcpUserTimeoutMs: 0,
    };
    expect(fallback).toBeGreaterThanOrEqual(min);
    expect(fallback).toBeLessThanOrEqual(max);
    expect(resolve({ [name]: min })).toHaveProperty(name, min);
    expect(resolve({ ...room, [name]: max })).toHaveProperty(name, max);
    for (const wrong of [min - 1, max + 1, Number.NaN, Number.POSITIVE_INFINITY, String(min), true]) {
      const attempt = (): unknown => resolve({ [name]: wrong });
      expect(attempt, String(wrong)).toThrow(FarmError);
      expect(attempt).toThrow(`${name} must be a number from ${min} to ${max} ${unit}, got `);
    }
  });

  it('of the smallest compressed message is no more than that of the largest, where there are any', () => {
    const limits = { minCompressBytes: 5000, maxCompressBytes: 4999 };
    expect(resolve(limits)).toMatchObject(limits);
    expect(resolve({ compression: true, minCompressBytes: 4999, maxCompressBytes: 4999 }).compression).toBe(
      true,
    );
    expect(() => resolve({ compression: true, ...limits })).toThrow(
      'minCompressBytes must be at most maxCompressBytes (4999), or no message would be compressed, got 5000.',
    );
  });

  it('is an integer, but for the slice of broadcasts', () => {
    expect(() => resolve({ maxConnections: 1.5 })).toThrow(/maxConnections/);
    expect(resolve({ broadcastSliceMs: 0.5 }).broadcastSliceMs).toBe(0.5);
  });
});

describe('a Redis URL that is wrong', () => {
  it.each([
    ['http://user:secret@host', 'it begins with none of redis://'],
    ['localhost:6379', 'it begins with none of redis://'],
    ['redis://', 'it has no host'],
    ['redis://:p@secret/hunter2#x@host', 'unencoded'],
    ['redis://host:99999', 'a port must be a number from 1 to 65535'],
  ])('is refused for its reason, and not shown: %j', (redisUrl, reason) => {
    let message = '';
    try {
      resolve({ redisUrl });
    } catch (error) {
      expect(error).toMatchObject({ code: 'FARM_ERR_OPTION', option: 'redisUrl' });
      message = String(error);
    }
    expect(message).toContain(`got a value of ${redisUrl.length} characters, not shown here: `);
    expect(message).toContain(reason);
    expect(message).not.toMatch(/secret|hunter2/);
  });
});

describe('room for outbound queues', () => {
  it('is enough for two of the longest', () => {
    const options = { maxOutboundBytes: 2_000_000, maxOutboundBytesPerWorker: 3_999_999 };
    expect(() => resolve(options)).toThrow(
      'maxOutboundBytesPerWorker must be at least twice maxOutboundBytes (2000000), or one queue could be all of it, got 3999999.',
    );
    expect(resolve({ ...options, maxOutboundBytesPerWorker: 4_000_000 })).toMatchObject({
      maxOutboundBytes: 2_000_000,
    });
  });
});

describe('the patience of the kernel', () => {
  it('outlasts all keepalive probes, so that one that is lost ends nobody', () => {
    expect(() => resolve({ tcpKeepAliveSeconds: 60 })).toThrow(
      'tcpUserTimeoutMs must be 0, or at least 90000 with tcpKeepAliveSeconds 60: else the kernel ends a connection when one keepalive probe is lost, got 30000.',
    );
    for (const tcpUserTimeoutMs of [0, 90_000]) {
      expect(resolve({ tcpKeepAliveSeconds: 60, tcpUserTimeoutMs })).toMatchObject({ tcpUserTimeoutMs });
    }
  });
});

describe('the watch over workers', () => {
  it('refuses a time in which no worker reports, and a heap that no worker fits into', () => {
    expect(() => resolve({ workerTimeoutMs: 1999 })).toThrow(
      'workerTimeoutMs must be 0, or at least 2000: workers report every second, got 1999.',
    );
    expect(() => resolve({ workerHeapMb: 31 })).toThrow(
      'workerHeapMb must be 0, or at least 32: a worker needs a good part of that by itself, got 31.',
    );
    const least = { workerTimeoutMs: 2000, workerHeapMb: 32 };
    expect(resolve(least)).toMatchObject(least);
    expect(resolve({ workerTimeoutMs: 0 })).toMatchObject({ workerTimeoutMs: 0, workerHeapMb: 0 });
  });
});

describe('room for messages that arrive', () => {
  it('is enough for one of the largest', () => {
    const options = { maxMessageBytes: 1_000_000, maxInboundBytesPerWorker: 999_999 };
    expect(() => resolve(options)).toThrow(
      'maxInboundBytesPerWorker must be at least maxMessageBytes (1000000), or no such message could arrive, got 999999.',
    );
    expect(resolve({ ...options, maxInboundBytesPerWorker: 1_000_000 })).toMatchObject({
      maxMessageBytes: 1_000_000,
    });
  });
});

describe('trusted proxies', () => {
  it('are addresses and blocks', () => {
    const trustedProxies = ['192.0.2.1', '10.0.0.0/8', '::1', 'fd00::/8'];
    expect(resolve({ trustedProxies }).trustedProxies).toEqual(trustedProxies);
  });

  it('are at most 1024', () => {
    const many = Array.from({ length: 1024 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    expect(resolve({ trustedProxies: many }).trustedProxies).toHaveLength(1024);
    expect(() => resolve({ trustedProxies: [...many, '::1'] })).toThrow(
      'trustedProxies must be a list of at most 1024 addresses and CIDR blocks such as 10.0.0.0/8, got 1025.',
    );
  });

  it('that are wrong are named', () => {
    expect(() => resolve({ trustedProxies: ['::1', '10.0.0.0/33'] })).toThrow(
      'trustedProxies must be a list of addresses and CIDR blocks such as 10.0.0.0/8, got "10.0.0.0/33".',
    );
  });
});

describe('the PROXY protocol', () => {
  it('needs somebody who may speak it', () => {
    expect(() => resolve({ proxyProtocol: 'optional' })).toThrow(
      'proxyProtocol must be "off" unless trustedProxies names the proxies that may speak it, got "optional".',
    );
    const options = { proxyProtocol: 'required', trustedProxies: ['::1'] } as const;
    expect(resolve(options)).toMatchObject(options);
  });
});

describe('allowed origins', () => {
  it('are origins, with wildcards where these are clear', () => {
    const allowedOrigins = ['https://app.example.com', 'https://*.example.com', 'http://localhost:*', 'null'];
    expect(resolve({ allowedOrigins }).allowedOrigins).toEqual(allowedOrigins);
  });

  it('that are wrong are named', () => {
    expect(() => resolve({ allowedOrigins: ['null', 'app.example.com'] })).toThrow(
      'allowedOrigins must be a list of origins such as https://app.example.com or https://*.example.com, got "app.example.com".',
    );
  });
});

describe('maxChannelBytes', () => {
  it('has no option under a name that it had once', () => {
    const options = { maxChannelBufferBytes: 65_536, workers: 1 };
    expect(() => resolve(options)).toThrow(
      'maxChannelBufferBytes is called maxWorkerLinkBytes now. Rename it.',
    );
  });

  it('needs a link to the workers that takes many names at once', () => {
    expect(resolve({ maxChannelBytes: 256, maxWorkerLinkBytes: 65_536 }).maxChannelBytes).toBe(256);
    expect(() => resolve({ maxChannelBytes: 257, maxWorkerLinkBytes: 65_536 })).toThrow(
      'maxWorkerLinkBytes must be at least 256 times maxChannelBytes (257), since workers name many at once, got 65536.',
    );
    expect(resolve({ maxChannelBytes: 1024 }).maxChannelBytes).toBe(1024);
    expect(() => resolve({ maxChannelBytes: 1025 })).toThrow(
      'maxChannelBytes must be a number from 1 to 1024 bytes, got 1025.',
    );
  });
});

describe('an option that is wrong', () => {
  it.each([
    ['workers', 0],
    ['workers', 1025],
    ['workers', 1.5],
    ['port', -1],
    ['port', 65_536],
    ['slowConsumerPolicy', 'wait'],
    ['trustedProxies', '10.0.0.0/8'],
    ['proxyProtocol', 'on'],
    ['allowedOrigins', 'https://app.example.com'],
    ['proxyProtocol', 'required'],
  ])('is named, with what was received: %s %j', (option, value) => {
    try {
      resolve({ [option]: value });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ name: 'FarmError', code: 'FARM_ERR_OPTION', option });
      expect(String(error)).toContain(JSON.stringify(value));
    }
  });
});
