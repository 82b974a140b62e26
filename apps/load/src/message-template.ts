import { InvalidArgumentError } from 'commander';
import { startsWith } from './clients/starts-with.ts';

const PLACEHOLDER = '{data}';
/** Messages that are wrapped into nothing. */
export const PLAIN_TEMPLATE = PLACEHOLDER;

/** A text with `{data}` in it exactly once. Throws commander's InvalidArgumentError for others. */
export function parseMessageTemplate(text: string): string {
  if (text.split(PLACEHOLDER).length !== 2) {
    throw new InvalidArgumentError(
      `It must contain ${PLACEHOLDER} exactly once, such as 42["message","${PLACEHOLDER}"]; got "${text}".`,
    );
  }
  return text;
}

/**
 * How the server's protocol wraps messages: what stands before and behind the data in each. `42["message","{data}"]` is
 * that of Socket.IO, for an event named `message`; `{data}` alone that of servers with no protocol of their own.
 */
export class MessageTemplate {
  readonly prefix: Buffer;
  readonly suffix: Buffer;

  /** `text` is as {@link parseMessageTemplate} leaves it. */
  constructor(text: string) {
    const at = text.indexOf(PLACEHOLDER);
    this.prefix = Buffer.from(text.slice(0, at));
    this.suffix = Buffer.from(text.slice(at + PLACEHOLDER.length));
  }

  wrap(data: Buffer): Buffer {
    return Buffer.concat([this.prefix, data, this.suffix]);
  }

  /**
   * Whether a message begins as wrapped ones do; others are the protocol's own, such as its pings. One that was not kept
   * (`length` is -1) is taken for wrapped, since protocols have no large messages of their own.
   */
  isWrapped(bytes: Buffer, start: number, length: number): boolean {
    return length < 0 || startsWith(bytes, start, length, this.prefix);
  }

  /** Whether a wrapped message ends as it must. */
  isWhole(bytes: Buffer, start: number, length: number): boolean {
    const { prefix, suffix } = this;
    return (
      length >= prefix.length + suffix.length &&
      startsWith(bytes, start + length - suffix.length, suffix.length, suffix)
    );
  }
}
