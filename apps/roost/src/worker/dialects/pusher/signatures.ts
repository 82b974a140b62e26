import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** An app of the dialect, as its signatures know it. */
export interface SigningKey {
  readonly key: string;
  readonly secret: string;
}

/** Lower-case hex of HMAC-SHA256: of a webhook's body as it is, or of what is signed of a request or a subscription. */
export function sign(secret: string, text: string | Uint8Array): string {
  return createHmac('sha256', secret).update(text).digest('hex');
}

/**
 * Whether `auth` lets this connection subscribe to a private or presence channel: `<key>:<hex>` of
 * `<socket id>:<channel>`, and of `:<channel data>` behind it if and only if the message has channel data, whatever the kind
 * of the channel.
 */
export function isChannelSignature(
  app: SigningKey,
  auth: string,
  facts: { readonly socketId: string; readonly channel: string; readonly channelData: string | undefined },
): boolean {
  const { socketId, channel, channelData } = facts;
  const signed = `${socketId}:${channel}${channelData === undefined ? '' : `:${channelData}`}`;
  return isSame(auth, `${app.key}:${sign(app.secret, signed)}`);
}

/** Whether `auth` lets this connection sign in as the user of `userData`: `<key>:<hex>` of `<socket id>::user::<user data>`. */
export function isUserSignature(
  app: SigningKey,
  auth: string,
  facts: { readonly socketId: string; readonly userData: string },
): boolean {
  const signed = `${facts.socketId}::user::${facts.userData}`;
  return isSame(auth, `${app.key}:${sign(app.secret, signed)}`);
}

/** Whether `md5` is that of the body in hex. It shows that the body is the one that was signed; it protects nothing by itself. */
export function isBodyDigest(md5: string, body: Uint8Array): boolean {
  return isSame(md5.toLowerCase(), createHash('md5').update(body).digest('hex'));
}

/** Whether `signature` is that of a request of the HTTP API; `text` is what {@link signedRequest} makes of it. */
export function isRequestSignature(secret: string, signature: string, text: string): boolean {
  return isSame(signature, sign(secret, text));
}

/**
 * What is signed of a request: method, path and all parameters but the signature, by their keys in lower case, in the
 * order of their bytes, with values as they are: not URL-encoded.
 */
export function signedRequest(
  method: string,
  path: string,
  parameters: Iterable<readonly [key: string, value: string]>,
): string {
  const pairs = Array.from(parameters, ([key, value]) => [key.toLowerCase(), value] as const)
    .filter(([key]) => key !== 'auth_signature')
    .toSorted(([first], [second]) => (first < second ? -1 : first > second ? 1 : 0))
    .map(([key, value]) => `${key}=${value}`);
  return `${method}\n${path}\n${pairs.join('&')}`;
}

/** In a time that tells nothing of where they differ. That the lengths differ is no secret. */
function isSame(received: string, expected: string): boolean {
  const [first, second] = [Buffer.from(received), Buffer.from(expected)];
  return first.length === second.length && timingSafeEqual(first, second);
}
