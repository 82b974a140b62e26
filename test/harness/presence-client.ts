import { createHmac } from 'node:crypto';
import type { FarmProcess, TestClient } from '@roost/testing';
import { connect } from './system.ts';

/** Settings of a farm that has the app of {@link PresenceClient}. */
export const PUSHER = ['--pusher-app-id=1', '--pusher-app-key=key', '--pusher-app-secret=secret'];

const CHANNEL = 'presence-room';

interface Event {
  readonly event: string;
  readonly data: unknown;
}

/** A client of Pusher's protocol for one presence channel, and what it is sent, one event after the other. */
export class PresenceClient {
  readonly client: TestClient;
  readonly #socketId: string;

  private constructor(client: TestClient, socketId: string) {
    this.client = client;
    this.#socketId = socketId;
  }

  static async connect(farm: FarmProcess): Promise<PresenceClient> {
    const client = await connect(farm, '/app/key?protocol=7');
    const established: { data: string } = JSON.parse((await client.nextMessage()).text);
    const { socket_id: socketId }: { socket_id: string } = JSON.parse(established.data);
    return new PresenceClient(client, socketId);
  }

  /** Asks to join as this user, and returns the answer. */
  async join(user: string): Promise<Event> {
    const channelData = JSON.stringify({ user_id: user });
    const signature = createHmac('sha256', 'secret')
      .update(`${this.#socketId}:${CHANNEL}:${channelData}`)
      .digest('hex');
    const data = { channel: CHANNEL, auth: `key:${signature}`, channel_data: channelData };
    this.client.send(JSON.stringify({ event: 'pusher:subscribe', data }));
    return this.next();
  }

  async next(): Promise<Event> {
    const event: Event = JSON.parse((await this.client.nextMessage()).text);
    return event;
  }
}
