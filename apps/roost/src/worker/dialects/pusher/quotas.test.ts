import { describe, expect, it, vi } from 'vitest';
import { PusherApps } from './apps.ts';
import type { PusherApp } from './apps.ts';
import { PUSHER_APP } from './fixtures/pusher-app.ts';
import { Quotas } from './quotas.ts';

function appWith(maxConnections: number): PusherApp {
  const app = new PusherApps([{ ...PUSHER_APP, maxConnections }]).at(0);
  if (app === undefined) throw new Error('there is one');
  return app;
}

/** Counts that are answered when the spec says so. */
function counting(): {
  readonly quotas: Quotas;
  readonly asked: (readonly string[])[];
  readonly answer: (subscribers: number) => Promise<void>;
  readonly fail: () => Promise<void>;
} {
  const asked: (readonly string[])[] = [];
  let settle: { resolve: (subscribers: number) => void; reject: (error: Error) => void } | undefined;
  const quotas = new Quotas((channels) => {
    asked.push(channels);
    return new Promise((resolve, reject) => {
      settle = { resolve: (subscribers) => resolve([{ subscribers, members: 0 }]), reject };
    });
  });
  return {
    quotas,
    asked,
    async answer(subscribers) {
      settle?.resolve(subscribers);
      await Promise.resolve();
    },
    async fail() {
      settle?.reject(new Error('the broker is away'));
      await Promise.resolve();
    },
  };
}

describe('the most connections of an app', () => {
  it('costs nothing where there is none', () => {
    const { quotas, asked } = counting();
    const app = appWith(0);
    expect([quotas.take(app), quotas.channelsOf(app), asked]).toEqual([true, [], []]);
  });

  it('is decided by the sum of all workers, which all who come at a time wait for', async () => {
    const { quotas, asked, answer } = counting();
    const app = appWith(10);
    expect(quotas.channelsOf(app)).toEqual(['app-id/#connections']);
    const taken = Promise.all([quotas.take(app), quotas.take(app), quotas.take(app)].map(async (one) => one));
    await answer(8);
    expect(await taken).toEqual([true, true, false]);
    expect(asked).toEqual([['app-id/#connections']]);
    // Within the second nobody waits.
    expect(quotas.take(app)).toBe(false);
  });

  it('is asked for again after a second', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const { quotas, asked, answer } = counting();
      const app = appWith(1);
      const first = quotas.take(app);
      await answer(1);
      expect(await first).toBe(false);
      vi.advanceTimersByTime(999);
      expect(quotas.take(app)).toBe(false);
      vi.advanceTimersByTime(1);
      const later = quotas.take(app);
      await answer(0);
      expect([await later, asked.length]).toEqual([true, 2]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('refuses nobody while the sum is not known', async () => {
    const { quotas, fail } = counting();
    const app = appWith(2);
    const taken = Promise.all([quotas.take(app), quotas.take(app), quotas.take(app)].map(async (one) => one));
    await fail();
    expect(await taken).toEqual([true, true, false]);
  });
});
