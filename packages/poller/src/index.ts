export { BroadcastWalk, type BroadcastWalkOptions } from './broadcast-walk.ts';
export {
  ADDRESS_BYTES,
  BROADCAST_SKIPPED,
  EVENT_FIELDS,
  Interest,
  MAX_DESCRIPTORS_PER_MESSAGE,
  PollFlag,
} from './constants.ts';
export {
  closeDescriptor,
  closeDescriptors,
  descriptorPair,
  duplicateDescriptor,
  receiveDescriptors,
  resetDescriptor,
  sendDescriptors,
  setCloseOnExec,
  terminateDescriptor,
} from './descriptors.ts';
export { PlainHandshake } from './plain-handshake.ts';
export type { ListenOptions } from './listen-options.ts';
export { PollerUnavailableError, type ReceivedRecord } from './native.ts';
export { Poller, type PollerColumns, type PollerOptions } from './poller.ts';
export { pinThread, releaseFilePages, signalOnParentDeath, trimMemory } from './process.ts';
export { makeSealedFile, readSealedFile, sealedFileBytes } from './sealed-file.ts';
export {
  accept,
  connect,
  listen,
  localAddress,
  outstandingBytes,
  peerUser,
  socketError,
  unreadBytes,
  type ConnectOptions,
} from './sockets.ts';
export { answerStackRequests } from './stacks.ts';
export { streamPositions } from './stream-positions.ts';
export { TcpSample } from './tcp-sample.ts';
