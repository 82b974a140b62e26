import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KeysUnavailableError, ReloadedValue } from './reloaded-value.ts';

/** What the origin says; an error is thrown. */
let origin: string | Error;
let loads = 0;
let failures = 0;
let value: ReloadedValue<string>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  origin = 'one';
  loads = failures = 0;
  value = new ReloadedValue({
    load: () => {
      loads++;
      return origin instanceof Error ? Promise.reject(origin) : Promise.resolve(origin);
    },
    parse: (text) => Promise.resolve(`<${text}>`),
    refreshAfterMs: 10_000,
    waitAfterMs: 20_000,
    dropAfterMs: 30_000,
    cooldownMs: 1000,
    onFailure: () => failures++,
  });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a reloaded value', () => {
  it('is loaded by the first who asks, once for all who ask meanwhile', async () => {
    expect(loads).toBe(0);
    expect(await Promise.all([value.get(), value.get()])).toEqual(['<one>', '<one>']);
    vi.advanceTimersByTime(9000);
    expect(await value.get()).toBe('<one>');
    expect(loads).toBe(1);
  });

  it('serves on while a newer one is loaded, and later makes one wait for it', async () => {
    await value.get();
    origin = 'two';
    vi.advanceTimersByTime(11_000);
    expect(await value.get()).toBe('<one>');
    await vi.waitUntil(async () => (await value.get()) === '<two>');
    expect(loads).toBe(2);
    origin = 'three';
    vi.advanceTimersByTime(21_000);
    expect(await value.get()).toBe('<three>');
  });

  it('serves on while the origin fails, until it is too old', async () => {
    await value.get();
    origin = new Error('down');
    for (const [step, expected] of [
      [11_000, 1],
      [10_000, 2],
    ] as const) {
      vi.advanceTimersByTime(step);
      expect(await value.get()).toBe('<one>');
      await vi.waitUntil(() => failures === expected);
    }
    vi.advanceTimersByTime(10_000);
    await expect(value.get()).rejects.toThrow(KeysUnavailableError);
    origin = 'two';
    vi.advanceTimersByTime(2001);
    expect(await value.get()).toBe('<two>');
  });

  it('is not tried again within two seconds of a failure', async () => {
    origin = new Error('down');
    await expect(value.get()).rejects.toThrow(KeysUnavailableError);
    vi.advanceTimersByTime(1900);
    await expect(value.get()).rejects.toThrow(KeysUnavailableError);
    await expect(value.newer()).rejects.toThrow(KeysUnavailableError);
    expect(loads).toBe(1);
    vi.advanceTimersByTime(200);
    await expect(value.newer()).rejects.toThrow(KeysUnavailableError);
    expect(loads).toBe(2);
  });

  it('is loaded for who misses something, unless it was only just', async () => {
    await value.get();
    expect(await value.newer()).toBeUndefined();
    origin = 'two';
    vi.advanceTimersByTime(1001);
    expect(await Promise.all([value.newer(), value.newer()])).toEqual(['<two>', '<two>']);
    expect(loads).toBe(2);
  });
});
