import type { FarmProcess } from '@roost/testing';
import Pusher from 'pusher';
import { expect } from 'vitest';
import { ofLanguage } from './snippets.ts';
import { startFarm } from './stage.ts';

export const GUIDE = 'docs/guide/pusher.md';

/** The app of the guide. */
export const APP = { appId: '1', key: 'app-key', secret: 'app-secret' };

/** A farm as the guide starts it. */
export function startPusherFarm(env: Readonly<Record<string, string>> = {}): Promise<FarmProcess> {
  const [line = ''] = ofLanguage('sh')
    .filter(({ document }) => document === GUIDE)
    .map(({ text }) => text);
  const variables = Array.from(line.matchAll(/(ROOST_\w+)=(\S+)/g), ([, name = '', value = '']) => [
    name,
    value,
  ]);
  expect(variables.length).toBeGreaterThan(3);
  return startFarm([], { ...Object.fromEntries(variables), ...env });
}

/** The back end of the app of the guide. */
export function backEndOf(farm: FarmProcess): Pusher {
  return new Pusher({ ...APP, host: '127.0.0.1', port: String(farm.port), useTLS: false });
}
