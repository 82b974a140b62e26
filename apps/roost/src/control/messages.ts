import type { ChangeReport, ChangeStatus } from '@roost/farm';
import { z } from 'zod';

/** What a command asks of a running farm: one line of JSON. */
export const commandSchema = z.discriminatedUnion('command', [
  z.strictObject({ command: z.enum(['reload', 'continue', 'rollback', 'rebalance']) }),
  z.strictObject({ command: z.literal('status') }),
  /** `share`: of all connections. */
  z.strictObject({ command: z.literal('canary'), share: z.number().gt(0).max(0.5) }),
  z.strictObject({ command: z.literal('workers'), workers: z.int().min(1).max(1024) }),
]);

export type ControlCommand = z.infer<typeof commandSchema>;

/** A command that changes the farm. */
export type ChangeCommand = Exclude<ControlCommand, { command: 'status' }>;

/**
 * What the farm answers, a line of JSON each: how far it has come, several times a second, and then one of the others. `refused`:
 * nothing was done. `stopped`: it ended before its end. `lost`: it came to its end, but connections died with a worker.
 */
export type ControlAnswer =
  | { readonly progress: ChangeReport }
  | { readonly done: ChangeReport }
  | { readonly stopped: ChangeReport; readonly reason: string }
  | { readonly lost: ChangeReport; readonly reason: string }
  | { readonly refused: string; readonly code: string }
  | { readonly status: ChangeStatus };

/** Longer ones are refused: no command is. */
export const MAX_LINE_BYTES = 4096;
