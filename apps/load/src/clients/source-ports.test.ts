import {
  ADDRESS_BYTES,
  accept,
  closeDescriptor,
  listen,
  localAddress,
  terminateDescriptor,
} from '@roost/poller';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPortRange } from '../limits.ts';
import { SourcePorts } from './source-ports.ts';

const SOURCES = ['127.0.7.1', '127.0.7.2'];

describe('source ports', () => {
  let listener: number;
  let ports: SourcePorts;
  const fds: number[] = [];

  beforeEach(() => {
    listener = listen({ host: '127.0.0.1', port: 0 });
    ports = new SourcePorts({ host: '127.0.0.1', port: localAddress(listener).port }, SOURCES);
  });
  afterEach(() => {
    const accepted = new Int32Array(16);
    const count = accept(listener, accepted, new Uint8Array(16 * ADDRESS_BYTES));
    for (const fd of [...fds.splice(0), ...accepted.subarray(0, count)]) terminateDescriptor(fd);
    closeDescriptor(listener);
  });

  function open(number: number): { readonly address: string; readonly port: number } {
    const fd = ports.connect(number);
    expect(fd).toBeGreaterThan(0);
    fds.push(fd);
    return localAddress(fd);
  }

  it('give each number an address in turn, and a port of the range', () => {
    const { low, high } = readPortRange();
    const far = 2 * (high - low + 1);
    // The last one is where the range begins again; its port is taken, and the next is free.
    expect([0, 1, 5, far].map(open)).toEqual([
      { address: SOURCES[0], port: low },
      { address: SOURCES[1], port: low },
      { address: SOURCES[1], port: low + 2 },
      { address: SOURCES[0], port: low + 1 },
    ]);
  });

  it('leave the choice to the kernel when all that are tried are taken', () => {
    const { low } = readPortRange();
    for (let number = 0; number < 32; number += 2) open(number);
    const { address, port } = open(0);
    expect(address).toBe(SOURCES[0]);
    expect(port).toBeGreaterThan(low + 15);
  });
});
