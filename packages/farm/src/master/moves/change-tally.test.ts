import { describe, expect, it } from 'vitest';
import { ChangeTally } from './change-tally.ts';

function tally(): ChangeTally {
  return new ChangeTally('reload');
}

describe('what a change has cost', () => {
  it('is nothing where nobody dies with a connection', () => {
    const quiet = tally();
    quiet.died(0, 0);
    expect([quiet.loss, quiet.report.lost]).toEqual([undefined, 0]);
  });

  it('names the workers that died, and counts their connections', () => {
    const bad = tally();
    bad.died(1, 20);
    bad.died(3, 4);
    bad.died(1, 1);
    expect(bad.report.lost).toBe(25);
    expect(bad.loss).toBe('Workers 1 and 3 died meanwhile, and 25 connections with them.');
    const one = tally();
    one.died(0, 1);
    expect(one.loss).toBe('Worker 0 died meanwhile, and one connection with it.');
  });

  it('is not what had moved by the word of the target, though the source has not said so', () => {
    const move = tally();
    move.died(0, 100);
    move.ended({ closed: 0, unsaid: 40 });
    expect(move.report.lost).toBe(60);
    const all = tally();
    all.died(0, 40);
    all.ended({ closed: 0, unsaid: 40 });
    expect([all.loss, all.report.lost]).toEqual([undefined, 0]);
  });

  it('is also what had moved by the word of the source, when the target has not lived to say so', () => {
    const move = tally();
    move.died(0, 16);
    move.ended({ closed: 0, unsaid: -10 });
    expect(move.report.lost).toBe(26);
  });

  it('counts nobody as lost and as closed', () => {
    const move = tally();
    move.died(0, 100);
    move.ended({ closed: 30, unsaid: 0 });
    move.retired(5);
    expect(move.report).toMatchObject({ closed: 35, lost: 70 });
  });
});
