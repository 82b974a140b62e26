/** An answer of Redis that is an error, as ioredis rejects with it. */
interface ReplyError extends Error {
  readonly name: 'ReplyError';
}

/** Whether the error is an answer of Redis, so that the connection lives and the command's outcome is known. */
export function isReplyError(error: unknown): error is ReplyError {
  return error instanceof Error && error.name === 'ReplyError';
}

/** Of a command by itself, and of one in a script. */
const DENIED = /^(?:NOPERM|ERR unknown (?:sub)?command|ERR The user executing the script can't)/i;

/** Whether Redis answered that this user may not, or that there is no such command: asking again changes nothing. */
export function isDenied(error: unknown): error is ReplyError {
  return isReplyError(error) && DENIED.test(error.message);
}

/** No memory left (maxmemory), a disk that cannot be written to, or too few replicas. */
const UNWRITABLE = /^(?:OOM|MISCONF|NOREPLICAS)\b/;

/** Whether Redis answered that it stores nothing at present, whoever asks. */
export function isUnwritable(error: unknown): error is ReplyError {
  return isReplyError(error) && UNWRITABLE.test(error.message);
}

/** Whether ioredis refused to write the command, so that Redis has not seen it. */
export function isNeverSent(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Stream isn't writeable");
}

/** The system's and TLS's codes that an operator meets, in words. The code itself is added. */
const WORDS = new Map([
  ['ECONNREFUSED', 'refused the connection'],
  ['ECONNRESET', 'broke the connection'],
  ['EPIPE', 'broke the connection'],
  ['ENOTFOUND', 'could not be found by name'],
  ['EAI_AGAIN', 'could not be found by name'],
  ['ENOENT', 'has no such socket'],
  ['EACCES', 'may not be connected to'],
  ['EHOSTUNREACH', 'cannot be reached'],
  ['ENETUNREACH', 'cannot be reached'],
  ['ETIMEDOUT', 'did not answer'],
]);

/**
 * What Redis did, in one sentence: `Redis at redis://host:6379 refused the connection (ECONNREFUSED).`
 *
 * Made of codes and of Redis' own words only: a reply error of ioredis holds the command with its arguments,
 * and for AUTH that is the password.
 */
export function explainFailure(shownUrl: string, error: unknown): string {
  return explain(`Redis at ${shownUrl}`, error);
}

/** As {@link explainFailure}, for another server. */
export function explain(subject: string, error: unknown): string {
  if (!(error instanceof Error)) return `${subject} closed the connection.`;
  if (isReplyError(error)) {
    const isAboutCredentials = /^(?:WRONGPASS|NOAUTH|ERR AUTH|ERR invalid password)/.test(error.message);
    return `${subject} ${isAboutCredentials ? 'refused the credentials' : 'answered with an error'} (${answerOf(error)}).`;
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === undefined) return `${subject} is away (${oneLine(error.message)}).`;
  return `${subject} ${WORDS.get(code) ?? 'could not be reached'} (${code}).`;
}

/** What Redis said, in one line. Where it repeats the arguments that it was given, without them: of AUTH it is the password. */
export function answerOf(error: Error): string {
  return oneLine(error.message.replace(/,? with args beginning with.*$/is, ''));
}

function oneLine(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .replace(/[. ]+$/, '')
    .slice(0, 200);
}
