import type { Redis } from 'ioredis';
import { notWanted } from '../../channel-store/not-wanted.ts';
import { isDenied, isReplyError, isUnwritable } from '../failure.ts';
import type { Publisher } from '../publisher.ts';
import type { Script } from './scripts/script.ts';

/** What a script under way costs besides its arguments, in bytes: ioredis keeps a Command and a promise. */
const OVERHEAD_BYTES = 1024;

/** How often it is told that Redis stores nothing, while that lasts. In ms. */
const TELL_EVERY_MS = 60_000;

export interface ScriptRunnerHandlers {
  /** Redis lets this user not run a script, or a command in one. */
  scriptOnDenied(error: Error): void;
  /** Redis stores nothing now. */
  scriptOnUnwritable(error: Error): void;
}

/** An answer of Redis, strings as bytes. */
export type Reply = null | number | Buffer | readonly Reply[];

export interface Run {
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: readonly (string | number | Buffer)[];
  /** For messages: the beginning of a sentence. */
  readonly doing: string;
  /** Asked before it is sent a second time. */
  readonly isWanted?: () => boolean;
}

/**
 * Runs scripts on the publisher connection, each at once and in one command: by its hash, and with its text where Redis does
 * not know it yet. Rejects as Broker.publish does.
 */
export class ScriptRunner {
  readonly #publisher: Publisher;
  readonly #handlers: ScriptRunnerHandlers;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(publisher: Publisher, handlers: ScriptRunnerHandlers) {
    this.#publisher = publisher;
    this.#handlers = handlers;
  }

  run(run: Run): Promise<Reply> {
    const { keys, args, doing } = run;
    let bytes = OVERHEAD_BYTES;
    for (const key of keys) bytes += key.length;
    for (const arg of args) bytes += typeof arg === 'number' ? 8 : arg.length;
    return this.#publisher.send(
      () => doing,
      bytes,
      (client) => this.#call(client, run),
    );
  }

  async #call(client: Redis, { script, keys, args, isWanted }: Run): Promise<Reply> {
    try {
      return await call(client, 'EVALSHA', script.sha, keys, args);
    } catch (error) {
      if (!isReplyError(error) || !error.message.startsWith('NOSCRIPT')) throw this.#noted(error);
    }
    // Others may have come between: what has become of it in the meantime is known here.
    if (isWanted?.() === false) throw notWanted();
    try {
      return await call(client, 'EVAL', script.lua, keys, args);
    } catch (error) {
      throw this.#noted(error);
    }
  }

  #noted(error: unknown): unknown {
    if (isDenied(error)) this.#handlers.scriptOnDenied(error);
    else if (isUnwritable(error) && performance.now() - this.#toldAt > TELL_EVERY_MS) {
      this.#toldAt = performance.now();
      this.#handlers.scriptOnUnwritable(error);
    }
    return error;
  }
}

async function call(
  client: Redis,
  command: 'EVAL' | 'EVALSHA',
  what: string,
  keys: Run['keys'],
  args: Run['args'],
): Promise<Reply> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what RESP2 has besides errors.
  return (await client.callBuffer(command, what, keys.length, ...keys, ...args)) as Reply;
}
