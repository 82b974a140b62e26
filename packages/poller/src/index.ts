export {
  ADDRESS_BYTES,
  BROADCAST_SKIPPED,
  EVENT_FIELDS,
  Interest,
  MAX_DESCRIPTORS_PER_MESSAGE,
  PollFlag,
} from './constants.ts';
export { PollerUnavailableError } from './native.ts';
export {
  accept,
  closeDescriptor,
  connect,
  descriptorPair,
  duplicateDescriptor,
  listen,
  localAddress,
  outstandingBytes,
  pinThread,
  Poller,
  receiveDescriptors,
  releaseFilePages,
  resetDescriptor,
  sendDescriptors,
  setCloseOnExec,
  signalOnParentDeath,
  socketError,
  terminateDescriptor,
  trimMemory,
  unreadBytes,
} from './poller.ts';
export type {
  ConnectOptions,
  ListenOptions,
  PollerColumns,
  PollerOptions,
  ReceivedRecord,
} from './poller.ts';
