import { LIMITS, type LimitName } from '@roost/farm';
import { describe, expect, it } from 'vitest';
import { specTitlesIn } from './harness/spec-titles.ts';

/** Where a spec reaches a limit, and what it claims. */
interface ReachedBy {
  /** From the root of the repository. */
  readonly file: string;
  readonly title: string;
}

const FARM = 'packages/farm/src';

/** For each limit a spec that reaches it and looks at the outcome: a limit without one is not a limit. */
const REACHED_BY: Readonly<Record<LimitName, ReachedBy>> = {
  moveBatchRows: spec(`${FARM}/worker/moving/deaths.test.ts`, 'ends behind the batch under way'),
  moveTimeoutMs: spec(
    `${FARM}/worker/moving/deaths.test.ts`,
    'from the %s, %s: nothing has changed for anybody, and the rows move with another batch',
  ),
  handoverGraceMs: spec(
    `${FARM}/worker/moving/moves.test.ts`,
    'waits for a hook that is under way, for a while',
  ),
  maxMoveHeldBytes: spec(`${FARM}/worker/moving/moves.test.ts`, 'knows that it has missed what had no room'),
  verifyMoves: spec(
    `${FARM}/worker/moving/moves.test.ts`,
    'keeps what waits for it and what it is: queue, session, user, deadline',
  ),
  maxConnections: spec(
    'test/limits.test.ts',
    'refuses the next upgrade with 503 and Retry-After, and lets one in when another has left',
  ),
  maxConnectionsPerWorker: spec(
    'test/limits.test.ts',
    'full workers are given nothing more: the farm is full when all of them are',
  ),
  reservedConnections: spec(
    'test/limits.test.ts',
    'answers health checks and refuses upgrades in a storm, too',
  ),
  acceptRate: spec('test/admission.test.ts', 'makes clients wait in the listen queue, and refuses nobody'),
  maxConnectionsPerAddress: spec(
    'test/admission.test.ts',
    'refuses one more with 429 and Retry-After, for HTTP too, and other addresses nothing',
  ),
  acceptRatePerAddress: spec(
    'test/admission.test.ts',
    'refuses who comes faster, with 429, and lets in again later',
  ),
  maxRefusalsPerSecond: spec('test/admission.test.ts', 'is closed at once beyond maxRefusalsPerSecond'),
  maxTrackedAddresses: spec(
    `${FARM}/master/entrance/address-limits.test.ts`,
    'is bounded: beyond maxTrackedAddresses new ones are let in, uncounted',
  ),
  maxHandshakes: spec(
    `${FARM}/worker/states/upgrade.test.ts`,
    'is one of at most maxHandshakes; beyond them 503 says when to come again',
  ),
  maxTlsHandshakes: spec(
    `${FARM}/worker/sockets/tls/tls-streams.test.ts`,
    'lets clients wait for their turn, until one that is under way ends',
  ),
  maxTlsHandshakesPerAddress: spec(
    `${FARM}/worker/sockets/tls/tls-streams.test.ts`,
    'lets other addresses in at once, while the surplus of one waits for its own',
  ),
  backlog: spec(
    'packages/poller/src/sockets.test.ts',
    'keeps no more than its backlog waiting, and takes the others when there is room',
  ),
  tcpKeepAliveSeconds: spec('packages/poller/src/sockets.test.ts', 'gives accepted sockets its keepalive'),
  tcpUserTimeoutMs: spec(
    'test/liveness.test.ts',
    'are helped by the kernel: a ping that nobody acknowledges ends its connection after tcpUserTimeoutMs',
  ),
  tcpNotSentLowatBytes: spec('packages/poller/src/sockets.test.ts', 'is bounded by $bound, and one segment'),
  tcpSendBufferBytes: spec('packages/poller/src/sockets.test.ts', 'is bounded by $bound, and one segment'),
  maxUnacknowledgedHandoffs: spec(
    `${FARM}/master/entrance/hand-off.test.ts`,
    'has room for so many unacknowledged ones, sent or not',
  ),
  workerLagMs: spec(
    'test/admission.test.ts',
    'is given nothing while another has room, and serves what it had',
  ),
  handOffTimeoutMs: spec(
    'test/hand-off.test.ts',
    'in the middle of a hand-off is killed and replaced, and no client hangs',
  ),
  workerTimeoutMs: spec(
    'test/hand-off.test.ts',
    'while it is idle is killed after workerTimeoutMs and replaced',
  ),
  workerHeapMb: spec(
    'test/stuck-worker.test.ts',
    'is ended by V8 at workerHeapMb, which the log says, and only its own connections go with it',
  ),
  appStartTimeoutMs: spec(
    'test/app-errors.test.ts',
    'because it %s keeps the farm from starting, with one sentence that names it',
  ),
  warmUpMs: spec(`${FARM}/worker/warm-up/warm-up.test.ts`, 'ends after warmUpMs, however few it has served'),
  maxRequestHeadBytes: spec(
    `${FARM}/worker/states/request-head.test.ts`,
    'larger than maxRequestHeadBytes is refused with 431, whole or dribbling',
  ),
  handshakeTimeoutMs: spec(
    `${FARM}/worker/states/request-head.test.ts`,
    'that has begun but does not arrive within handshakeTimeoutMs is refused with 408',
  ),
  upgradeTimeoutMs: spec(
    `${FARM}/worker/states/upgrade.test.ts`,
    'that takes longer than upgradeTimeoutMs is aborted, and its client gets 503',
  ),
  subscribeTimeoutMs: spec(
    `${FARM}/worker/fan-out/subscriptions.test.ts`,
    'that the broker does not confirm within subscribeTimeoutMs refuse with 503',
  ),
  httpRequestTimeoutMs: spec(
    `${FARM}/worker/states/http.test.ts`,
    'ends a connection whose request does not arrive, with 408',
  ),
  maxMessageBytes: spec('test/limits.test.ts', 'a larger message closes with 1009, and its sender only'),
  messageTimeoutMs: spec(
    `${FARM}/worker/states/open.test.ts`,
    'within messageTimeoutMs of its first byte closes with 4001, however it dribbles',
  ),
  messageRate: spec('test/limits.test.ts', 'closes with 4002 who sends more, and nobody else'),
  messageBurst: spec(`${FARM}/worker/rows/message-rate.test.ts`, 'gives a burst at once, then its rate'),
  maxInboundBytesPerWorker: spec(
    `${FARM}/worker/states/open.test.ts`,
    "and for which there is no memory closes its connection with 1013, and finds the client's close frame",
  ),
  maxAwakeConnections: spec(
    `${FARM}/worker/states/awake.test.ts`,
    'beyond maxAwakeConnections is closed with 1013, and its close frame is found behind a message',
  ),
  minCompressBytes: spec(
    `${FARM}/worker/states/compression.test.ts`,
    'leaves messages outside minCompressBytes and maxCompressBytes as they are, and those that would not shrink',
  ),
  maxCompressBytes: spec(
    `${FARM}/worker/states/compression.test.ts`,
    'leaves messages outside minCompressBytes and maxCompressBytes as they are, and those that would not shrink',
  ),
  compressionLevel: spec(
    `${FARM}/worker/states/compression.test.ts`,
    'costs no wake: compressed messages are read and sent while the connection sleeps',
  ),
  quietMs: spec(
    `${FARM}/worker/states/awake.test.ts`,
    'hibernates when it has been quiet for quietMs, and wakes again',
  ),
  maxOutboundBytes: spec(
    `${FARM}/worker/outbound/outbound.test.ts`,
    'past maxOutboundBytes is closed with 4000 behind a whole frame, and what had not begun is dropped',
  ),
  maxOutboundBytesPerWorker: spec('test/fairness.test.ts', 'at maxOutboundBytesPerWorker'),
  maxBroadcastQueueBytes: spec(
    `${FARM}/worker/fan-out/subscriptions.test.ts`,
    'beyond maxBroadcastQueueBytes is dropped, counted, logged once, and told to the subscribers of its channel alone',
  ),
  broadcastSliceMs: spec(
    `${FARM}/worker/fan-out/fan-out.test.ts`,
    'does not reach who left between two of them, and reaches each of the others once',
  ),
  broadcastTurnMs: spec(
    `${FARM}/worker/fan-out/fan-out.test.ts`,
    'asks again after broadcastTurnMs, and sends nothing twice when it goes on',
  ),
  closeTimeoutMs: spec(
    `${FARM}/worker/states/awake.test.ts`,
    'that is closed by the server and does not answer ends after closeTimeoutMs',
  ),
  heartbeatMs: spec(
    `${FARM}/worker/upkeep/heartbeat.test.ts`,
    'pings who was silent for heartbeatMs, and ends who stays silent, on a worker where nothing else happens',
  ),
  heartbeatTimeoutMs: spec('test/liveness.test.ts', 'end the dead within both times, and none of the living'),
  maxSubscriptionsPerConnection: spec('test/limits.test.ts', 'refuses the upgrade with one channel more'),
  maxChannelBytes: spec('test/limits.test.ts', 'holds for upgrades and for the HTTP API, and may be raised'),
  maxWorkerLinkBytes: spec(
    `${FARM}/link/link.contract.ts`,
    'refuses with "overflow" what is beyond the bound, has the same room again for what is urgent, and recovers',
  ),
  presenceLeaseMs: spec(
    'packages/broker/src/redis/channel-store/lease.redis.test.ts',
    'is lost by a worker that stands still, and what it sends late changes nothing',
  ),
  maxRecordedEvents: spec(
    'packages/broker/src/channel-store.contract.ts',
    'are bounded: the oldest are thrown away, and counted',
  ),
  probationMs: spec(
    `${FARM}/master/moves/reload.test.ts`,
    'gives a new worker no socket before it has lived for probationMs',
  ),
  reloadParallel: spec(`${FARM}/master/moves/reload.test.ts`, 'replaces reloadParallel workers at a time'),
  retireMs: spec(
    `${FARM}/master/moves/reload.test.ts`,
    'may take retireMs, and is killed when it does not end then',
  ),
  rebalanceSkew: spec(
    `${FARM}/master/moves/rebalance-steps.test.ts`,
    'begins when connections have been uneven for 30 s, and ends when half of the skew is gone',
  ),
  rebalanceRate: spec(
    `${FARM}/master/moves/rebalancer.test.ts`,
    'moves rebalanceRate connections in a second, and maxMovesPerMinute in a minute',
  ),
  maxMovesPerMinute: spec(
    `${FARM}/master/moves/rebalancer.test.ts`,
    'moves rebalanceRate connections in a second, and maxMovesPerMinute in a minute',
  ),
  drainMs: spec(
    'test/drain.test.ts',
    'reaches the whole process group, and drains: every client gets 1001, spread over drainMs; exit code 0',
  ),
  stopTimeoutMs: spec(
    `${FARM}/worker/upkeep/drain.test.ts`,
    'ends after stopTimeoutMs whoever does not answer',
  ),
};

function spec(file: string, title: string): ReachedBy {
  return { file, title };
}

describe('each limit', () => {
  it('is in the table above', () => {
    expect(Object.keys(REACHED_BY).toSorted()).toEqual(Object.keys(LIMITS).toSorted());
  });

  it.each(Object.entries(REACHED_BY))(
    '%s is reached by the spec that the table names',
    (_, { file, title }) => {
      expect(specTitlesIn(file)).toContain(title);
    },
  );
});
