import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { resolveOptions, type FarmOptions } from '../../options/options.ts';
import { warmUp, type WarmedUp } from './warm-up.ts';

function warmedUp(options: Partial<FarmOptions> = {}): Promise<WarmedUp> {
  return warmUp(resolveOptions({ app: '/none', ...options }, 1, 'test'));
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

describe('a worker that warms up', () => {
  it('serves clients of its own until V8 has seen enough of them', async () => {
    expect((await warmedUp({ warmUpMs: 10_000 })).handshakes).toBeGreaterThanOrEqual(1000);
  });

  it('ends after warmUpMs, however few it has served', async () => {
    const { handshakes, ms } = await warmedUp({ warmUpMs: 1 });
    expect(handshakes).toBeLessThan(1000);
    expect(ms).toBeLessThan(10_000);
  });

  it('leaves no descriptor behind', async () => {
    await warmedUp({ warmUpMs: 1 });
    const before = openDescriptors();
    await warmedUp({ warmUpMs: 20 });
    expect(openDescriptors()).toBe(before);
  });

  it('is not kept from it by options that would refuse its clients', async () => {
    const { handshakes } = await warmedUp({
      warmUpMs: 10_000,
      proxyProtocol: 'required',
      trustedProxies: ['10.0.0.0/8'],
      allowedOrigins: ['https://app.example.com'],
      messageRate: 1,
      maxConnectionsPerAddress: 1,
      maxHandshakes: 1,
      maxSubscriptionsPerConnection: 1,
      redisUrl: 'redis://127.0.0.1:1',
    });
    expect(handshakes).toBeGreaterThanOrEqual(1000);
  });
});
