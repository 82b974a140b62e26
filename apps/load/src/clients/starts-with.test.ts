import { describe, expect, it } from 'vitest';
import { startsWith } from './starts-with.ts';

describe('startsWith', () => {
  const bytes = Buffer.from('..40{}..');

  it('compares what stands at the start', () => {
    expect(startsWith(bytes, 2, 4, Buffer.from('40{'))).toBe(true);
    expect(startsWith(bytes, 2, 4, Buffer.from('41{'))).toBe(false);
    expect(startsWith(bytes, 1, 5, Buffer.from('40{'))).toBe(false);
  });

  it('looks at nothing behind the length', () => {
    expect(startsWith(bytes, 2, 2, Buffer.from('40{'))).toBe(false);
    expect(startsWith(bytes, 2, 3, Buffer.from('40{'))).toBe(true);
  });

  it('finds that everything begins with nothing', () => {
    expect(startsWith(bytes, 0, 0, Buffer.alloc(0))).toBe(true);
  });
});
