import { BrokerError, type Broker } from '@roost/broker';
import { isValidCloseCode } from '@roost/websocket';
import type { DisconnectOptions } from '../../api/app.ts';
import type { Counters } from '../../api/counters.ts';
import { requireUser } from '../../options/user-name.ts';

const MAX_REASON_BYTES = 123;

export interface UserCommandsParts {
  readonly counters: Counters;
  readonly broker: Pick<Broker, 'control'>;
}

/** What applications want done with a user's connections, wherever they are: control messages to every worker. */
export class UserCommands {
  readonly #counters: Counters;
  readonly #broker: Pick<Broker, 'control'>;

  constructor({ counters, broker }: UserCommandsParts) {
    this.#counters = counters;
    this.#broker = broker;
  }

  /** See WorkerContext.sendToUser. */
  send(user: string, data: string | Uint8Array): Promise<void> {
    const payload = typeof data === 'string' ? { data } : { base64: Buffer.from(data).toString('base64') };
    return this.#tell(user, { type: 'send', ...payload });
  }

  /** See WorkerContext.disconnectUser. */
  disconnect(user: string, { code, reason = '' }: DisconnectOptions = {}): Promise<void> {
    if (code !== undefined && !isValidCloseCode(code)) {
      return refused(`a close code is 1000 to 1003, 1007 to 1014 or 3000 to 4999, got ${code}`);
    }
    if (Buffer.byteLength(reason) > MAX_REASON_BYTES) {
      return refused(`a reason has at most ${MAX_REASON_BYTES} bytes, got ${Buffer.byteLength(reason)}`);
    }
    return this.#tell(user, { type: 'disconnect', code, reason });
  }

  #tell(user: string, message: object): Promise<void> {
    const told = this.#control(user, message);
    // An app that ignores the promise must not end the process with an unhandled rejection.
    told.catch(() => undefined);
    return told;
  }

  async #control(user: string, message: object): Promise<void> {
    requireUser(user);
    try {
      await this.#broker.control(Buffer.from(JSON.stringify({ ...message, user })));
    } catch (error) {
      if (error instanceof BrokerError) this.#counters.add('publish_errors');
      throw error;
    }
  }
}

function refused(problem: string): Promise<never> {
  const refusal = Promise.reject(new RangeError(problem));
  refusal.catch(() => undefined);
  return refusal;
}
