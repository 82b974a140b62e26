import { RowState } from './connection-table.ts';
import type { Core } from './core.ts';
import { CloseCode } from '../close-codes.ts';

const STEP_MS = 50;

/**
 * Closes every connection with 1001, spread evenly over `drainMs`, so that clients do not all come back at once; then
 * waits until all have ended, at most `stopTimeoutMs`. Resolves to the number of connections that were closed.
 */
export async function drainConnections(core: Core, drainMs: number): Promise<number> {
  const { table, lifecycle, config, http } = core;
  const steps = Math.max(1, Math.ceil(drainMs / STEP_MS));
  const perStep = Math.ceil(table.highWater / steps);
  let closed = 0;
  let slot = 0;
  const closeNext = (): void => {
    const end = Math.min(slot + perStep, table.highWater);
    for (; slot < end; slot++) {
      const state = table.state(slot);
      if (state !== RowState.open && state !== RowState.awake) continue;
      if (lifecycle.close(slot, CloseCode.goingAway, 'the server is shutting down')) closed++;
    }
  };
  closeNext();
  while (slot < table.highWater) {
    await delay(STEP_MS);
    closeNext();
  }
  endSilent(core);
  http.endIdle();
  const deadline = performance.now() + config.stopTimeoutMs;
  while (table.used > 0 && performance.now() < deadline) await delay(STEP_MS);
  return closed;
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
