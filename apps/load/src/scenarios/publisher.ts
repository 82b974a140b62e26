import { spawn } from 'node:child_process';
import { LoadError } from '../errors.ts';

/** Sends publications to whatever passes them on to the connections. */
export interface Publisher {
  /** Rejects with LOAD_ERR_PUBLISH. */
  publish(data: string): Promise<void>;
  close(): Promise<void>;
}

export interface PublisherOptions {
  /** `redis://…`, an `http(s)://…` URL to POST to, or a shell command in which `{data}` stands for the publication. */
  readonly publish: string;
  readonly channel: string;
  /** Of the HTTP request. */
  readonly headers: readonly string[];
}

const TIMEOUT_MS = 10_000;

export async function createPublisher(options: PublisherOptions): Promise<Publisher> {
  if (/^rediss?:\/\//.test(options.publish)) return await createRedisPublisher(options);
  if (/^https?:\/\//.test(options.publish)) return createHttpPublisher(options);
  if (options.publish.includes('{data}')) return createCommandPublisher(options);
  throw new LoadError(
    'LOAD_ERR_OPTION',
    `--publish must be a redis:// or http:// URL, or a command with {data} in it, got "${options.publish}".`,
  );
}

async function createRedisPublisher({ publish: url, channel }: PublisherOptions): Promise<Publisher> {
  // Only this way needs it, and it costs every process that loads it 2 MB.
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
    commandTimeout: TIMEOUT_MS,
  });
  redis.on('error', () => {});
  try {
    await redis.connect();
  } catch (cause) {
    throw publishError('Redis cannot be reached', cause);
  }
  return {
    async publish(data) {
      try {
        await redis.publish(channel, data);
      } catch (cause) {
        throw publishError('Redis did not take a publication', cause);
      }
    },
    close() {
      redis.disconnect();
      return Promise.resolve();
    },
  };
}

/** The body is `{"channel":…,"data":…}`, as Roost's and Centrifugo's publish methods take it. */
function createHttpPublisher({ publish: url, channel, headers }: PublisherOptions): Publisher {
  const sent = new Headers({ 'Content-Type': 'application/json' });
  for (const header of headers) {
    const colon = header.indexOf(':');
    sent.set(header.slice(0, colon), header.slice(colon + 1).trim());
  }
  return {
    async publish(data) {
      let response: Response;
      let body: string;
      try {
        response = await fetch(url, {
          method: 'POST',
          headers: sent,
          body: JSON.stringify({ channel, data }),
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        body = await response.text();
      } catch (cause) {
        throw publishError(`${url} cannot be reached`, cause);
      }
      if (!response.ok) throw publishError(`${url} answered ${response.status}: ${body.slice(0, 200)}`);
    },
    close: () => Promise.resolve(),
  };
}

/** The time that the command takes to start belongs to the latencies. */
function createCommandPublisher({ publish: command }: PublisherOptions): Publisher {
  return {
    publish: (data) =>
      new Promise((resolve, reject) => {
        // The publication is ASCII without anything that a shell knows.
        const child = spawn('/bin/sh', ['-c', command.replaceAll('{data}', data)], {
          stdio: ['ignore', 'ignore', 'inherit'],
          timeout: TIMEOUT_MS,
        });
        child.once('error', (cause) => reject(publishError('the command cannot be started', cause)));
        child.once('exit', (code, signal) => {
          if (code === 0) resolve();
          else reject(publishError(`the command ended by ${signal ?? `exit code ${code}`}`));
        });
      }),
    close: () => Promise.resolve(),
  };
}

function publishError(what: string, cause?: unknown): LoadError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new LoadError('LOAD_ERR_PUBLISH', `${what}${reason}.`, { cause });
}
