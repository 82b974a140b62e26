import { createHmac } from 'node:crypto';

/** What an app signs with. */
export interface Signer {
  readonly key: string;
  readonly secret: string;
}

export interface SignedRequest {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * A request that tells of events, each given as JSON text. The signature is HMAC-SHA256 of the bytes of the body, in hex.
 * `Content-Type` is exactly `application/json`: the SDK for Node.js compares it as a whole.
 */
export function signedRequest(
  { key, secret }: Signer,
  events: readonly string[],
  timeMs: number,
): SignedRequest {
  const body = Buffer.from(`{"time_ms":${timeMs},"events":[${events.join(',')}]}`);
  return {
    body,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': String(body.length),
      'X-Pusher-Key': key,
      'X-Pusher-Signature': createHmac('sha256', secret).update(body).digest('hex'),
    },
  };
}
