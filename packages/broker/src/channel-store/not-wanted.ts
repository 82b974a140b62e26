import { BrokerError } from '../errors.ts';

/** For a step that had to wait, and is not to be taken any more. */
export function notWanted(): BrokerError {
  return new BrokerError(
    'BROKER_UNAVAILABLE',
    'A step of a channel was not sent: by the time it could be, it was not wanted any more.',
  );
}
