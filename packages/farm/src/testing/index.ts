export type { WaitOptions } from './changes.ts';
export { TestingError, UpgradeRefusedError } from './errors.ts';
export type { TestingErrorCode } from './errors.ts';
export type { TestLogLine } from './messages.ts';
export type { ConnectOptions, TestClient, TestClose, TestMessage } from './test-client.ts';
export { startTestFarm } from './test-farm.ts';
export type { TestFarm, TestFarmOptions } from './test-farm.ts';
