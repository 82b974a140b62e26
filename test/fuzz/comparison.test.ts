import { constants, deflateRawSync } from 'node:zlib';
import { clientFrame } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { differences } from './comparison.ts';
import { foretell, type Foretold } from './oracle.ts';
import { NO_PAUSE, PROFILES, type Stream, type Transcript } from './stream.ts';

const LIMIT_BYTES = 300;
const PROFILE = PROFILES.findIndex(
  ({ maxMessageBytes, compression }) => compression && maxMessageBytes === LIMIT_BYTES,
);
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n';

/** A compressed text, whole in one frame. */
function foretellMessage(payload: Buffer): Promise<Foretold> {
  const stream: Stream = {
    seed: 0,
    index: 0,
    profile: PROFILE,
    units: [clientFrame(0xc1, payload)],
    cuts: [],
    isPipelined: false,
    isKeptAlive: false,
    isPatient: false,
    isLateReader: false,
    manners: { upgradeTurns: 0, atOpen: 'nothing' },
    offer: 'permessage-deflate',
    lastPause: NO_PAUSE,
  };
  return foretell(stream);
}

function transcript(frames: string): Transcript {
  const received = Buffer.concat([Buffer.from(SWITCHING), Buffer.from(frames, 'hex')]);
  return { messages: [], received, end: 'fin', close: { code: 1006, reason: '' } };
}

const LARGE = deflateRawSync(Buffer.alloc(LIMIT_BYTES + 100, 'x'), { finishFlush: constants.Z_SYNC_FLUSH });
const HELLO = Buffer.from('f248cdc9c90700', 'hex');
/** A block of the reserved kind (RFC 1951 §3.2.3). */
const BROKEN = Buffer.from('ff', 'hex');

describe('the rule "corrupt and too large"', () => {
  const BYTES = ['bytes that the client received'];

  it('lets one close with 1007 and the other with 1009, of a message with both faults', async () => {
    const foretold = await foretellMessage(Buffer.concat([LARGE, BROKEN]));
    expect(foretold).toMatchObject({ isFaulty: true, isCorruptAndTooLarge: true });
    expect(differences(foretold, transcript('880203ef'), transcript('880203f1'))).toEqual([]);
    expect(differences(foretold, transcript('8103616263880203ef'), transcript('8103616263880203f1'))).toEqual(
      [],
    );
    expect(differences(foretold, transcript('880203f1'), transcript('880203ef'))).toEqual([]);
    // Anything else that differs.
    expect(differences(foretold, transcript('880203ef'), transcript('880203ea'))).toEqual(BYTES);
    expect(differences(foretold, transcript('880203ef'), transcript('8103616263880203f1'))).toEqual(BYTES);
  });

  it.each([
    ['corrupt only', Buffer.concat([HELLO, Buffer.from('0000ffff', 'hex'), BROKEN])],
    ['too large only', LARGE.subarray(0, -4)],
    ['corrupt at once', BROKEN],
  ])('does not, of a message that is %s', async (_name, payload) => {
    const foretold = await foretellMessage(payload);
    expect(foretold).toMatchObject({ isFaulty: true, isCorruptAndTooLarge: false });
    expect(differences(foretold, transcript('880203ef'), transcript('880203f1'))).toEqual(BYTES);
  });

  it('does not, of a good one', async () => {
    expect(await foretellMessage(HELLO)).toMatchObject({ isFaulty: false, isCorruptAndTooLarge: false });
  });
});
