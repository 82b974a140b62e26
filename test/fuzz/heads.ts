import { setImmediate } from 'node:timers/promises';
import { PlainHandshake } from '@roost/poller';
import {
  looksLikeHandshake,
  parseRequestHead,
  PlainHead,
  Upgrader,
  type RequestHead,
  type RequestHeadResult,
} from '@roost/websocket';
import { generateHead, type HeadCase } from './head-generator.ts';
import { NodeHeads, type NodeVerdict } from './node-heads.ts';

const MAX_HEAD_BYTES = 8192;
const YIELD_EVERY = 64;
/** Stands around the bytes, as in a slab. */
const AROUND = Buffer.from('\r\n\r\n: GET');

/** A head on which the two disagree. */
export interface HeadMismatch {
  readonly head: HeadCase;
  readonly differences: readonly string[];
  readonly roost: RequestHeadResult;
  readonly node: NodeVerdict;
}

export interface HeadRun {
  readonly seed: number;
  readonly count: number;
  readonly maxMismatches: number;
}

export interface HeadOutcome {
  readonly done: number;
  /** Taken by both, and the same to both. */
  readonly agreed: number;
  readonly upgraded: number;
  /** Recognised by the native reader of plain handshakes as well. */
  readonly plain: number;
  /** Taken by Node and refused by us, which is our right. */
  readonly stricter: number;
  readonly mismatches: readonly HeadMismatch[];
}

/**
 * Heads through our parser and through Node's. We may accept less than Node and never more; of what both accept they
 * must say the same: method, target, headers, length, and whether it is an upgrade. The native reader of plain handshakes
 * may accept less than our parser and never more, and gives the same answer.
 */
export class HeadFuzzer {
  readonly #node = new NodeHeads();
  readonly #upgrader = new Upgrader({ maxMessageBytes: 65_536 });
  readonly #plainHandshake = new PlainHandshake();
  agreed = 0;
  upgraded = 0;
  plain = 0;
  stricter = 0;

  check(head: HeadCase): HeadMismatch | undefined {
    const found: string[] = [];
    const roost = this.#parse(head, found);
    this.#readPlain(head, roost, found);
    const socket = this.#node.connect();
    const { verdict: node } = socket;
    if (roost.kind === 'complete') {
      this.#compare(head, roost.head, socket, found);
    } else {
      feed(socket, head, 0, head.bytes.length);
      if (node.kind === 'request' || node.kind === 'upgrade') {
        this.stricter++;
        // A head that is whole to others must not be waited for.
        if (roost.kind === 'incomplete') found.push('Roost waits for more');
      }
    }
    socket.destroy();
    return found.length === 0 ? undefined : { head, differences: found, roost, node };
  }

  /** As the worker does it: with every read, on all that has come. */
  #parse({ bytes, reads }: HeadCase, found: string[]): RequestHeadResult {
    const start = AROUND.length;
    const around = Buffer.concat([AROUND, bytes, AROUND]);
    const options = { maxHeadBytes: MAX_HEAD_BYTES };
    const whole = parseRequestHead(around, start, start + bytes.length, options);
    for (const read of reads) {
      const result = parseRequestHead(around, start, start + read, options);
      if (
        result.kind === 'complete'
          ? !isSame(result, whole)
          : result.kind === 'refused' && whole.kind !== 'refused'
      ) {
        found.push(`after ${read} bytes Roost says ${result.kind}`);
      }
      if (whole.kind === 'complete' && read >= whole.head.headBytes && result.kind !== 'complete') {
        found.push(`after ${read} bytes, with the whole head, Roost says ${result.kind}`);
      }
    }
    return whole;
  }

  /** The native reader beside the parser, with every read. */
  #readPlain({ bytes, reads }: HeadCase, whole: RequestHeadResult, found: string[]): void {
    const start = AROUND.length;
    const around = Buffer.concat([AROUND, bytes, AROUND]);
    const handshake = this.#plainHandshake;
    for (const read of [...reads, bytes.length]) {
      const headBytes = handshake.read(around, start, start + Math.min(read, MAX_HEAD_BYTES));
      if (headBytes === 0) continue;
      if (whole.kind !== 'complete' || !whole.head.isUpgrade || !looksLikeHandshake(whole.head)) {
        found.push('a plain handshake to the native reader alone');
        return;
      }
      const { targetStart, targetEnd } = handshake;
      const plain = new PlainHead(around, start, start + headBytes, targetStart, targetEnd);
      if (plain.headBytes !== whole.head.headBytes || plain.headBytes > read)
        found.push('plain: the length of the head');
      if (plain.target !== whole.head.target) found.push(`plain: target ${plain.target}`);
      if (headersOf(plain.headers) !== headersOf(whole.head.headers)) found.push('plain: headers');
      if (whole.head.headers['sec-websocket-protocol'] !== undefined) found.push('plain: protocols');
      const offers = whole.head.headers['sec-websocket-extensions'] !== undefined;
      if (handshake.offersExtensions !== offers) found.push(`plain: extensions ${!offers}`);
      if (handshake.response.toString('latin1') !== this.#upgrader.upgrade(whole.head).response) {
        found.push('plain: the answer');
      }
      this.plain++;
      return;
    }
  }

  #compare(
    head: HeadCase,
    ours: RequestHead,
    socket: ReturnType<NodeHeads['connect']>,
    found: string[],
  ): void {
    const { verdict: node } = socket;
    // Exactly with its last byte the head must be whole to Node.
    feed(socket, head, 0, ours.headBytes - 1);
    if (node.kind !== 'nothing') found.push(`Node says ${node.kind} before the end of the head`);
    feed(socket, head, ours.headBytes - 1, ours.headBytes);
    const { request } = node;
    if (request === undefined || found.length > 0) {
      found.push(`Node says ${node.kind}`);
      return;
    }
    if (node.restBytes > 0) found.push('the length of the head');
    if (request.method !== ours.method) found.push(`method ${request.method}`);
    // RFC 9112 §3.2.2: of a target in absolute form the host counts, and what stands behind it.
    const [, host, target] = /^https?:\/\/([^/?]+)(.*)$/i.exec(request.url ?? '') ?? [];
    const url = host === undefined ? request.url : (target ?? '').replace(/^(?!\/)/, '/');
    if (url !== ours.target) found.push(`target ${request.url}`);
    const headers = host === undefined ? request.headers : { ...request.headers, host };
    if (headersOf(headers) !== headersOf(ours.headers)) found.push('headers');
    this.#compareUpgrade(ours, node, found);
    if (found.length === 0) this.agreed++;
  }

  #compareUpgrade(ours: RequestHead, node: NodeVerdict, found: string[]): void {
    if (!ours.isUpgrade) {
      // RFC 9110 §7.8: an upgrade to another protocol may be ignored, and is, here.
      const isForUs = /(?:^|,)[ \t]*websocket[ \t]*(?:,|$)/i.test(ours.headers['upgrade'] ?? '');
      if (node.kind === 'upgrade' && isForUs) {
        found.push('an upgrade to Node alone');
      }
      return;
    }
    if (node.kind !== 'upgrade') {
      found.push('an upgrade to Roost alone');
      return;
    }
    const { accepted, response } = this.#upgrader.upgrade(ours);
    const refusal = ownRefusal(ours);
    if (refusal === undefined ? response !== node.answer : !response.startsWith(refusal))
      found.push(`ws answers ${JSON.stringify(node.answer)}, Roost ${JSON.stringify(response)}`);
    if (looksLikeHandshake(ours) !== accepted) found.push(`looksLikeHandshake says ${!accepted}`);
    if (accepted) this.upgraded++;
  }
}

/**
 * How our own answer begins to what ws answers otherwise: it takes any number that is 13 for the version, and does not say
 * which method is allowed.
 */
function ownRefusal({ method, headers }: RequestHead): string | undefined {
  if (method !== 'GET') return 'HTTP/1.1 405 Method Not Allowed\r\n';
  const version = headers['sec-websocket-version'];
  if (version === undefined || /^(?:13|8)$/.test(version)) return undefined;
  return 'HTTP/1.1 426 Upgrade Required\r\n';
}

/** Gives the socket the bytes from `from` to `to` in their reads. */
function feed(
  socket: ReturnType<NodeHeads['connect']>,
  { bytes, reads }: HeadCase,
  from: number,
  to: number,
): void {
  let at = from;
  for (const read of reads) {
    const until = Math.min(read, to);
    if (until <= at) continue;
    socket.feed(Buffer.from(bytes.subarray(at, until)));
    at = until;
  }
}

function isSame(a: RequestHeadResult, b: RequestHeadResult): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Node makes a list of Set-Cookie, which in a request means nothing. */
function headersOf(headers: Readonly<Record<string, string | string[] | undefined>>): string {
  return Object.keys(headers)
    .toSorted()
    .map((name) => `${name}: ${[headers[name]].flat().join(', ')}`)
    .join('\n');
}

export async function runHeads(run: HeadRun): Promise<HeadOutcome> {
  const fuzzer = new HeadFuzzer();
  const mismatches: HeadMismatch[] = [];
  let done = 0;
  while (done < run.count && mismatches.length < run.maxMismatches) {
    const mismatch = fuzzer.check(generateHead(run.seed, done++));
    if (mismatch !== undefined) mismatches.push(mismatch);
    // Sockets end in later ticks.
    if (done % YIELD_EVERY === 0) await setImmediate();
  }
  const { agreed, upgraded, plain, stricter } = fuzzer;
  return { done, agreed, upgraded, plain, stricter, mismatches };
}
