import type { JoinOutcome, JoinRequest } from '../../api/presence.ts';
import type { Opcode } from '@roost/websocket';
import type { PublishOptions } from '../../api/channel-publication.ts';

/**
 * What a {@link LiveConnection} asks of the worker, by slot. Whether the slot is still the connection's it asks first; the
 * other members take a current slot.
 */
export interface ConnectionPort {
  isCurrent(slot: number, generation: number): boolean;
  /** Whether messages may be sent to it. */
  isOpen(slot: number): boolean;
  /** See Connection.id. */
  id(slot: number): string;
  remoteAddress(slot: number): string;
  attachment(slot: number): unknown;
  /** `attachment` as checkAttachment lets it pass. */
  setAttachment(slot: number, attachment: unknown): void;
  expiresAt(slot: number): number | undefined;
  /** `expiresAt` as checkExpiresAt lets it pass. */
  setExpiresAt(slot: number, expiresAt: number | undefined): void;
  /** Lent, see Connection.session. */
  session(slot: number): Uint8Array | undefined;
  /** `session` as checkSession lets it pass. */
  setSession(slot: number, session: Uint8Array | undefined): void;
  user(slot: number): string | undefined;
  /** `user` as checkUser lets it pass. */
  setUser(slot: number, user: string | undefined): void;
  bufferedBytes(slot: number): number;
  hasGap(slot: number): boolean;
  channels(slot: number): readonly string[];
  isSubscribed(slot: number, channel: string): boolean;
  memberOf(slot: number, channel: string): string | undefined;
  /** See WorkerContext.join. */
  join(slot: number, request: JoinRequest): Promise<JoinOutcome>;
  /** One message to an open connection. False when it was dropped. */
  send(slot: number, opcode: Opcode, data: string | Uint8Array): boolean;
  /** A whole text frame, which may be sent to others, too. */
  sendFrame(slot: number, frame: Buffer): void;
  /** Begins the closing handshake. False when the connection is not open. */
  close(slot: number, code: number, reason: string): boolean;
  /** As {@link close}, for a reason of the worker's own: with the code that the app has in its place. */
  closeOwn(slot: number, code: number, reason: string): boolean;
  /** Ends the connection without a closing handshake. */
  terminate(slot: number): void;
  /** See Connection.subscribe. */
  subscribe(slot: number, channel: string): Promise<boolean>;
  /** False when the connection was not subscribed. */
  unsubscribe(slot: number, channel: string): boolean;
  /** See Connection.publish. */
  publish(channel: string, data: string | Uint8Array, options?: PublishOptions): Promise<void>;
}
