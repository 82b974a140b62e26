/** Whether the error is an answer of Redis, so that the connection lives and the command's outcome is known. */
export function isReplyError(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
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
  const subject = `Redis at ${shownUrl}`;
  if (!(error instanceof Error)) return `${subject} closed the connection.`;
  if (isReplyError(error)) {
    const isAboutCredentials = /^(?:WRONGPASS|NOAUTH|ERR AUTH|ERR invalid password)/.test(error.message);
    return `${subject} ${isAboutCredentials ? 'refused the credentials' : 'answered with an error'} (${oneLine(error.message)}).`;
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === undefined) return `${subject} is away (${oneLine(error.message)}).`;
  return `${subject} ${WORDS.get(code) ?? 'could not be reached'} (${code}).`;
}

function oneLine(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .replace(/[. ]+$/, '')
    .slice(0, 200);
}
