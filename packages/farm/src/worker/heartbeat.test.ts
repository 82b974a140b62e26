import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../app.ts';
import { clientFrame, WorkerHarness, type HarnessOptions } from './worker-harness.contract.ts';

const closes: unknown[] = [];
const APP: App = {
  upgrade: () => accept(),
  close: (_connection, code) => void closes.push(code),
};

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  closes.length = 0;
});

async function start(options: HarnessOptions): Promise<void> {
  harness = await WorkerHarness.start(APP, options);
}

describe.concurrent('the heartbeat', () => {
  it('pings who was silent for heartbeatMs, and ends who stays silent for heartbeatTimeoutMs more', async () => {
    await start({ heartbeatMs: 1000, heartbeatTimeoutMs: 1000 });
    const silent = await harness.open();
    const awake = await harness.open();
    awake.write(clientFrame(0x01, 'frag'));
    const answering = await harness.client();
    const talking = await harness.open();
    const talk = setInterval(() => talking.write(clientFrame(0x8a, '')), 200);
    expect((await silent.read(2)).toString('hex')).toBe('8900');
    expect((await awake.read(2)).toString('hex')).toBe('8900');
    await Promise.all([silent.closed, awake.closed]);
    expect(closes).toEqual([1006, 1006]);
    expect(silent.unread).toHaveLength(0);
    expect(await harness.count('closed_heartbeat')).toBe(2);
    expect(await harness.count('pings_sent')).toBeGreaterThanOrEqual(3);
    clearInterval(talk);
    expect(answering.isClosed).toBe(false);
    expect(talking.isClosed).toBe(false);
    expect(talking.unread).toHaveLength(0);
    await Promise.all([answering.close(), talking.close()]);
  });
});
