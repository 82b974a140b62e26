/**
 * Errors of the HTTP API: number in the body, HTTP status, and text. 100 to 107 mean what they mean in Centrifugo's
 * server API; from 1000 on they are Roost's own. docs/reference/errors.md lists them.
 */
export const API_ERRORS = {
  internal: { code: 100, status: 500, text: 'internal server error' },
  unauthorized: { code: 101, status: 401, text: 'unauthorized' },
  methodNotFound: { code: 104, status: 404, text: 'method not found' },
  limitExceeded: { code: 106, status: 413, text: 'limit exceeded' },
  badRequest: { code: 107, status: 400, text: 'bad request' },
  methodNotAllowed: { code: 107, status: 405, text: 'bad request' },
  brokerUnavailable: { code: 1000, status: 503, text: 'broker unavailable' },
  outcomeUnknown: { code: 1001, status: 504, text: 'outcome unknown' },
  brokerOverloaded: { code: 1002, status: 503, text: 'broker overloaded' },
  brokerRefused: { code: 1003, status: 502, text: 'broker refused' },
  stopping: { code: 1004, status: 503, text: 'farm is stopping' },
  noAnswer: { code: 1005, status: 503, text: 'no answer from the farm' },
  unsupportedEncoding: { code: 1006, status: 415, text: 'unsupported encoding' },
  partial: { code: 1007, status: 503, text: 'partial answer' },
} as const;

export type ApiErrorName = keyof typeof API_ERRORS;

/** Which error a code of the engine becomes. */
const BY_ENGINE_CODE: Readonly<Record<string, ApiErrorName>> = {
  BROKER_UNAVAILABLE: 'brokerUnavailable',
  BROKER_OUTCOME_UNKNOWN: 'outcomeUnknown',
  BROKER_OVERLOADED: 'brokerOverloaded',
  BROKER_REFUSED: 'brokerRefused',
  BROKER_INVALID_CHANNEL: 'badRequest',
  FARM_ERR_CHANNEL_NAME: 'badRequest',
  FARM_ERR_STOPPED: 'stopping',
  FARM_ERR_QUERY: 'noAnswer',
};

/** An answer that is not a result. */
export class ApiError extends Error {
  readonly error: ApiErrorName;

  /** `detail` says what exactly was wrong, for the reader of the answer. */
  constructor(error: ApiErrorName, detail?: string) {
    const { text } = API_ERRORS[error];
    super(detail === undefined ? text : `${text}: ${detail}`);
    this.name = 'ApiError';
    this.error = error;
  }

  get status(): number {
    return API_ERRORS[this.error].status;
  }

  get body(): ErrorBody {
    return { error: { code: API_ERRORS[this.error].code, message: this.message } };
  }
}

export interface ErrorBody {
  readonly error: { readonly code: number; readonly message: string };
}

/** The answer for what a call of the engine rejected with; undefined for an unforeseen error. */
export function apiErrorOf(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const name = BY_ENGINE_CODE[error.code];
  return name === undefined ? undefined : new ApiError(name, error.message);
}
