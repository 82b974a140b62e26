import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeBody } from './body-encoding.ts';

const BODY = Buffer.from('{"channel":"a"}');

describe('the encoding of a body', () => {
  it.each([undefined, '', 'identity', 'Identity'])('%j leaves it as it is', async (encoding) => {
    expect(await decodeBody(BODY, encoding, 1)).toBe(BODY);
  });

  it.each(['gzip', 'GZIP', 'x-gzip'])('%s is undone', async (encoding) => {
    expect(await decodeBody(gzipSync(BODY), encoding, BODY.length)).toEqual(BODY);
    expect(await decodeBody(Buffer.alloc(0), encoding, 1)).toHaveLength(0);
  });

  it.each(['br', 'deflate', 'gzip, gzip', 'zip'])('%s is refused', async (encoding) => {
    await expect(decodeBody(gzipSync(BODY), encoding, 1000)).rejects.toMatchObject({
      status: 415,
      message: `unsupported encoding: a body is sent as it is or as gzip, got "${encoding}"`,
    });
  });

  it('is refused when it inflates to more than is allowed, whatever it would come to', async () => {
    await expect(decodeBody(gzipSync(BODY), 'gzip', BODY.length - 1)).rejects.toMatchObject({ status: 413 });
    await expect(decodeBody(gzipSync(Buffer.alloc(50_000_000)), 'gzip', 1000)).rejects.toMatchObject({
      status: 413,
    });
  });

  it('is refused when it is broken or incomplete', async () => {
    for (const broken of [BODY, gzipSync(BODY).subarray(0, -5), gzipSync(BODY).subarray(0, 12)]) {
      await expect(decodeBody(broken, 'gzip', 1000)).rejects.toMatchObject({ status: 400 });
    }
  });
});
