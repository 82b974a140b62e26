import { once } from 'node:events';
import { eventually, freePort, spawnGroup } from '@roost/testing';
import { expect } from 'vitest';
import { tryEcho } from './laravel.ts';
import { endAfterTest } from '../harness/system.ts';
import { connectPusher, subscribePusher } from '../harness/pusher-client.ts';
import type { ProgramWay } from './programs.ts';
import { APP, backEndOf, GUIDE, startPusherFarm } from './pusher-farm.ts';

interface Running {
  /** All that it has printed so far. */
  readonly output: () => string;
}

/** Runs it until the end of the test. */
function runUntilTheEnd(path: string): Running {
  const child = spawnGroup(process.execPath, [path]);
  const ended = once(child, 'close');
  endAfterTest(() => {
    child.kill();
    return ended;
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  return { output: () => output };
}

export const PUSHER_PROGRAMS: readonly ProgramWay[] = [
  {
    document: GUIDE,
    having: "subscribe('news')",
    run: async (program) => {
      const farm = await startPusherFarm();
      const { output } = runUntilTheEnd(await program.runnable({ 8080: String(farm.port) }));
      await eventually(async () => {
        await backEndOf(farm).trigger('news', 'greeting', { from: 'the server' });
        return output().includes('the server says hello\n');
      });
    },
  },
  {
    document: GUIDE,
    having: "await pusher.trigger('news'",
    run: async (program) => {
      const farm = await startPusherFarm();
      const client = await connectPusher(farm, APP.key);
      const received: unknown[] = [];
      const channel = await subscribePusher(client, 'news');
      channel.bind('greeting', (data: unknown) => received.push(data));
      runUntilTheEnd(await program.runnable({ 8080: String(farm.port) }));
      await eventually(() => expect(received).toEqual([{ from: 'the server' }]));
    },
  },
  {
    document: GUIDE,
    having: 'pusher.authorizeChannel',
    run: async (program) => {
      const farm = await startPusherFarm();
      const port = await freePort();
      runUntilTheEnd(await program.runnable({ 3000: String(port) }));
      const endpoint = `http://127.0.0.1:${port}/auth`;
      await eventually(() => fetch(endpoint, { method: 'POST' }));
      const client = await connectPusher(farm, APP.key, {
        channelAuthorization: { endpoint, transport: 'ajax' },
      });
      const channel = await subscribePusher(client, 'presence-room');
      expect(channel).toMatchObject({ members: { count: 1, me: { id: 'ada', info: { name: 'Ada' } } } });
      await subscribePusher(client, 'private-room');
    },
  },
  {
    document: GUIDE,
    having: 'pusher.webhook(',
    run: async (program) => {
      const port = await freePort();
      const { output } = runUntilTheEnd(await program.runnable({ 3000: String(port) }));
      const url = `http://127.0.0.1:${port}/`;
      // Nobody has signed this.
      await eventually(async () => (await fetch(url, { method: 'POST' })).status === 401);
      const farm = await startPusherFarm({ ROOST_PUSHER_WEBHOOKS: JSON.stringify([{ url }]) });
      await subscribePusher(await connectPusher(farm, APP.key), 'news');
      await eventually(() => output().includes('channel_occupied news\n'));
    },
  },
  { document: GUIDE, having: 'new Echo(', run: tryEcho },
];
