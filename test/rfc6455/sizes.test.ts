import { createHash } from 'node:crypto';
import { clientFrame, serverFrame, type RawClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { connectRaw } from '../harness/system.ts';
import { hex, MESSAGE_TOO_BIG, sharedFarm, upgrade } from './exchange.ts';

const farm = sharedFarm();
const KIB = 1024;
const MIB = 1024 * KIB;
const PATTERN = Buffer.from(Array.from({ length: 251 }, (_, index) => 32 + (index % 95)));

/** Not all alike, so that bytes in the wrong place are seen; ASCII, so that it is text, too. */
function payloadOf(size: number): Buffer {
  return Buffer.alloc(size, PATTERN);
}

/** A message in frames of at most `fragment` bytes. */
function message(opcode: number, payload: Buffer, fragment: number): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += fragment) {
    const isLast = at + fragment >= payload.length;
    frames.push(
      clientFrame((isLast ? 0x80 : 0) | (at === 0 ? opcode : 0), payload.subarray(at, at + fragment)),
    );
  }
  return Buffer.concat(frames);
}

async function expectEcho(client: RawClient, first: number, payload: Buffer): Promise<void> {
  const expected = serverFrame(first, payload);
  const echo = await client.read(expected.length);
  const headerBytes = expected.length - payload.length;
  expect(echo.toString('hex', 0, headerBytes)).toBe(expected.toString('hex', 0, headerBytes));
  expect(digest(echo.subarray(headerBytes))).toBe(digest(payload));
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
    client.write(clientFrame(0x81, payload));
    await expectEcho(client, 0x81, payload);
    client.write(clientFrame(0x82, payload));
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
    const bytes = clientFrame(0x81, payload);
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
    client.write(
      Buffer.concat([clientFrame(0x02, half), clientFrame(0x00, half), clientFrame(0x80, Buffer.from('*'))]),
    );
    expect((await client.read(4)).toString('hex')).toBe(hex(MESSAGE_TOO_BIG).toString('hex'));
    await client.closed;
  });
});

describe('a thousand messages, each sent when the echo of the one before has come', () => {
  it.each([0, 16, 64, 256, 1024, 4096])('of %i bytes', async (size) => {
    const client = await open();
    const payload = payloadOf(size);
    const bytes = clientFrame(0x82, payload);
    for (let count = 0; count < 1000; count++) {
      client.write(bytes);
      await expectEcho(client, 0x82, payload);
    }
    await client.close();
  });
});
