import type { Link } from '../../link/link.ts';
import type { MasterMessage, QueryAnswer, WorkerMessage } from '../../link/messages.ts';
import { FarmError } from '../../api/errors.ts';
import type { FarmChannels, FarmInfo } from '../../api/info.ts';

const QUERY_TIMEOUT_MS = 5000;
const MAX_QUERIES = 1000;

interface PendingQuery {
  readonly resolve: (answer: QueryAnswer) => void;
  readonly reject: (error: FarmError) => void;
  readonly timer: NodeJS.Timeout;
}

/** Questions of a worker to its master, which knows the whole farm. */
export class MasterQueries {
  readonly #link: Link<MasterMessage, WorkerMessage>;
  readonly #pending = new Map<number, PendingQuery>();
  #lastId = 0;

  constructor(link: Link<MasterMessage, WorkerMessage>) {
    this.#link = link;
  }

  async info(): Promise<FarmInfo> {
    const answer = await this.#query('info', '');
    if (answer.kind !== 'info') throw unexpected();
    return answer.info;
  }

  /** See WorkerContext.channels. */
  async channels(pattern: unknown = '*'): Promise<FarmChannels> {
    // Every worker of the farm would fail at it, and end. A query string that lacks it gives null.
    if (typeof pattern !== 'string') {
      throw new TypeError(
        `channels() takes a glob, or nothing for all channels, got ${pattern === null ? 'null' : typeof pattern}`,
      );
    }
    const answer = await this.#query('channels', pattern);
    if (answer.kind !== 'channels') throw unexpected();
    return answer.farm;
  }

  answered(id: number, answer: QueryAnswer): void {
    const query = this.#pending.get(id);
    if (query === undefined) return;
    this.#pending.delete(id);
    clearTimeout(query.timer);
    query.resolve(answer);
  }

  stop(): void {
    for (const [id, query] of this.#pending) {
      this.#pending.delete(id);
      clearTimeout(query.timer);
      query.reject(new FarmError('FARM_ERR_STOPPED', 'The worker is stopping.'));
    }
  }

  #query(question: 'info' | 'channels', pattern: string): Promise<QueryAnswer> {
    const id = ++this.#lastId;
    const isSent =
      this.#pending.size < MAX_QUERIES &&
      this.#link.sendUrgent({ type: 'query', id, question, pattern }) === 'sent';
    if (!isSent) {
      return Promise.reject(
        new FarmError('FARM_ERR_QUERY', 'The master takes no more questions; try again later.'),
      );
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new FarmError('FARM_ERR_QUERY', `The master did not answer within ${QUERY_TIMEOUT_MS} ms.`));
      }, QUERY_TIMEOUT_MS);
      this.#pending.set(id, { resolve, reject, timer });
    });
  }
}

function unexpected(): FarmError {
  return new FarmError('FARM_ERR_LINK', 'The master answered another question than was asked.');
}
