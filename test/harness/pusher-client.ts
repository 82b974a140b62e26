import module from 'pusher-js';
import type { Channel, Options } from 'pusher-js';
import type { FarmProcess } from '@roost/testing';
import { eventually } from '@roost/testing';
import { endAfterTest } from './system.ts';

/** The class, which its declarations promise as a member called `default`. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
const PusherJs = module as unknown as typeof module.default;

type PusherClient = InstanceType<typeof PusherJs>;

/** A client of pusher-js that is connected to the farm, until the end of the test. */
export async function connectPusher(
  farm: FarmProcess,
  key: string,
  options: Partial<Options> = {},
): Promise<PusherClient> {
  const client = new PusherJs(key, {
    wsHost: '127.0.0.1',
    wsPort: farm.port,
    forceTLS: false,
    enabledTransports: ['ws'],
    cluster: 'roost',
    ...options,
  });
  endAfterTest(() => Promise.resolve(client.disconnect()));
  await eventually(() => client.connection.state === 'connected', { what: 'pusher-js has connected' });
  return client;
}

/** Subscribes and waits until the server has said so. */
export async function subscribePusher(client: PusherClient, name: string): Promise<Channel> {
  const channel = client.subscribe(name);
  await eventually(() => channel.subscribed, { what: `pusher-js has subscribed to ${name}` });
  return channel;
}
