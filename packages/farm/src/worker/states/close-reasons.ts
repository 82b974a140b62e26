import { CloseCode } from '../../api/close-codes.ts';
import type { CounterName } from '../../api/counters.ts';

/** Why the worker itself closes a connection. */
export interface CloseReason {
  readonly code: number;
  readonly reason: string;
  readonly counter: CounterName;
}

export const CLOSE_REASONS = {
  noMemory: {
    code: CloseCode.tryAgainLater,
    reason: 'the server is short of memory for messages',
    counter: 'refused_inbound_bytes',
  },
  tooManyAwake: {
    code: CloseCode.tryAgainLater,
    reason: 'too many connections are in long messages',
    counter: 'wakes_refused',
  },
  messageTimeout: {
    code: CloseCode.messageTimeout,
    reason: 'the message did not arrive in time',
    counter: 'closed_message_timeout',
  },
} as const satisfies Record<string, CloseReason>;

/** A message or control frame more than `messageRate` allows. */
export function tooManyMessages(messageRate: number): CloseReason {
  return {
    code: CloseCode.messageRate,
    reason: `more than ${messageRate} messages a second`,
    counter: 'closed_message_rate',
  };
}
