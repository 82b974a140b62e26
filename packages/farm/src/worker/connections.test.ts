import type { ExchangeToWorkerMessage } from '@roost/broker';
import { eventually, readFrames, within } from '@roost/testing';
import { afterEach, expect, it } from 'vitest';
import { accept, type App } from '../api/app.ts';
import type { Connection } from '../api/connection.ts';
import { clientFrame, poll } from './fixtures/worker-harness.ts';
import { MoveRig } from './moving/fixtures/move-rig.ts';

let rig: MoveRig;
afterEach(() => rig.stop());

it('a connection on its way to another worker counts a message once, and is not open once it is told to close', async () => {
  const opened: Connection[] = [];
  const app: App = { upgrade: () => accept(), open: (connection) => void opened.push(connection) };
  rig = await MoveRig.start([app, app]);
  const client = await rig.source.open();
  rig.begin();
  rig.fromTarget.holdAt('taken');
  await rig.heard('target', 'taken');
  const [connection] = opened;
  expect([connection?.isOpen, connection?.send('late')]).toEqual([true, true]);
  expect([connection?.close(4100), connection?.isOpen]).toEqual([true, false]);
  expect([connection?.send('too late'), connection?.close(), connection?.channels]).toEqual([
    false,
    false,
    [],
  ]);
  rig.fromTarget.go();
  await rig.ended();
  await poll(() => readFrames(client.unread).map(({ first }) => first)).toEqual([0x81, 0x88]);
  const counts = [await rig.source.count('messages_sent'), await rig.target.count('messages_sent')];
  expect(counts).toEqual([0, 1]);
});

it('a connection on its way joins no channel, and is sent nothing that says so', async () => {
  const opened: Connection[] = [];
  const app: App = { upgrade: () => accept(), open: (connection) => void opened.push(connection) };
  rig = await MoveRig.start([app, app], { handoverGraceMs: 0 });
  const client = await rig.source.open();
  const [connection] = opened;
  const { context } = rig.source;
  if (connection === undefined || context === undefined) expect.unreachable();
  const confirmations: ExchangeToWorkerMessage[] = [];
  rig.source.isLost = (message) => message.type === 'subscribed' && confirmations.push(message) > 0;
  const joined = context.join(connection, { channel: 'room', welcome: () => 'welcome' });
  await eventually(() => confirmations.length === 1, { what: 'the broker confirms the channel' });
  rig.begin();
  rig.fromTarget.holdAt('taken');
  await rig.heard('target', 'taken');
  for (const message of confirmations) rig.source.send({ type: 'broker', message });
  expect(await within(joined, { what: 'the join ends' })).toBe('gone');
  rig.fromTarget.go();
  await rig.ended();
  client.write(clientFrame(0x89, Buffer.from('?')));
  await poll(() => readFrames(client.unread).map(({ first }) => first)).toEqual([0x8a]);
});
