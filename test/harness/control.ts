import { connect } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { within } from '@roost/testing';
import { endAfterTest } from './system.ts';

/** How far a change is, or came. */
export interface Report {
  readonly moved: number;
  readonly left: number;
  readonly closed: number;
  readonly lost: number;
  readonly worker: number;
  readonly seconds: number;
}

/** The last answer of a farm to a command, as the control socket has it. */
export interface Answer {
  readonly done?: Report;
  readonly stopped?: Report;
  readonly lost?: Report;
  readonly reason?: string;
  readonly refused?: string;
  readonly status?: { readonly lives: readonly LifeLine[] };
}

export interface LifeLine {
  readonly worker: number;
  readonly pid: number;
  readonly state: string;
  readonly role: string;
  readonly connections: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** A path for a control socket of the running test. */
export function controlSocket(): string {
  const folder = mkdtempSync(join(tmpdir(), 'roost-control-'));
  endAfterTest(() => Promise.resolve(rmSync(folder, { recursive: true })));
  return join(folder, 'c.sock');
}

/** Has a farm do something, and answers with how that ended. `onProgress` is told how far it is. */
export function command(
  path: string,
  asked: object,
  onProgress: (report: Report) => void = () => undefined,
): Promise<Answer> {
  const answer = new Promise<Answer>((resolve, reject) => {
    const socket = connect(path);
    let rest = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const said: Answer & { readonly progress?: Report } = JSON.parse(line);
        if (said.progress !== undefined) {
          onProgress(said.progress);
          continue;
        }
        socket.destroy();
        resolve(said);
      }
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the farm hung up')));
    socket.write(`${JSON.stringify(asked)}\n`);
  });
  return within(answer, { deadlineMs: 60_000, what: `the farm has done ${JSON.stringify(asked)}` });
}

/** The processes of the workers. */
export async function lives(path: string): Promise<readonly LifeLine[]> {
  return (await command(path, { command: 'status' })).status?.lives ?? [];
}
