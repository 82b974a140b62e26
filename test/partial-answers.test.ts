import { eventually, type FarmProcess } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { expectDescribed } from '../apps/roost/src/fixtures/openapi.ts';
import {
  API_KEY,
  connectMany,
  connectRaw,
  endAfterTest,
  startFarm,
  type ApiAnswer,
} from './harness/system.ts';

/** A worker that does not run is to be noticed, not to be killed. */
const PATIENT = ['--hand-off-timeout-ms', '600000', '--worker-timeout-ms', '600000'];
const NEWS = 8;

/** An answer of the HTTP API, from a worker that runs: who comes to another gets none, and asks again. */
async function ask(farm: FarmProcess, method: string): Promise<{ status: number; body: ApiAnswer }> {
  return eventually(async () => {
    const response = await fetch(`http://127.0.0.1:${farm.port}/api/${method}`, {
      method: 'POST',
      headers: { 'X-API-Key': API_KEY, Connection: 'close' },
      body: '{}',
      signal: AbortSignal.timeout(6000),
    });
    await expectDescribed('POST', `/api/${method}`, response);
    const body: ApiAnswer = JSON.parse(await response.text());
    return { status: response.status, body };
  });
}

/** Stops a process until the test ends, or until what it answers is called. */
function stop(pid: number): () => void {
  process.kill(pid, 'SIGSTOP');
  const goOn = (): void => void process.kill(pid, 'SIGCONT');
  endAfterTest(async () => goOn());
  return goOn;
}

/** Two workers with half of the subscribers of `news` each, the second of which is stopped. */
async function startWithStoppedWorker(): Promise<{ farm: FarmProcess; goOn: () => void }> {
  const farm = await startFarm(PATIENT);
  await connectMany(farm, '/news?channel=news', NEWS);
  expect((await ask(farm, 'channels')).body.result).toEqual({
    channels: { news: { num_clients: NEWS } },
    scope: 'farm',
    partial: false,
    unanswered_workers: [],
  });
  // So that what it reports last has them.
  expect((await ask(farm, 'info')).body.result?.nodes).toMatchObject([{ num_subs: NEWS, partial: false }]);
  const goOn = stop(farm.workers[1]?.pid ?? 0);
  return { farm, goOn };
}

describe('while a worker does not run', () => {
  it('/api/channels is 503, names it, and tells what the others have', async () => {
    const { farm, goOn } = await startWithStoppedWorker();
    expect(await ask(farm, 'channels')).toEqual({
      status: 503,
      body: {
        error: {
          code: 1007,
          message:
            'partial answer: worker 1 did not answer within a second, and what it has is missing from the result',
        },
        result: {
          channels: { news: { num_clients: NEWS / 2 } },
          scope: 'farm',
          partial: true,
          unanswered_workers: [1],
        },
      },
    });
    goOn();
    await eventually(async () => {
      expect(await ask(farm, 'channels')).toMatchObject({
        status: 200,
        body: { result: { channels: { news: { num_clients: NEWS } }, partial: false } },
      });
    });
  });

  it('/api/info is 200, names it, and has what it reported last', async () => {
    const { farm } = await startWithStoppedWorker();
    const { status, body } = await ask(farm, 'info');
    expect(status).toBe(200);
    expect(body.result?.nodes).toMatchObject([
      { num_subs: NEWS, scope: 'farm', partial: true, unanswered_workers: [1], workers: [{}, { worker: 1 }] },
    ]);
  });

  it('questions beyond what may wait are refused with 1005, and the others are answered', async () => {
    const farm = await startFarm(PATIENT);
    const client = await connectRaw(farm.port);
    client.writeText('GET /log HTTP/1.1\r\nHost: roost.test\r\n\r\n');
    await eventually(() => /\r\n\r\n\d+$/.test(client.received.toString()));
    const pid = /\d+$/.exec(client.received.toString())?.[0];
    stop(farm.workers.find((worker) => String(worker.pid) !== pid)?.pid ?? 0);
    // A thousand may wait in one worker, for a second each. They come together, on a connection that it has.
    const question = `POST /api/channels HTTP/1.1\r\nHost: roost.test\r\nX-API-Key: ${API_KEY}\r\nContent-Length: 2\r\n\r\n{}`;
    client.writeText(question.repeat(1200));
    const codes = (): string[] => client.received.toString().match(/"code":\d+/g) ?? [];
    await eventually(() => codes().length === 1200, { deadlineMs: 30_000 });
    expect(codes().filter((code) => code === '"code":1007').length).toBeGreaterThanOrEqual(1000);
    expect(new Set(codes())).toEqual(new Set(['"code":1005', '"code":1007']));
  });
});
