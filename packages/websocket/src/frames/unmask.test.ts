import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { unmask, unmaskInJavaScript } from './unmask.ts';

describe('unmasking', () => {
  it('is by bufferutil where it is installed', () => {
    const bufferutil: { readonly unmask: unknown } = createRequire(import.meta.url)('bufferutil');
    expect(unmask).toBe(bufferutil.unmask);
  });

  it('does the example of RFC 6455 §5.7 without it', () => {
    const bytes = Buffer.from('7f9f4d5158', 'hex');
    unmaskInJavaScript(bytes, Buffer.from('37fa213d', 'hex'));
    expect(bytes.toString()).toBe('Hello');
  });

  it.each([0, 1, 79, 80, 1001])('of %i bytes gives the same without it', (length) => {
    const mask = randomBytes(4);
    const bytes = randomBytes(length);
    const [native, plain] = [Buffer.from(bytes), Buffer.from(bytes)];
    unmask(native, mask);
    unmaskInJavaScript(plain, mask);
    expect(plain).toEqual(native);
  });
});
