import { CloseCode } from '../../api/close-codes.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Connections } from '../connections.ts';
import { RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { Rows } from '../rows/rows.ts';
import type { Http } from '../states/http.ts';

export interface DrainParts {
  readonly config: Pick<FarmConfig, 'stopTimeoutMs'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly inboundBuffer: Pick<InboundBuffer, 'length'>;
  readonly http: Pick<Http, 'endIdle'>;
  readonly connections: Pick<Connections, 'close'>;
}

const STEP_MS = 50;

/**
 * Closes every connection with 1001, spread evenly over `drainMs` however few they are, so that clients do not all
 * reconnect at once; then waits until all have ended, at most `stopTimeoutMs`. Resolves to the number of connections that were
 * closed.
 */
export async function drainConnections(parts: DrainParts, drainMs: number): Promise<number> {
  const { table, connections, config, http } = parts;
  const steps = Math.max(1, Math.ceil(drainMs / STEP_MS));
  const startedAt = performance.now();
  let closed = 0;
  let slot = 0;
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
      if (connections.close(slot, CloseCode.goingAway, 'the server is shutting down')) closed++;
    }
  }
  endSilent(parts);
  http.endIdle();
  const deadline = performance.now() + config.stopTimeoutMs;
  while (table.used > 0 && performance.now() < deadline) await delay(STEP_MS);
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
