import { describe, expect, it } from 'vitest';
import { CloseCounts } from './close-counts.ts';

describe('counts of closes', () => {
  it('are by code for those of RFC 6455, of the farm, and that the server has closed with', () => {
    const closes = new CloseCounts();
    closes.know(4200);
    for (const code of [1000, 1000, 1012, 4003, 4200]) closes.add(code);
    expect(closes.snapshot()).toEqual({ 1000: 2, 1012: 1, 4003: 1, 4200: 1 });
  });

  it('are together for codes that clients have thought of', () => {
    const closes = new CloseCounts();
    for (let code = 3000; code < 4000; code++) closes.add(code);
    expect(closes.snapshot()).toEqual({ other: 1000 });
  });

  it('are not more than 129, whatever the application closes with', () => {
    const closes = new CloseCounts();
    for (let code = 3000; code < 5000; code++) {
      closes.know(code);
      closes.add(code);
    }
    expect(Object.keys(closes.snapshot()).length).toBeLessThanOrEqual(129);
  });
});
