import { RowState } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';
import { CloseCode } from '../../api/close-codes.ts';

const STEP_MS = 50;

/**
 * Closes every connection with 1001, spread evenly over `drainMs` however few they are, so that clients do not all come
 * back at once; then waits until all have ended, at most `stopTimeoutMs`. Resolves to the number of connections that were
 * closed.
 */
export async function drainConnections(core: Core, drainMs: number): Promise<number> {
  const { table, lifecycle, config, http } = core;
  const steps = Math.max(1, Math.ceil(drainMs / STEP_MS));
  const startedAt = performance.now();
  let closed = 0;
  let slot = 0;
  const all = countOpen(core, slot);
  for (let left = all, step = 0; left > 0 && step < steps;) {
    if (step > 0) {
      await delay(STEP_MS);
      // Clients that left by themselves do not hurry the others.
      left = countOpen(core, slot);
    }
    // By the clock: a step that comes late closes what others should have.
    step = Math.min(steps, Math.floor((performance.now() - startedAt) / STEP_MS) + 1);
    const staying = Math.floor((all * (steps - step)) / steps);
    for (; left > staying && slot < table.highWater; slot++) {
      if (!isOpen(core, slot)) continue;
      left--;
      if (lifecycle.close(slot, CloseCode.goingAway, 'the server is shutting down')) closed++;
    }
  }
  endSilent(core);
  http.endIdle();
  const deadline = performance.now() + config.stopTimeoutMs;
  while (table.used > 0 && performance.now() < deadline) await delay(STEP_MS);
  return closed;
}

/** Connections from `slot` on. */
function countOpen(core: Core, from: number): number {
  let count = 0;
  for (let slot = from; slot < core.table.highWater; slot++) if (isOpen(core, slot)) count++;
  return count;
}

function isOpen({ table }: Core, slot: number): boolean {
  const state = table.state(slot);
  return state === RowState.open || state === RowState.awake;
}

/** Sockets that have not said anything, as browsers open them in advance, have nothing to lose. */
function endSilent({ table, inboundBuffer, lifecycle }: Core): void {
  for (let slot = 0; slot < table.highWater; slot++) {
    const state = table.state(slot);
    const isSilent =
      (state === RowState.handshake || state === RowState.preface) && inboundBuffer.length(slot) === 0;
    if (!isSilent && state !== RowState.securing) continue;
    lifecycle.finish(slot, CloseCode.goingAway, '');
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
