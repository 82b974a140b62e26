import { describe, expect, it } from 'vitest';
import { integerBetween, parseAddresses, parseDurationMs, parseLinkLoss, parsePerSecond } from './units.ts';

describe('parseDurationMs', () => {
  it('reads a number and a unit', () => {
    expect(['250ms', '1.5s', '5m', '1h'].map(parseDurationMs)).toEqual([250, 1500, 300_000, 3_600_000]);
  });

  it('refuses numbers without a unit and other text', () => {
    for (const text of ['60', '', 's', '-1s', '1 s', '1d'])
      expect(() => parseDurationMs(text)).toThrow('A duration is');
  });
});

describe('parsePerSecond', () => {
  it('reads a rate with and without its unit', () => {
    expect(['5000/s', '10'].map(parsePerSecond)).toEqual([5000, 10]);
  });

  it('refuses zero, fractions and other units', () => {
    for (const text of ['0', '0/s', '1.5/s', '10/m', ''])
      expect(() => parsePerSecond(text)).toThrow('A rate is');
  });
});

describe('parseLinkLoss', () => {
  it('reads shares of which three fit into one', () => {
    expect(['0%', '0.1%', '33%'].map(parseLinkLoss)).toEqual([0, 0.001, 0.33]);
    expect(() => parseLinkLoss('34%')).toThrow('from 0% to 33%; got "34%"');
    expect(() => parseLinkLoss('1')).toThrow('A share is');
  });
});

describe('parseAddresses', () => {
  it('reads addresses and ranges in order', () => {
    expect(parseAddresses('127.0.0.254-127.0.1.1,10.0.0.1')).toEqual([
      '127.0.0.254',
      '127.0.0.255',
      '127.0.1.0',
      '127.0.1.1',
      '10.0.0.1',
    ]);
  });

  it('refuses what is no IPv4 address, goes downwards or is too long', () => {
    for (const text of [
      '',
      '127.0.0',
      '127.0.0.256',
      '::1',
      '127.0.0.9-127.0.0.2',
      '127.0.0.0-127.255.0.0',
    ]) {
      expect(() => parseAddresses(text)).toThrow();
    }
  });
});

describe('integerBetween', () => {
  it('takes integers of its range only', () => {
    const parse = integerBetween(1, 10);
    expect(['1', '10'].map(parse)).toEqual([1, 10]);
    for (const text of ['0', '11', '1.5', 'x', '']) expect(() => parse(text)).toThrow('from 1 to 10');
  });
});
