import { describe, expect, it } from 'vitest';
import { Gate } from './gate.ts';

const TOKEN = 'sesame-and-sixteen-more';
const SHOWN = `Bearer ${TOKEN}`;

describe('on loopback, with a token that was made for this start,', () => {
  const gate = new Gate({ isOnLoopback: true, token: TOKEN, isTokenChosen: false });

  it('metrics are for every program of this machine, the rest is not', () => {
    expect(gate.refusalOf('metrics', { host: 'localhost:8081' })).toBeUndefined();
    expect(gate.refusalOf('rest', { host: 'localhost:8081' })?.status).toBe(401);
    expect(gate.refusalOf('rest', { host: 'localhost', authorization: SHOWN })).toBeUndefined();
  });

  it('nothing is for a page whose name resolves to this machine, not even with the token', () => {
    for (const wish of ['metrics', 'rest'] as const) {
      expect(gate.refusalOf(wish, { host: 'evil.example' })?.status).toBe(403);
      expect(gate.refusalOf(wish, { host: 'evil.example', authorization: SHOWN })?.status).toBe(403);
      expect(gate.refusalOf(wish, {})?.status).toBe(403);
    }
  });
});

describe.each([
  ['on loopback', true],
  ['on another address', false],
])('%s, with a token that was chosen,', (_, isOnLoopback) => {
  const gate = new Gate({ isOnLoopback, token: TOKEN, isTokenChosen: true });

  it('nothing is told without it', () => {
    for (const authorization of [
      undefined,
      '',
      TOKEN,
      'Bearer',
      'Bearer ',
      'Bearer wrong',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN} x`,
      `Basic ${TOKEN}`,
      `Bearer ${TOKEN.slice(1)}`,
    ]) {
      const headers = { host: 'localhost', ...(authorization !== undefined && { authorization }) };
      for (const wish of ['metrics', 'rest'] as const) {
        expect(gate.refusalOf(wish, headers)?.status, authorization).toBe(401);
      }
    }
  });

  it.each([SHOWN, `bearer ${TOKEN}`, `BEARER   ${TOKEN}`])('%j opens', (authorization) => {
    expect(gate.refusalOf('metrics', { host: '127.0.0.1', authorization })).toBeUndefined();
    expect(gate.refusalOf('rest', { host: '127.0.0.1', authorization })).toBeUndefined();
  });
});

it('beyond loopback, any Host is right: the token is what counts', () => {
  const gate = new Gate({ isOnLoopback: false, token: TOKEN, isTokenChosen: true });
  expect(gate.refusalOf('metrics', { host: 'roost.internal', authorization: SHOWN })).toBeUndefined();
});
