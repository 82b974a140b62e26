import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { startServer, within } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { WebSocket } from 'ws';
import { answerProblem, isKnownClose } from './pusher-answers.ts';
import { generatePusherSession, SIGNATURE } from './pusher-generator.ts';
import type { PusherSession } from './pusher-generator.ts';

const KEY = 'app-key';
const SECRET = 'app-secret';

/** How many sessions are under way at a time. */
const IN_FLIGHT = 16;

/** What a session did that it should not. */
export interface PusherProblem {
  readonly session: PusherSession;
  readonly problems: readonly string[];
}

export interface PusherOutcome {
  readonly done: number;
  readonly answers: number;
  readonly problems: readonly PusherProblem[];
  /** What the farm says in errors, or counts as one of its own. */
  readonly complaints: readonly string[];
}

/**
 * A farm and clients that say all sorts of things to it, most of them nearly right. Each answer must be one that is documented,
 * each close, too; the farm logs no error, and a client that does nothing wrong notices nothing.
 */
export class PusherFuzzer {
  readonly #farm: FarmProcess;
  readonly #witness: FuzzClient;

  private constructor(farm: FarmProcess, witness: FuzzClient) {
    this.#farm = farm;
    this.#witness = witness;
  }

  static async start(): Promise<PusherFuzzer> {
    const farm = await startServer(['--workers', '1', '--api-key', 'sesame', '--drain-ms', '0'], {
      env: {
        ROOST_PUSHER_APP_ID: 'app-id',
        ROOST_PUSHER_APP_KEY: KEY,
        ROOST_PUSHER_APP_SECRET: SECRET,
        ROOST_PUSHER_CLIENT_EVENTS: 'true',
      },
    });
    return new PusherFuzzer(farm, await FuzzClient.connect(farm));
  }

  async run({
    seed,
    from = 0,
    count,
  }: {
    seed: number;
    from?: number;
    count: number;
  }): Promise<PusherOutcome> {
    const problems: PusherProblem[] = [];
    let next = from;
    let answers = 0;
    const lane = async (): Promise<void> => {
      while (next < from + count) {
        const session = generatePusherSession(seed, next++);
        const outcome = await this.#check(session);
        answers += outcome.answers;
        if (outcome.problems.length > 0) problems.push({ session, problems: outcome.problems });
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    return { done: count, answers, problems, complaints: await this.#complaints() };
  }

  async stop(): Promise<void> {
    await this.#witness.end();
    await this.#farm.stop();
  }

  async #check({
    index,
    messages,
  }: PusherSession): Promise<{ answers: number; problems: readonly string[] }> {
    const client = await FuzzClient.connect(this.#farm);
    for (const message of messages) {
      client.send(typeof message === 'string' ? signed(message, client.socketId) : message);
    }
    const end = `end-${index}`;
    client.send(`{"event":"pusher:subscribe","data":{"channel":"${end}"}}`);
    const isOver = (text: string): boolean => text.includes('subscription_succeeded') && text.includes(end);
    await client.until(isOver);
    const problems = client.texts.flatMap((text) => {
      const problem = isOver(text) ? undefined : answerProblem(text);
      return problem === undefined ? [] : [`${problem}: ${text}`];
    });
    if (client.closeCode !== undefined && !isKnownClose(client.closeCode)) {
      problems.push(`closed with ${client.closeCode}`);
    }
    await client.end();
    return { answers: client.texts.length, problems };
  }

  async #complaints(): Promise<readonly string[]> {
    const complaints = this.#farm.logs
      .filter(({ level }) => level === 'error' || level === 'fatal')
      .map((line) => JSON.stringify(line));
    // The witness still hears, and has heard nothing else.
    this.#witness.send('{"event":"pusher:ping","data":{}}');
    await this.#witness.until((text) => text === '{"event":"pusher:pong","data":{}}');
    if (this.#witness.closeCode !== undefined) {
      complaints.push(`a client that did nothing was closed with ${this.#witness.closeCode}`);
    }
    const heard = this.#witness.texts.splice(0).filter((text) => !text.includes('pusher:pong'));
    return [...complaints, ...heard.map((text) => `a client that did nothing got ${text}`)];
  }
}

/** With the signature of the channel, or the user, that the message names: right or wrong, as it may have been changed. */
function signed(message: string, socketId: string): string {
  if (!message.includes(SIGNATURE)) return message;
  const channel = fieldOf(message, 'channel');
  const data = fieldOf(message, 'channel_data');
  const user = fieldOf(message, 'user_data');
  const text =
    user === undefined
      ? `${socketId}:${channel ?? ''}${data === undefined ? '' : `:${data}`}`
      : `${socketId}::user::${user}`;
  const hex = createHmac('sha256', SECRET).update(text).digest('hex');
  return message.replaceAll(SIGNATURE, `${KEY}:${hex}`);
}

/** The last text with this name, also within a text. */
function fieldOf(message: string, name: string): string | undefined {
  const found = [...message.matchAll(new RegExp(`"${name}":("(?:[^"\\\\]|\\\\.)*")`, 'g'))].at(-1)?.[1];
  if (found !== undefined) return parseText(found);
  const inText = [
    ...message.matchAll(new RegExp(`\\\\"${name}\\\\":(\\\\"(?:[^"\\\\]|\\\\[^"])*\\\\")`, 'g')),
  ];
  const escaped = inText.at(-1)?.[1];
  return escaped === undefined ? undefined : parseText(parseText(`"${escaped}"`) ?? '');
}

function parseText(json: string): string | undefined {
  try {
    return String(JSON.parse(json));
  } catch {
    return undefined;
  }
}

/** A client that keeps all that it is sent. */
class FuzzClient {
  readonly texts: string[] = [];
  socketId = '';
  closeCode: number | undefined;
  readonly #socket: WebSocket;
  #onChange: () => void = () => undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      this.texts.push(data.toString());
      this.#onChange();
    });
    socket.on('close', (code: number) => {
      this.closeCode = code;
      this.#onChange();
    });
    socket.on('error', () => undefined);
  }

  static async connect(farm: FarmProcess): Promise<FuzzClient> {
    const client = new FuzzClient(new WebSocket(`${farm.url}/app/${KEY}?protocol=7`));
    await client.until((text) => text.includes('connection_established'));
    client.socketId = /(\d+\.\d+)/.exec(client.texts.shift() ?? '')?.[1] ?? '';
    return client;
  }

  send(message: string | Buffer): void {
    if (this.closeCode === undefined) this.#socket.send(message);
  }

  /** Resolves when such a message has come, or the connection is over. */
  async until(isWanted: (text: string) => boolean): Promise<void> {
    const isDone = (): boolean => this.closeCode !== undefined || this.texts.some(isWanted);
    await within(
      new Promise<void>((resolve) => {
        this.#onChange = () => {
          if (isDone()) resolve();
        };
        this.#onChange();
      }),
      { what: 'the server answers', seen: () => this.texts.join('\n') },
    );
  }

  async end(): Promise<void> {
    if (this.closeCode !== undefined) return;
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }
}
