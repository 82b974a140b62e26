/** Answers of the HTTP API that are no results. docs/reference/pusher.md lists every row. */
export const REQUEST_ERRORS = {
  badRequest: { status: 400, text: 'The request is wrong' },
  wrongKey: { status: 401, text: 'The auth_key is not that of this app.' },
  wrongVersion: { status: 401, text: 'The auth_version must be 1.0.' },
  wrongTimestamp: {
    status: 401,
    text: 'The auth_timestamp is more than 600 s from the clock of the server.',
  },
  wrongSignature: { status: 401, text: 'The auth_signature is wrong.' },
  wrongDigest: { status: 401, text: 'The body_md5 is not that of the body.' },
  disabledApp: { status: 403, text: 'The app is disabled.' },
  unknownApp: { status: 404, text: 'There is no app with this id.' },
  notFound: { status: 404, text: 'There is nothing at this path.' },
  methodNotAllowed: { status: 405, text: 'The path takes another method.' },
  tooLarge: { status: 413, text: 'The request is too large' },
  internal: { status: 500, text: 'The server failed.' },
  unavailable: { status: 503, text: 'The request was not confirmed: try again' },
} as const;

export type RequestErrorName = keyof typeof REQUEST_ERRORS;

/** An answer that is not a result. */
export class RequestError extends Error {
  readonly error: RequestErrorName;

  /** `detail` says what exactly was wrong, for the reader of the answer. */
  constructor(error: RequestErrorName, detail?: string) {
    const { text } = REQUEST_ERRORS[error];
    super(detail === undefined ? text : `${text}: ${detail}.`);
    this.name = 'RequestError';
    this.error = error;
  }

  get status(): number {
    return REQUEST_ERRORS[this.error].status;
  }
}

/** What a call of the engine rejects with when the publication was not confirmed, or is not known to be. */
const UNAVAILABLE =
  /^(?:BROKER_(?:UNAVAILABLE|OVERLOADED|REFUSED|OUTCOME_UNKNOWN)|FARM_ERR_(?:STOPPED|QUERY))$/;

/** The answer for what a call of the engine rejected with; undefined for an unforeseen error. */
export function requestErrorOf(error: unknown): RequestError | undefined {
  if (error instanceof RequestError) return error;
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return UNAVAILABLE.test(error.code) ? new RequestError('unavailable', error.code) : undefined;
}
