import { MemoryBrokerHub, type BrokerLinkMessage, type HubPort } from '@roost/broker';
import { eventually, LONGEST_WAIT_MS, RawClient, TestClient, within } from '@roost/testing';
import { expect } from 'vitest';
import type { App, WorkerContext } from '../api/app.ts';
import type { Link } from '../link/link.ts';
import { FLAG_LIMITED, FLAG_RESERVED } from '../link/hand-off-record.ts';
import { memoryLinkPair } from '../link/memory-link.ts';
import type { AskAnswer, MasterMessage, WorkerMessage, WorkerReport } from '../link/messages.ts';
import type { CounterName } from '../api/counters.ts';
import type { Log, LogFields, LogLevel } from '../api/log.ts';
import { TlsKeeper } from '../master/tls-keeper.ts';
import { resolveOptions, type FarmConfig, type FarmOptions } from '../options/options.ts';
import { HandingListener } from './handing-listener.contract.ts';
import { TlsConnections } from './tls-connections.ts';
import { Worker } from './worker.ts';

export interface HarnessOptions extends Partial<FarmOptions> {
  /** Connections that the worker takes; `reservedConnections` come on top. Default 64. */
  readonly capacity?: number;
  /** Others have the CPU of this worker, as it is told. Default false. */
  readonly sharesCpu?: boolean;
  /** Limits below what an operator may set, so that a spec need not send megabytes to reach them. */
  readonly beyondLimits?: Partial<FarmConfig>;
}

interface LogLine {
  readonly level: LogLevel;
  readonly fields: LogFields;
  readonly message: string;
}

function nothing(): void {
  // What the master would log has specs of its own.
}

const NO_LOG: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing };

/** The head of a good handshake; the 101's Sec-WebSocket-Accept for it is `s3pPLMBiTxaQ9kYGzzhZRbK+xOo=`. */
export function upgradeHead(path = '/', extraLines: readonly string[] = []): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    ...extraLines,
    '',
    '',
  ].join('\r\n');
}

/** Waits until what is read is what is expected, as long as everything else here waits. */
export function poll<Value>(read: () => Value): ReturnType<typeof expect.poll<Value>> {
  return expect.poll(read, { timeout: LONGEST_WAIT_MS, interval: 5 });
}

/** A masked frame as a client sends it. */
export function clientFrame(firstByte: number, payload: string | Uint8Array, mask = 'a1b2c3d4'): Buffer {
  const bytes = Buffer.from(payload);
  const key = Buffer.from(mask, 'hex');
  const header =
    bytes.length < 126
      ? Buffer.from([firstByte, 0x80 | bytes.length])
      : bytes.length < 65_536
        ? Buffer.from([firstByte, 0xfe, bytes.length >> 8, bytes.length & 0xff])
        : Buffer.from([firstByte, 0xff, 0, 0, 0, 0, ...uint32(bytes.length)]);
  return Buffer.concat([header, key, bytes.map((byte, index) => byte ^ (key[index % 4] ?? 0))]);
}

function uint32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** A masked text frame. */
export function textFrame(text: string): Buffer {
  return clientFrame(0x81, text);
}

/** The frame that the server sends for a short text. */
export function serverText(text: string): string {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, bytes.length]), bytes]).toString('hex');
}

/**
 * A real worker in this process, on real sockets and the real poller, with received bytes poisoned after each batch. The
 * harness is its master: it accepts, hands off through a descriptor pair, and answers its broker with a real hub.
 */
export class WorkerHarness {
  readonly port: number;
  readonly config: FarmConfig;
  readonly hub = new MemoryBrokerHub();
  readonly logs: LogLine[] = [];
  /** What the worker has said, but for logs and broker messages. */
  readonly said: WorkerMessage[] = [];
  /** Exit codes; one at most. */
  readonly exits: number[] = [];
  /** The next sockets are handed over as reserved ones. */
  isReserved = false;
  /** The next sockets are handed over as such, whose address has passed a limit. */
  isLimited = false;
  /** The worker has acknowledged so many sockets. */
  onAcknowledged: (count: number) => void = () => undefined;
  context: WorkerContext | undefined;
  readonly #worker: Worker;
  readonly #link: Link<WorkerMessage, MasterMessage>;
  readonly #listener: HandingListener;
  readonly #hubPort: HubPort;
  /** What the worker has said to the hub since {@link silenceHub}. */
  #unheard: BrokerLinkMessage[] | undefined;
  readonly #asks = new Map<number, (answer: AskAnswer) => void>();
  /** What its clients trust. */
  readonly #tls: { readonly ca: Buffer } | undefined;
  #lastAsk = 0;
  #isStopped = false;

  private constructor(apps: App | readonly App[], options: HarnessOptions) {
    const { capacity = 64, sharesCpu = false, beyondLimits, ...farmOptions } = options;
    const { tls } = options;
    this.#tls = tls === undefined ? undefined : { ca: Buffer.from(tls.cert) };
    this.config = { ...resolveOptions({ app: '/none', ...farmOptions }, 1, 'test'), ...beyondLimits };
    const [ours, theirs] = memoryLinkPair<MasterMessage, WorkerMessage>(this.config.maxWorkerLinkBytes);
    this.#link = ours;
    this.#listener = new HandingListener({
      maxUnacknowledged: 1024,
      flags: () => (this.isReserved ? FLAG_RESERVED : 0) | (this.isLimited ? FLAG_LIMITED : 0),
      onAcknowledged: (count) => this.onAcknowledged(count),
    });
    this.port = this.#listener.port;
    this.#worker = new Worker(
      {
        worker: 0,
        config: this.config,
        tls: tls === undefined ? null : new TlsKeeper(tls, NO_LOG).credentials,
        link: theirs,
        descriptors: this.#listener.workerEnd,
        capacity,
        cpu: null,
        sharesCpu,
        loadApps: (context) => {
          this.context = context;
          return Promise.resolve(Array.isArray(apps) ? apps : [apps]);
        },
        onStopped: (code) => this.exits.push(code),
        poisonSlab: true,
      },
      { Tls: TlsConnections },
    );
    theirs.open(this.#worker);
    this.#hubPort = this.hub.attach(
      0,
      (message) => this.#link.send({ type: 'broker', message }) === 'sent',
      // What waits in the link now.
      ((link, maxBufferedBytes) => ({
        get bufferedBytes(): number {
          return link.bufferedBytes;
        },
        maxBufferedBytes,
      }))(ours, this.config.maxWorkerLinkBytes),
    );
    ours.open({
      linkOnMessage: (message) => {
        if (message.type === 'broker') this.#toHub(message.message);
        else if (message.type === 'log') this.logs.push(message);
        else if (message.type === 'answer') this.#asks.get(message.id)?.(message.answer);
        else this.said.push(message);
      },
      linkOnClose: () => undefined,
    });
  }

  static async start(apps: App | readonly App[], options: HarnessOptions = {}): Promise<WorkerHarness> {
    const harness = new WorkerHarness(apps, options);
    await harness.#worker.start();
    return harness;
  }

  get url(): string {
    return `${this.#tls === undefined ? 'ws' : 'wss'}://127.0.0.1:${this.port}`;
  }

  /** A TCP connection, with TLS when the worker speaks it. */
  connect(): Promise<RawClient> {
    return RawClient.connect(this.port, { tls: this.#tls });
  }

  /** A TCP connection that has its 101, which is taken. */
  async open(path = '/'): Promise<RawClient> {
    const client = await this.connect();
    client.writeText(upgradeHead(path));
    const head = await client.readHead();
    if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`the upgrade was answered with ${head}`);
    return client;
  }

  /** A client of ws. */
  client(path = '/'): Promise<TestClient> {
    return TestClient.connect(`${this.url}${path}`, this.#tls);
  }

  send(message: MasterMessage): void {
    this.#link.send(message);
  }

  publish(channel: string, payload: string | Uint8Array): void {
    this.hub.publish(channel, Buffer.from(payload));
  }

  /** The hub hears and answers nothing until {@link resumeHub}. */
  silenceHub(): void {
    this.#unheard ??= [];
  }

  resumeHub(): void {
    for (const message of this.#unheard ?? []) this.#hubPort.receive(message);
    this.#unheard = undefined;
  }

  /** Messages that the hub has not heard. */
  get unheardCount(): number {
    return this.#unheard?.length ?? 0;
  }

  control(message: unknown): void {
    this.hub.control(Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)));
  }

  async ask(question: 'report' | 'channels', pattern = '*'): Promise<AskAnswer> {
    const id = ++this.#lastAsk;
    const answer = new Promise<AskAnswer>((resolve) => {
      this.#asks.set(id, resolve);
    });
    this.send({ type: 'ask', id, question, pattern });
    return within(answer, { what: `the worker answers ${question}` });
  }

  async report(): Promise<WorkerReport> {
    const answer = await this.ask('report');
    if (answer.kind !== 'report') throw new Error('the worker answered another question');
    return answer.report;
  }

  async count(name: CounterName): Promise<number> {
    return (await this.report()).counters[name] ?? Number.NaN;
  }

  /** Waits until a counter has this value. */
  async counts(name: CounterName, value: number): Promise<void> {
    await eventually(async () => (await this.count(name)) === value, { what: `${name} is ${value}` });
  }

  /** Sockets that the worker says it has finished with. */
  get released(): number {
    return this.said.reduce((total, message) => (message.type === 'released' ? message.total : total), 0);
  }

  #toHub(message: BrokerLinkMessage): void {
    if (this.#unheard === undefined) this.#hubPort.receive(message);
    else this.#unheard.push(message);
  }

  /** Ends the worker as the death of its master would. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.hub.stop();
    this.#link.close();
    await eventually(() => this.exits.length === 1, { what: 'the worker has stopped' });
    this.#listener.close();
  }
}
