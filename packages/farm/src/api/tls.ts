/** A version of TLS, as node:tls names it. */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** Certificate and private key of the port, as PEM. */
export interface TlsOptions {
  /** The server's certificate first, then those that lead from it to a root that clients know. */
  readonly cert: string | Uint8Array;
  /** Not encrypted. Goes to the workers over their control channels, and nowhere else. */
  readonly key: string | Uint8Array;
  /** The oldest version that clients may speak. Default `TLSv1.2`. */
  readonly minVersion?: TlsVersion;
}
