import { isValidCloseCode } from '@roost/websocket';
import { channelNameProblem } from '../../options/channel-name.ts';
import { CloseCode } from '../../api/close-codes.ts';
import type { Core } from '../core.ts';

/** Connections closed between two turns of the event loop. */
const CLOSES_PER_TURN = 256;

/** `{"type":"disconnect","channel":"news","code":4500,"reason":"…"}`: closes every subscriber of the channel. */
interface DisconnectMessage {
  readonly type: 'disconnect';
  readonly channel: string;
  readonly code: number;
  readonly reason: string;
}

/**
 * What arrives on `roost:control`. Every worker of every farm on that Redis hears it. Malformed messages are logged,
 * counted and ignored: anybody who may PUBLISH can send them.
 */
export class ControlMessages {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  receive(bytes: Buffer): void {
    const { counters, log, config } = this.#core;
    const message = parse(bytes, config.maxChannelBytes);
    if (typeof message === 'string') {
      counters.add('control_malformed');
      log.warn({ problem: message, bytes: bytes.length }, 'control message ignored');
      return;
    }
    counters.add('control_messages');
    this.#disconnect(message);
  }

  #disconnect({ channel: name, code, reason }: DisconnectMessage): void {
    const { hub, table, lifecycle, log } = this.#core;
    const channel = hub.get(name);
    if (channel === undefined) return;
    // Copies: closing changes the channel, and the slots may have other owners in a later turn.
    const slots = hub.membersOf(channel).slice(0, channel.length);
    const generations = slots.map((slot) => (slot < 0 ? 0 : table.generation(slot)));
    log.info({ channel: name, connections: slots.length, code }, 'disconnecting a channel');
    const closeFrom = (first: number): void => {
      const end = Math.min(first + CLOSES_PER_TURN, slots.length);
      for (let index = first; index < end; index++) {
        const slot = slots[index] ?? -1;
        if (slot >= 0 && table.isCurrent(slot, generations[index] ?? 0)) lifecycle.close(slot, code, reason);
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
