export { PlainHead } from './head/plain-head.ts';
export { WebSocketArgumentError } from './errors.ts';
export type { WebSocketErrorCode } from './errors.ts';
export { absoluteForm } from './head/absolute-form.ts';
export { hasToken, listElements } from './head/header-list.ts';
export { refusalResponse } from './head/refusal-response.ts';
export { copyHeaders, hasRepeatedHeader, parseRequestHead } from './head/request-head.ts';
export type { RequestHead, RequestHeadOptions, RequestHeadResult } from './head/request-head.ts';
export { looksLikeHandshake, Upgrader } from './head/upgrader.ts';
export type { UpgradeOptions, UpgradeResult } from './head/upgrader.ts';
export { ClosingReader } from './frames/closing-reader.ts';
export { FrameCut, FrameCutter } from './frames/frame-cutter.ts';
export { FrameKind, SimpleFrameReader } from './frames/frame-reader.ts';
export {
  encodeCloseFrame,
  encodeFrame,
  encodeTextFrame,
  frameHeaderBytes,
  isValidCloseCode,
  Opcode,
  writeFrameHeader,
} from './frames/frame-writer.ts';
export type { DataOpcode } from './frames/frame-writer.ts';
export { MessageDeflater } from './deflate/message-deflater.ts';
export { InflateFailure, MessageInflater } from './deflate/message-inflater.ts';
export { AwakeConnection } from './ws/awake-connection.ts';
export type { AwakeHandlers, AwakeOptions } from './ws/awake-connection.ts';
