import { Opcode } from '@roost/websocket';
import { expect, it } from 'vitest';
import { RowRig } from '../fixtures/row-rig.ts';
import { Leaving } from './leaving.ts';

const SLOT = 1;

function begin(maxOutboundBytes: number): Leaving {
  const leaving = new Leaving({ config: { maxOutboundBytes }, rows: new RowRig().rows });
  leaving.begin(SLOT);
  return leaving;
}

it.each([
  ['text, by its bytes of UTF-8', 'é'.repeat(49)],
  ['bytes', new Uint8Array(98)],
])('keeps as much for a connection on its way as its queue would hold: %s', (_what, message) => {
  const leaving = begin(200);
  const sent = [1, 2, 3].map(() => leaving.send(SLOT, Opcode.text, message));
  expect(sent).toEqual([true, true, false]);
  expect(leaving.take(SLOT)).toMatchObject({ steps: [{ do: 'send' }, { do: 'send' }], bytes: 200 });
});

it('keeps a bounded number of messages without content', () => {
  const leaving = begin(200);
  let kept = 0;
  while (kept < 1000 && leaving.send(SLOT, Opcode.text, '')) kept++;
  expect(kept).toBe(100);
});
