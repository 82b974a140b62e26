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
  descriptorPair,
  duplicateDescriptor,
  receiveDescriptors,
  resetDescriptor,
  sendDescriptors,
  setCloseOnExec,
  terminateDescriptor,
} from './descriptors.ts';
export type { ListenOptions } from './listen-options.ts';
export { PollerUnavailableError, type ReceivedRecord } from './native.ts';
export { Poller, type PollerColumns, type PollerOptions } from './poller.ts';
export { pinThread, releaseFilePages, signalOnParentDeath, trimMemory } from './process.ts';
export {
  accept,
  connect,
  listen,
  localAddress,
  outstandingBytes,
  socketError,
  unreadBytes,
  type ConnectOptions,
} from './sockets.ts';
