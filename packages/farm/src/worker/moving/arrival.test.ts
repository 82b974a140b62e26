import { eventually, readFrames, type RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import { clientFrame, poll, textFrame, type HarnessOptions } from '../fixtures/worker-harness.ts';
import { textsOf } from './fixtures/crowd.ts';
import { MoveRig } from './fixtures/move-rig.ts';

const CLIENTS = 5;
const ROOM_FOR = 2;

let rig: MoveRig;
let opened: Connection[];
let moved: Connection[];
afterEach(() => rig.stop());

async function start(
  target: HarnessOptions = {},
  options: HarnessOptions = {},
  more: Partial<App> = {},
): Promise<void> {
  opened = [];
  moved = [];
  const app = (name: string): App => ({
    name: 'app',
    upgrade: (request) => accept({ channels: request.query.getAll('channel') }),
    message: (connection, data) => void connection.send(`${name} ${String(data)}`),
    open: (connection) => void opened.push(connection),
    moved: (connection) => void moved.push(connection),
    ...more,
  });
  rig = await MoveRig.start([app('source'), app('target')], options, target);
}

async function open(count: number, path = '/'): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < count) clients.push(await rig.source.open(path));
  return clients;
}

/** How much memory the bytes in its attachment keep. */
function memoryOf(connection: Connection | undefined): number {
  const attachment: unknown = connection?.attachment;
  if (typeof attachment !== 'object' || attachment === null || !('key' in attachment)) return Number.NaN;
  return attachment.key instanceof Uint8Array ? attachment.key.buffer.byteLength : Number.NaN;
}

/** So many of them have moved, and all go on where they stand. */
async function goOn(clients: readonly RawClient[], rest: Buffer, text: string): Promise<void> {
  expect(await rig.ended()).toMatchObject([
    { reason: 'full', moved: ROOM_FOR, left: CLIENTS - ROOM_FOR },
    { moved: ROOM_FOR },
  ]);
  for (const client of clients) client.write(rest);
  const served = clients.map((_, index) => [`${index < ROOM_FOR ? 'target' : 'source'} ${text}`]);
  await poll(() => clients.map(textsOf)).toEqual(served);
}

describe('a target with room for some rows of a batch', () => {
  it('as it has for messages that are open: the others go on where they were', async () => {
    await start({ maxAwakeConnections: ROOM_FOR });
    const clients = await open(CLIENTS);
    for (const client of clients) client.write(clientFrame(0x01, Buffer.from('be')));
    await rig.source.counts('wakes', CLIENTS);
    rig.begin();
    await goOn(clients, clientFrame(0x80, Buffer.from('gun')), 'begun');
  });

  it('as it has for beginnings of frames: the others go on where they were', async () => {
    // So many blocks.
    await start({ beyondLimits: { maxInboundBytesPerWorker: ROOM_FOR * 256 } });
    const clients = await open(CLIENTS);
    const frame = textFrame('half a frame');
    for (const client of clients) client.write(frame.subarray(0, 9));
    const hasArrived = async (): Promise<boolean> =>
      (await rig.source.measured()).gauges.inbound_buffer_bytes === CLIENTS * 256;
    await eventually(hasArrived, { what: 'everything has arrived' });
    rig.begin();
    await goOn(clients, frame.subarray(9), 'half a frame');
  });

  it('since others came while it waited for the mark: the others go on where they were', async () => {
    await start({ capacity: CLIENTS, reservedConnections: 1 });
    const clients = await open(CLIENTS);
    const letItCome = rig.delayMark('target');
    rig.begin();
    await rig.heard('source', 'batch');
    const newcomers: RawClient[] = [];
    while (newcomers.length < CLIENTS - ROOM_FOR) newcomers.push(await rig.target.open());
    letItCome();
    await goOn(clients, textFrame('?'), '?');
    for (const client of newcomers) client.write(textFrame('!'));
    await poll(() => newcomers.map(textsOf)).toEqual(newcomers.map(() => ['target !']));
  });
});

describe('a target that has waited for the death of the source', () => {
  it('goes on with as many as it has room for by then: the others end, and are counted', async () => {
    await start({ capacity: CLIENTS, reservedConnections: 1 });
    const clients = await open(CLIENTS);
    const move = rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    await rig.kill('source', { hasSaid: true });
    await eventually(() =>
      expect(rig.target.said).toContainEqual({ type: 'moveNeedsDeath', move, side: 'source' }),
    );
    for (let count = ROOM_FOR; count < CLIENTS; count++) await rig.target.open();
    rig.reaped('source');
    expect(await rig.ended('target')).toMatchObject([
      { moved: ROOM_FOR, left: CLIENTS, closed: CLIENTS - ROOM_FOR },
    ]);
    await poll(() => clients.map(({ isClosed }) => isClosed)).toEqual(
      clients.map((_, index) => index >= ROOM_FOR),
    );
    for (const client of clients.slice(0, ROOM_FOR)) client.write(textFrame('?'));
    await poll(() => clients.map(textsOf)).toEqual([['target ?'], ['target ?'], [], [], []]);
    expect(await rig.target.count('moves_closed')).toBe(CLIENTS - ROOM_FOR);
  });
});

describe('a row that arrives', () => {
  it('keeps no memory of the others with bytes in its attachment', async () => {
    await start({}, {}, { upgrade: () => accept({ attachment: { key: Buffer.from('some bytes') } }) });
    await open(CLIENTS);
    rig.begin();
    await rig.ended();
    expect(moved).toHaveLength(CLIENTS);
    for (const connection of moved) {
      expect(connection.attachment).toEqual({ key: Buffer.from('some bytes') });
      expect(memoryOf(connection)).toBeLessThan(100);
    }
  });

  it('keeps nothing else of what the application did while it was on its way', async () => {
    await start();
    await open(1);
    rig.begin();
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    const [connection] = opened;
    if (connection === undefined) expect.unreachable();
    connection.send('x'.repeat(10_000));
    connection.attachment = { key: Buffer.from('some bytes') };
    rig.fromTarget.go();
    await rig.ended();
    await poll(() => moved[0]?.attachment).toEqual({ key: Buffer.from('some bytes') });
    expect(memoryOf(moved[0])).toBeLessThan(100);
  });

  it('lives as long as its token, however long the batch waited for its mark', async () => {
    const expiresAt = Math.floor(Date.now() / 1000) + 3600;
    await start({}, {}, { upgrade: () => accept({ expiresAt }) });
    await open(1);
    const letItCome = rig.delayMark('source');
    rig.begin();
    await rig.heard('target', 'held');
    const heardAt = performance.now();
    await eventually(() => performance.now() - heardAt > 700, { what: 'some ticks have passed' });
    letItCome();
    await rig.ended();
    // A tick of each clock.
    expect(moved[0]?.expiresAt).toBeGreaterThan(expiresAt - 0.3);
  });

  it('is disconnected with the others, whatever was published meanwhile', async () => {
    await start({}, { beyondLimits: { maxMoveHeldBytes: 1200 } });
    const [client] = await open(1, '/?channel=news');
    rig.begin();
    rig.fromSource.holdAt('batch');
    await rig.heard('source', 'batch');
    for (let count = 0; count < 3; count++) rig.source.publish('news', 'flood');
    rig.source.control({ type: 'disconnect', channel: 'news', code: 4500 });
    await rig.target.counts('control_messages', 1);
    rig.fromSource.go();
    await rig.ended();
    await poll(() => readFrames(client?.unread ?? Buffer.alloc(0)).at(-1)?.first).toBe(0x88);
  });

  it('is sent nothing behind the close frame that was sent it meanwhile', async () => {
    await start();
    const [client] = await open(1, '/?channel=news');
    rig.begin();
    rig.fromTarget.holdAt('taken');
    await rig.heard('target', 'taken');
    expect(opened[0]?.send('late')).toBe(true);
    opened[0]?.close(4001);
    rig.source.control({ type: 'disconnect', channel: 'news', code: 4500 });
    await rig.target.counts('control_messages', 1);
    rig.fromTarget.go();
    await rig.ended();
    client?.write(clientFrame(0x88, Buffer.from([0x11, 0x94])));
    await poll(() => client?.isClosed).toBe(true);
    expect(readFrames(client?.unread ?? Buffer.alloc(0)).map(({ first }) => first)).toEqual([0x88]);
  });
});
