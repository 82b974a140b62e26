import { native } from './native.ts';

/**
 * Answers requests for the stack of this thread's JavaScript, also while it is blocked: each record that arrives on
 * `channel` (one end of {@link descriptorPair}, which must not be closed from here on) asks for one, and the answer is a record
 * that begins with `Error` and has a line for each frame, at most 16 KB. Requests that come before the answer to another share that
 * one. There is none while no JavaScript runs: in the event loop, in a system call, in native code such as JSON.parse. Ends when the
 * other end is closed, and with the environment.
 *
 * 0, -ENOSYS where Node does not export what it takes, or -errno.
 */
export function answerStackRequests(channel: number): number {
  return native().answerStackRequests(channel);
}
