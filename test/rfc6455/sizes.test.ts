import { createHash } from 'node:crypto';
import type { RawClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { connectRaw } from '../system.ts';
import { hex, MESSAGE_TOO_BIG, sharedFarm, upgrade } from './exchange.ts';

const farm = sharedFarm();
const KIB = 1024;
const MIB = 1024 * KIB;
const PATTERN = Buffer.from(Array.from({ length: 251 }, (_, index) => 32 + (index % 95)));

/** Not all alike, so that bytes in the wrong place are seen; ASCII, so that it is text, too. */
function payloadOf(size: number): Buffer {
  return Buffer.alloc(size, PATTERN);
}

/** A frame with the mask 00000000, by which the payload stands as it is. */
function frame(first: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(14);
  header[0] = first;
  if (payload.length < 126) {
    header[1] = 0x80 | payload.length;
    return Buffer.concat([header.subarray(0, 6), payload]);
  }
  if (payload.length < 64 * KIB) {
    header[1] = 0xfe;
    header.writeUInt16BE(payload.length, 2);
    return Buffer.concat([header.subarray(0, 8), payload]);
  }
  header[1] = 0xff;
  header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, payload]);
}

/** The frame of the server's echo. */
function echoHeader(first: number, size: number): Buffer {
  if (size < 126) return Buffer.from([first, size]);
  if (size < 64 * KIB) return Buffer.from([first, 126, size >> 8, size & 0xff]);
  const bytes = Buffer.alloc(10);
  bytes[0] = first;
  bytes[1] = 127;
  bytes.writeBigUInt64BE(BigInt(size), 2);
  return bytes;
}

/** A message in frames of at most `fragment` bytes. */
function message(opcode: number, payload: Buffer, fragment: number): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += fragment) {
    const isLast = at + fragment >= payload.length;
    frames.push(frame((isLast ? 0x80 : 0) | (at === 0 ? opcode : 0), payload.subarray(at, at + fragment)));
  }
  return Buffer.concat(frames);
}

async function expectEcho(client: RawClient, first: number, payload: Buffer): Promise<void> {
  const head = echoHeader(first, payload.length);
  const echo = await client.read(head.length + payload.length);
  expect(echo.subarray(0, head.length).toString('hex')).toBe(head.toString('hex'));
  expect(digest(echo.subarray(head.length))).toBe(digest(payload));
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function open(): Promise<RawClient> {
  const client = await connectRaw(farm().port);
  await upgrade(client);
  return client;
}

describe('a message', () => {
  it.each([
    ['64 KiB less one byte', 64 * KIB - 1],
    ['64 KiB, the least with a length of 64 bits', 64 * KIB],
    ['64 KiB and one byte', 64 * KIB + 1],
    ['256 KiB', 256 * KIB],
    ['1 MiB', MIB],
    ['4 MiB', 4 * MIB],
    ['16 MiB, the most that this farm takes', 16 * MIB],
  ])('of %s is served, text and binary', async (_, size) => {
    const client = await open();
    const payload = payloadOf(size);
    client.write(frame(0x81, payload));
    await expectEcho(client, 0x81, payload);
    client.write(frame(0x82, payload));
    await expectEcho(client, 0x82, payload);
    await client.close();
  });

  it.each([
    [MIB, 64],
    [4 * MIB, 4 * KIB],
    [4 * MIB, 64 * KIB],
    [16 * MIB, MIB],
    [64 * KIB, 1300],
  ])('of %i bytes in fragments of %i is served', async (size, fragment) => {
    const client = await open();
    const payload = payloadOf(size);
    client.write(message(0x2, payload, fragment));
    await expectEcho(client, 0x82, payload);
    await client.close();
  });

  it.each([64, 128, 997, 4096])('of 1 MiB that is sent %i bytes at a time is served', async (piece) => {
    const client = await open();
    const payload = payloadOf(MIB);
    const bytes = frame(0x81, payload);
    for (let at = 0; at < bytes.length; at += piece) client.write(bytes.subarray(at, at + piece));
    await expectEcho(client, 0x81, payload);
    await client.close();
  });

  it('of 16 MiB and one byte fails the connection with 1009 as soon as its header has come', async () => {
    const client = await open();
    client.write('82 ff 0000000001000001 00000000');
    expect((await client.read(4)).toString('hex')).toBe(hex(MESSAGE_TOO_BIG).toString('hex'));
    await client.closed;
  });

  it('of fragments that add up to more fails it with 1009, too', async () => {
    const client = await open();
    const half = payloadOf(8 * MIB);
    client.write(Buffer.concat([frame(0x02, half), frame(0x00, half), frame(0x80, Buffer.from('*'))]));
    expect((await client.read(4)).toString('hex')).toBe(hex(MESSAGE_TOO_BIG).toString('hex'));
    await client.closed;
  });
});

describe('a thousand messages, each sent when the echo of the one before has come', () => {
  it.each([0, 16, 64, 256, 1024, 4096])('of %i bytes', async (size) => {
    const client = await open();
    const payload = payloadOf(size);
    const bytes = frame(0x82, payload);
    for (let count = 0; count < 1000; count++) {
      client.write(bytes);
      await expectEcho(client, 0x82, payload);
    }
    await client.close();
  });
});
