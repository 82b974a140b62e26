/** The meaning of a close code: its name on the errors page, and whether the client should reconnect. */
interface CloseCodeRow {
  readonly code: number;
  readonly title: string;
  /** `later`: after a pause, for the server was short of something. */
  readonly reconnect: 'yes' | 'later' | 'no';
}

/**
 * Every close code that Roost itself sends, or passes to a close hook. Those below 4000 are RFC 6455's (§7.4.1) and mean
 * what they mean everywhere; of our own, 4000–4499 ask the client to reconnect and 4500–4999 not to. Applications
 * should take their own codes from 4100–4499 and 4600–4999. docs/reference/errors.md is checked against this table.
 */
export const CLOSE_CODES = {
  normal: { code: 1000, title: 'normal closure', reconnect: 'no' },
  goingAway: { code: 1001, title: 'going away', reconnect: 'yes' },
  /** Decided by ws. */
  protocolError: { code: 1002, title: 'protocol error', reconnect: 'no' },
  /** Never on the wire: the client's close frame had no code. */
  noStatus: { code: 1005, title: 'no status', reconnect: 'no' },
  /** Never on the wire: the connection ended without a close frame. */
  abnormal: { code: 1006, title: 'abnormal closure', reconnect: 'yes' },
  /** Decided by ws. */
  invalidPayload: { code: 1007, title: 'invalid payload', reconnect: 'no' },
  /** Decided by ws: a message in too many fragments or pieces. */
  policyViolation: { code: 1008, title: 'policy violation', reconnect: 'no' },
  /** Decided by ws. */
  messageTooBig: { code: 1009, title: 'message too big', reconnect: 'no' },
  internalError: { code: 1011, title: 'internal error', reconnect: 'later' },
  serviceRestart: { code: 1012, title: 'service restart', reconnect: 'yes' },
  tryAgainLater: { code: 1013, title: 'try again later', reconnect: 'later' },
  slowConsumer: { code: 4000, title: 'slow consumer', reconnect: 'yes' },
  messageTimeout: { code: 4001, title: 'message timeout', reconnect: 'yes' },
  messageRate: { code: 4002, title: 'message rate', reconnect: 'later' },
  tokenExpired: { code: 4003, title: 'token expired', reconnect: 'yes' },
  disconnected: { code: 4500, title: 'disconnected', reconnect: 'no' },
  messageNotAccepted: { code: 4501, title: 'message not accepted', reconnect: 'no' },
} as const satisfies Readonly<Record<string, CloseCodeRow>>;

type CloseCodeName = keyof typeof CLOSE_CODES;

/** The numbers of {@link CLOSE_CODES} by name. */
export const CloseCode: { readonly [Name in CloseCodeName]: (typeof CLOSE_CODES)[Name]['code'] } =
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the entries of a constant, mapped one by one.
  Object.fromEntries(Object.entries(CLOSE_CODES).map(([name, { code }]) => [name, code])) as {
    [Name in CloseCodeName]: (typeof CLOSE_CODES)[Name]['code'];
  };
