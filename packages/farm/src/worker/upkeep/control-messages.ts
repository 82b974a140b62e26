import { isValidCloseCode } from '@roost/websocket';
import { channelNameProblem } from '../../options/channel-name.ts';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Connections } from '../connections.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import type { ConnectionTable } from '../rows/connection-table.ts';

/** Connections closed before other events are handled. */
const CLOSES_PER_TICK = 256;

/** `{"type":"disconnect","channel":"news","code":4500,"reason":"…"}`: closes every subscriber of the channel. */
interface DisconnectMessage {
  readonly type: 'disconnect';
  readonly channel: string;
  readonly code: number;
  readonly reason: string;
}

export interface ControlMessagesParts {
  readonly config: Pick<FarmConfig, 'maxChannelBytes'>;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly log: Log;
  readonly subscriptions: Pick<Subscriptions, 'subscribersOf'>;
  readonly connections: Pick<Connections, 'close'>;
}

/**
 * What arrives on `roost:control`. Every worker of every farm on that Redis receives it. Malformed messages are
 * logged, counted and ignored: anybody who may PUBLISH can send them.
 */
export class ControlMessages {
  readonly #parts: ControlMessagesParts;

  constructor(parts: ControlMessagesParts) {
    this.#parts = parts;
  }

  receive(bytes: Buffer): void {
    const { counters, log, config } = this.#parts;
    const message = parse(bytes, config.maxChannelBytes);
    if (typeof message === 'string') {
      counters.add('control_malformed');
      log.warn({ problem: message, bytes: bytes.length }, 'control message ignored');
      return;
    }
    counters.add('control_messages');
    this.#disconnect(message);
  }

  #disconnect({ channel, code, reason }: DisconnectMessage): void {
    const { subscriptions, table, connections, log } = this.#parts;
    const slots = subscriptions.subscribersOf(channel);
    if (slots.length === 0) return;
    // The slots may have other owners in a later tick.
    const generations = slots.map((slot) => table.generation(slot));
    log.info({ channel, connections: slots.length, code }, 'disconnecting a channel');
    const closeFrom = (first: number): void => {
      const end = Math.min(first + CLOSES_PER_TICK, slots.length);
      for (let index = first; index < end; index++) {
        const slot = slots[index] ?? -1;
        if (table.isCurrent(slot, generations[index] ?? 0)) connections.close(slot, code, reason);
      }
      if (end < slots.length) setImmediate(() => closeFrom(end));
    };
    closeFrom(0);
  }
}

/** The message, or what is wrong with it. */
function parse(bytes: Buffer, maxChannelBytes: number): DisconnectMessage | string {
  let message: unknown;
  try {
    message = JSON.parse(bytes.toString());
  } catch {
    return 'it is not JSON';
  }
  if (typeof message !== 'object' || message === null) return 'it is not an object';
  const {
    type,
    channel,
    code = CloseCode.disconnected,
    reason = '',
  }: Record<string, unknown> = { ...message };
  if (type !== 'disconnect') return 'its type must be "disconnect"';
  if (typeof channel !== 'string') return 'its channel must be a string';
  const problem = channelNameProblem(channel, maxChannelBytes);
  if (problem !== undefined) return problem;
  if (typeof code !== 'number' || !isValidCloseCode(code)) {
    return 'its code must be 1000 to 1003, 1007 to 1014 or 3000 to 4999';
  }
  if (typeof reason !== 'string' || Buffer.byteLength(reason) > 123) {
    return 'its reason must be a string of at most 123 bytes';
  }
  return { type, channel, code, reason };
}
