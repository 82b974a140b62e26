export { absoluteForm } from './absolute-form.ts';
export { AwakeConnection } from './awake-connection.ts';
export type { AwakeHandlers, AwakeOptions } from './awake-connection.ts';
export { ClosingReader } from './closing-reader.ts';
export { WebSocketArgumentError } from './errors.ts';
export type { WebSocketErrorCode } from './errors.ts';
export { FrameCut, FrameCutter } from './frame-cutter.ts';
export { FrameKind, SimpleFrameReader } from './frame-reader.ts';
export {
  encodeCloseFrame,
  encodeFrame,
  encodeTextFrame,
  frameHeaderBytes,
  isValidCloseCode,
  NO_STATUS_CODE,
  Opcode,
  writeFrameHeader,
} from './frame-writer.ts';
export type { DataOpcode } from './frame-writer.ts';
export { InflateFailure, MessageInflater } from './message-inflater.ts';
export { MessageDeflater } from './message-deflater.ts';
export { hasToken, listElements } from './header-list.ts';
export { InboundBuffer } from './inbound-buffer.ts';
export type { InboundBufferOptions } from './inbound-buffer.ts';
export { refusalResponse } from './refusal-response.ts';
export { copyHeaders, findHeadEnd, hasRepeatedHeader, parseRequestHead } from './request-head.ts';
export type { RefusedHead } from './refused-head.ts';
export type { RequestHead, RequestHeadOptions, RequestHeadResult } from './request-head.ts';
export { looksLikeHandshake, Upgrader } from './upgrader.ts';
export type { UpgradeOptions, UpgradeResult } from './upgrader.ts';
