import {
  CLOSING_ERRORS,
  MESSAGE_ERRORS,
  SUBSCRIPTION_ERRORS,
} from '../../apps/roost/src/worker/dialects/pusher/errors.ts';

/** Close codes that what a client says may lead to. */
const CLOSE_CODES = new Set<number>([CLOSING_ERRORS.wrongSignin.code]);

const ERRORS = [
  ...Object.values(MESSAGE_ERRORS),
  ...Object.values(SUBSCRIPTION_ERRORS),
  CLOSING_ERRORS.wrongSignin,
];

const EVENTS = new Set([
  'pusher:pong',
  'pusher:signin_success',
  'pusher:cache_miss',
  'pusher_internal:subscription_succeeded',
  'pusher_internal:member_added',
  'pusher_internal:member_removed',
]);

/** Why a message of the server is none that the documentation has, or undefined when it is one. */
export function answerProblem(text: string): string | undefined {
  const message = parse(text);
  if (message === undefined) return 'it is not a JSON object';
  const { event, channel, data } = message;
  if (typeof event !== 'string') return 'its event is no text';
  if (channel !== undefined && typeof channel !== 'string') return 'its channel is no text';
  switch (event) {
    case 'pusher:error':
      return isKnown(data) ? undefined : 'it is an error that is not documented';
    case 'pusher:subscription_error':
      return isKnownRefusal(parse(data)) ? undefined : 'it is a refusal that is not documented';
    default:
      if (event.startsWith('client-')) return channel === undefined ? 'it has no channel' : undefined;
      return EVENTS.has(event) ? undefined : 'it is an event that is not documented';
  }
}

/** Whether the code is one of a close that a client may bring about. */
export function isKnownClose(code: number): boolean {
  return CLOSE_CODES.has(code);
}

/** The text is that of the table, with or without a detail. */
function isText(received: unknown, known: string): boolean {
  return typeof received === 'string' && (received === known || received.startsWith(`${known}: `));
}

function isKnown(data: unknown): boolean {
  if (!isObject(data)) return false;
  return ERRORS.some(({ code, message }) => data['code'] === code && isText(data['message'], message));
}

function isKnownRefusal(data: Readonly<Record<string, unknown>> | undefined): boolean {
  return Object.values(SUBSCRIPTION_ERRORS).some(
    ({ type, status, message }) =>
      data?.['type'] === type && data['status'] === status && isText(data['error'], message),
  );
}

function parse(text: unknown): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(String(text));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
