import { afterAll, describe, it } from 'vitest';
import { accept, type App } from '../app.ts';
import { clientFrame, WorkerHarness } from './worker-harness.contract.ts';

const harnesses: WorkerHarness[] = [];
afterAll(async () => {
  for (const harness of harnesses) await harness.stop();
});

/** A worker with the shortest heartbeat, and the close codes that its app is told. */
async function start(): Promise<{ harness: WorkerHarness; closes: number[] }> {
  const closes: number[] = [];
  const app: App = {
    upgrade: () => accept(),
    close: (_connection, code) => void closes.push(code),
  };
  const harness = await WorkerHarness.start(app, { heartbeatMs: 1000, heartbeatTimeoutMs: 1000 });
  harnesses.push(harness);
  return { harness, closes };
}

describe.concurrent('the heartbeat', () => {
  it('pings who was silent for heartbeatMs, and ends who stays silent, on a worker where nothing else happens', async ({
    expect,
  }) => {
    const { harness, closes } = await start();
    const silent = await harness.open();
    const openedAt = performance.now();
    expect((await silent.read(2)).toString('hex')).toBe('8900');
    expect(performance.now() - openedAt).toBeGreaterThan(800);
    await silent.closed;
    expect(performance.now() - openedAt).toBeGreaterThan(1800);
    expect(silent.unread).toHaveLength(0);
    expect(closes).toEqual([1006]);
    expect(await harness.count('closed_heartbeat')).toBe(1);
    expect(await harness.count('pings_sent')).toBe(1);
  });

  it('spares who answers, and does not ping who talks', async ({ expect }) => {
    const { harness, closes } = await start();
    const awake = await harness.open();
    awake.write(clientFrame(0x01, 'frag'));
    const answering = await harness.client();
    const talking = await harness.open();
    const talk = setInterval(() => talking.write(clientFrame(0x8a, '')), 200);
    expect((await awake.read(2)).toString('hex')).toBe('8900');
    await awake.closed;
    clearInterval(talk);
    expect(closes).toEqual([1006]);
    expect(talking.unread).toHaveLength(0);
    await answering.roundTrip();
    await answering.close();
    await talking.close();
  });
});
