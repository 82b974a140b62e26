import { describe, expect, it } from 'vitest';
import { FarmError } from '../api/errors.ts';
import { encodeEnvelope, EnvelopeDecoder } from './envelope.ts';

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

function decodeAll(...chunks: Buffer[]): unknown[] {
  const decoder = new EnvelopeDecoder();
  const messages: unknown[] = [];
  for (const chunk of chunks) decoder.write(chunk, (message) => messages.push(message));
  return messages;
}

describe('an envelope', () => {
  it('is its length, the length of the JSON, and the JSON', () => {
    expect(encodeEnvelope({ type: 'a' }).toString('hex')).toBe('100000000c0000007b2274797065223a2261227d');
  });

  it('carries a payload behind the JSON, in which it is null', () => {
    const json = '{"type":"p","payload":null}';
    expect(encodeEnvelope({ type: 'p', payload: hex('00ff80') }).toString('hex')).toBe(
      `220000001b000000${Buffer.from(json).toString('hex')}00ff80`,
    );
  });

  it('carries the payload of the message inside', () => {
    const json = '{"type":"broker","message":{"channel":"a","payload":null}}';
    expect(
      encodeEnvelope({ type: 'broker', message: { channel: 'a', payload: hex('01') } }).toString('hex'),
    ).toBe(`3f0000003a000000${Buffer.from(json).toString('hex')}01`);
  });
});

describe('the decoder', () => {
  const one = encodeEnvelope({ type: 'one', payload: Buffer.from('1') });
  const two = encodeEnvelope({ type: 'two' });
  const three = encodeEnvelope({ type: 'three', message: { payload: Buffer.from('333') } });
  const stream = Buffer.concat([one, two, three]);
  const messages = [
    { type: 'one', payload: Buffer.from('1') },
    { type: 'two' },
    { type: 'three', message: { payload: Buffer.from('333') } },
  ];

  it('gives back what was encoded', () => {
    expect(decodeAll(stream)).toEqual(messages);
  });

  it('takes a stream that is cut anywhere', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      expect(decodeAll(stream.subarray(0, cut), stream.subarray(cut))).toEqual(messages);
    }
  });

  it('takes single bytes', () => {
    expect(decodeAll(...Array.from(stream, (byte) => Buffer.from([byte])))).toEqual(messages);
  });

  it('keeps null that was null', () => {
    expect(decodeAll(encodeEnvelope({ type: 'a', value: null }))).toEqual([{ type: 'a', value: null }]);
  });

  it('gives what came before the bytes that are wrong, then throws FARM_ERR_LINK', () => {
    const decoder = new EnvelopeDecoder();
    const seen: unknown[] = [];
    const write = (): void =>
      decoder.write(Buffer.concat([two, hex('00000000 00000000')]), (message) => seen.push(message));
    expect(write).toThrow(FarmError);
    expect(seen).toEqual([{ type: 'two' }]);
  });
});
