import type { HeadMismatch } from './heads.ts';
import { closeOf } from './comparison.ts';
import type { PusherProblem } from './pusher.ts';
import { headOf, piecesOf, PROFILES, type Transcript } from './stream.ts';
import type { Mismatch } from './streams.ts';

const MAX_SHOWN_BYTES = 256;

/** A mismatch as one reads it, with everything that is needed to write a spec of it. */
export function describeMismatch({ stream, foretold, differences, ws, roost }: Mismatch): string {
  const head = headOf(stream).length;
  let at = 0;
  const pieces = piecesOf(stream).map(({ pause, bytes }) => {
    const from = at;
    at += bytes.length;
    const shown = bytes.subarray(Math.min(bytes.length, Math.max(0, head - from)));
    const waits = pause.ms > 0 ? `${pause.ms} ms` : `${pause.turns} turns`;
    return `  after ${waits}: ${from < head ? '(head) ' : ''}${hex(shown)}`;
  });
  return [
    `stream ${stream.index} of seed ${stream.seed} differs in: ${differences.join('; ')}`,
    `replay: npm run fuzz -- --seed ${stream.seed} --only ${stream.index}`,
    `limits: ${JSON.stringify(PROFILES[stream.profile])}, pipelined: ${stream.isPipelined}, kept alive: ${stream.isKeptAlive}, patient: ${stream.isPatient}, late reader: ${stream.isLateReader}, offer: ${stream.offer}, manners: ${JSON.stringify(stream.manners)}`,
    `foretold: ${JSON.stringify(foretold)}`,
    'pieces:',
    ...pieces,
    ...describe('ws', ws),
    ...describe('Roost', roost),
  ].join('\n');
}

function describe(name: string, transcript: Transcript): string[] {
  const { received, end } = transcript;
  const headEnd = received.indexOf('\r\n\r\n') + 4;
  const statusLine = received.subarray(0, received.indexOf('\r\n')).toString('latin1');
  return [
    `${name}:`,
    `  client received: ${statusLine} | ${hex(received.subarray(headEnd))}`,
    `  TCP: ${end}`,
    `  close hook: ${closeOf(transcript)}`,
    ...transcript.messages.map(({ isBinary, data }) => `  ${isBinary ? 'binary' : 'text'}: ${hex(data)}`),
  ];
}

/** As {@link describeMismatch}, of a request head. */
export function describeHeadMismatch({ head, differences, roost, node }: HeadMismatch): string {
  return [
    `head ${head.index} of seed ${head.seed} differs in: ${differences.join('; ')}`,
    `replay: npm run fuzz -- --seed ${head.seed} --only-head ${head.index}`,
    `bytes: ${JSON.stringify(head.bytes.toString('latin1'))}`,
    `reads end at: ${head.reads.join(' ')}`,
    `Roost: ${JSON.stringify(roost)}`,
    `Node: ${node.kind} ${JSON.stringify({ method: node.request?.method, url: node.request?.url, headers: node.request?.headers })}`,
  ].join('\n');
}

/** As {@link describeMismatch}, of what a Pusher client has brought about. */
export function describePusherProblem({ session, problems }: PusherProblem): string {
  return [
    `client ${session.index} of seed ${session.seed}: ${problems.join('; ')}`,
    `replay: npm run fuzz -- --seed ${session.seed} --only-pusher ${session.index}`,
    ...session.messages.map((message) =>
      typeof message === 'string' ? `  text: ${JSON.stringify(message)}` : `  binary: ${hex(message)}`,
    ),
  ].join('\n');
}

/** Long ones are cut: the seed brings all of them back. */
function hex(bytes: Buffer): string {
  const shown = bytes.subarray(0, MAX_SHOWN_BYTES).toString('hex');
  return bytes.length <= MAX_SHOWN_BYTES ? shown : `${shown}… (${bytes.length} bytes)`;
}
