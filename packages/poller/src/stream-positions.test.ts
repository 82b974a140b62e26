import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { closeDescriptor, makeSealedFile, outstandingBytes, streamPositions, unreadBytes } from './index.ts';
import { Rig } from './fixtures/rig.ts';

describe('the positions of a stream', () => {
  it('are what was sent and what was read, whatever still waits in the kernel', async () => {
    const rig = new Rig();
    try {
      const { client, slot } = await rig.connect();
      const fd = rig.fds[slot] ?? -1;
      const positions = new Float64Array(2);
      expect([streamPositions(fd, positions), ...positions]).toEqual([0, 0, 0]);
      rig.poller.send(slot, Buffer.alloc(1000), 0, 1000);
      client.write('unread');
      await rig.until(() => unreadBytes(fd) === 6, 'what the client has sent is in the kernel');
      expect([streamPositions(fd, positions), ...positions]).toEqual([0, 1000, 0]);
      rig.watchAll([{ client, slot }]);
      await rig.until(() => unreadBytes(fd) === 0, 'what the client has sent was read');
      await rig.until(() => outstandingBytes(fd) === 0, 'what the client was sent is acknowledged');
      expect([streamPositions(fd, positions), ...positions]).toEqual([0, 1000, 6]);
    } finally {
      rig.dispose();
    }
  });

  it('are not known of what is no TCP connection', () => {
    const fd = makeSealedFile(Buffer.from('a file'));
    expect(streamPositions(fd, new Float64Array(2))).toBe(-constants.errno.ENOTSOCK);
    closeDescriptor(fd);
  });
});
