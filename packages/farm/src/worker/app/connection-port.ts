import type { Opcode } from '@roost/websocket';

/**
 * What a {@link LiveConnection} asks of the worker, by slot. Whether the slot is still the connection's it asks first; the
 * other members take a current slot.
 */
export interface ConnectionPort {
  isCurrent(slot: number, generation: number): boolean;
  /** Whether messages may be sent to it. */
  isOpen(slot: number): boolean;
  /** The number that the master gave. */
  number(slot: number): number;
  remoteAddress(slot: number): string;
  attachment(slot: number): unknown;
  /** `attachment` as checkAttachment lets it pass. */
  setAttachment(slot: number, attachment: unknown): void;
  expiresAt(slot: number): number | undefined;
  /** `expiresAt` as checkExpiresAt lets it pass. */
  setExpiresAt(slot: number, expiresAt: number | undefined): void;
  bufferedBytes(slot: number): number;
  hasGap(slot: number): boolean;
  channels(slot: number): readonly string[];
  /** One message to an open connection. False when it was dropped. */
  send(slot: number, opcode: Opcode, data: string | Uint8Array): boolean;
  /** Begins the closing handshake. False when the connection is not open. */
  close(slot: number, code: number, reason: string): boolean;
  /** Ends the connection without a closing handshake. */
  terminate(slot: number): void;
  /** See Connection.subscribe. */
  subscribe(slot: number, channel: string): Promise<boolean>;
  /** False when the connection was not subscribed. */
  unsubscribe(slot: number, channel: string): boolean;
  /** See Connection.publish. */
  publish(channel: string, data: string | Uint8Array): Promise<void>;
}
