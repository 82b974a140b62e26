import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { AppHost } from '../app/app-host.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Connections } from '../connections.ts';
import { RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { Rows } from '../rows/rows.ts';
import type { Http } from '../states/http.ts';
import { Returns } from './returns.ts';

export interface DrainParts {
  readonly config: Pick<FarmConfig, 'stopTimeoutMs'>;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly rows: Rows;
  readonly inboundBuffer: Pick<InboundBuffer, 'length'>;
  readonly http: Pick<Http, 'endIdle'>;
  readonly connections: Pick<Connections, 'close' | 'closeOwn'>;
  readonly apps: Pick<AppHost, 'returnAtOnceOf'>;
}

const STEP_MS = 50;
const REASON = 'the server is shutting down';
const RETIRED = 'this part of the server is being replaced';

/** A worker that ends, and all its connections with it. */
interface End {
  readonly drainMs: number;
  /** How many do the same at this time, or may. */
  readonly workers: number;
}

/**
 * Closes every connection with 1001, or a few with the code by which they come back at once, spread evenly over `drainMs` however
 * few they are, so that clients do not all reconnect at once; then waits until all have ended, at most `stopTimeoutMs`. Resolves to
 * the number of connections that were closed.
 */
export async function drainConnections(parts: DrainParts, end: End): Promise<number> {
  return closeAll(parts, end, CloseCode.goingAway, REASON, parts.config.stopTimeoutMs);
}

/**
 * As {@link drainConnections}, for a worker that another has replaced and that could not give away everything: with 1012, and whatever
 * is left after `retireMs` is for the end of the worker.
 */
export async function retireConnections(
  parts: DrainParts,
  { drainMs, retireMs, workers }: End & { readonly retireMs: number },
): Promise<number> {
  const end = { drainMs: Math.min(drainMs, retireMs), workers };
  return closeAll(parts, end, CloseCode.serviceRestart, RETIRED, retireMs);
}

async function closeAll(
  parts: DrainParts,
  { drainMs, workers }: End,
  code: number,
  reason: string,
  waitMs: number,
): Promise<number> {
  const { table, connections, counters, http } = parts;
  const steps = Math.max(1, Math.ceil(drainMs / STEP_MS));
  const startedAt = performance.now();
  const returns = new Returns(parts.apps, workers, () => performance.now());
  let closed = 0;
  let slot = 0;
  const close = (open: number): void => {
    const atOnce = returns.take(open);
    const isClosed =
      atOnce === undefined
        ? connections.closeOwn(open, code, reason)
        : connections.close(open, atOnce.code, atOnce.reason ?? reason);
    if (!isClosed) return;
    closed++;
    if (atOnce !== undefined) counters.add('closed_to_return_at_once');
  };
  const all = countOpen(table, slot);
  for (let left = all, step = 0; left > 0 && step < steps;) {
    if (step > 0) {
      await delay(STEP_MS);
      // Clients that left by themselves do not hurry the others.
      left = countOpen(table, slot);
    }
    // By the clock: a step that comes late closes what others should have.
    step = Math.min(steps, Math.floor((performance.now() - startedAt) / STEP_MS) + 1);
    const staying = Math.floor((all * (steps - step)) / steps);
    for (; left > staying && slot < table.highWater; slot++) {
      if (!isOpen(table, slot)) continue;
      left--;
      close(slot);
    }
  }
  endSilent(parts);
  http.endIdle();
  const deadline = performance.now() + waitMs;
  while (table.used > 0 && performance.now() < deadline) {
    await delay(STEP_MS);
    // Who was on the way to another worker has come there, or is back here, behind the sweep.
    for (let late = 0; late < table.highWater; late++) {
      if (isOpen(table, late) && table.isOpen(late)) close(late);
    }
    endSilent(parts);
  }
  return closed;
}

/** Connections from `slot` on. */
function countOpen(table: ConnectionTable, from: number): number {
  let count = 0;
  for (let slot = from; slot < table.highWater; slot++) if (isOpen(table, slot)) count++;
  return count;
}

function isOpen(table: ConnectionTable, slot: number): boolean {
  const state = table.state(slot);
  return state === RowState.open || state === RowState.awake;
}

/** Sockets that have not said anything, as browsers open them in advance, have nothing to lose. */
function endSilent({ table, inboundBuffer, rows }: DrainParts): void {
  for (let slot = 0; slot < table.highWater; slot++) {
    const state = table.state(slot);
    const isSilent =
      (state === RowState.handshake || state === RowState.preface) && inboundBuffer.length(slot) === 0;
    if (!isSilent && state !== RowState.securing) continue;
    rows.end(slot, CloseCode.goingAway, '');
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
