import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { readFrame, textFrame } from '@roost/testing';
import { upgradeRequest } from '../harness/system.ts';

export const APP = { id: 'test', key: 'presence-key', secret: 'presence-secret' };

const TEXT = 0x81;
const PONG = textFrame('{"event":"pusher:pong","data":{}}');
const HEAD_END = '\r\n\r\n';

interface Message {
  readonly event: string;
  readonly data: string;
}

/**
 * A client in one presence channel that keeps the list of its members as it is told of it, and notes whatever does not fit:
 * a member that is added twice, or removed without being there.
 */
export class Member {
  readonly channel: string;
  readonly user: string;
  /** Where it is connected, for whoever ends that. */
  readonly port: number;
  /** What the server has said of the channel so far; undefined before it is subscribed. */
  members: Set<string> | undefined;
  /** What it should not have been told. */
  readonly misfits: string[] = [];
  readonly ended: Promise<void>;
  isOpen = true;
  readonly #socket: Socket;
  #rest = Buffer.alloc(0);
  #isUpgraded = false;
  #onSubscribed: () => void = () => undefined;

  private constructor(port: number, channel: string, user: string, localAddress: string) {
    this.port = port;
    this.channel = channel;
    this.user = user;
    this.#socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', () => this.#socket.destroy());
    this.ended = new Promise((resolve) => {
      this.#socket.once('close', () => {
        this.isOpen = false;
        this.#onSubscribed();
        resolve();
      });
    });
  }

  /** Resolves when it is subscribed; rejects when the server ends it before. */
  static async join(
    port: number,
    { channel, user, localAddress }: { channel: string; user: string; localAddress: string },
  ): Promise<Member> {
    const member = new Member(port, channel, user, localAddress);
    const subscribed = new Promise<void>((resolve) => {
      member.#onSubscribed = resolve;
    });
    await Promise.race([once(member.#socket, 'connect'), member.ended]);
    member.#socket.write(upgradeRequest(`/app/${APP.key}?protocol=7&client=test&version=1.0`));
    await subscribed;
    if (member.members === undefined)
      throw new Error(`${user} is not in ${channel}: ${member.misfits.join('; ')}`);
    return member;
  }

  leave(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#rest, chunk]);
    if (!this.#isUpgraded) {
      const end = bytes.indexOf(HEAD_END);
      this.#rest = bytes;
      if (end === -1) return;
      this.#isUpgraded = true;
      bytes = bytes.subarray(end + HEAD_END.length);
    }
    for (let frame = readFrame(bytes); frame !== undefined; frame = readFrame(bytes)) {
      if (frame.first === TEXT) this.#hear(JSON.parse(frame.payload.toString()));
      else this.misfits.push(`a frame that begins with ${frame.first}: ${frame.payload.toString('latin1')}`);
      bytes = bytes.subarray(frame.end);
    }
    this.#rest = Buffer.from(bytes);
  }

  #hear(message: Message): void {
    switch (message.event) {
      case 'pusher:connection_established':
        this.#subscribe(JSON.parse(message.data).socket_id);
        return;
      case 'pusher_internal:subscription_succeeded':
        if (this.members !== undefined) this.misfits.push('subscribed twice');
        this.members = new Set(JSON.parse(message.data).presence.ids);
        if (!this.members.has(this.user)) this.misfits.push('is not in its own list');
        this.#onSubscribed();
        return;
      case 'pusher_internal:member_added': {
        const user: string = JSON.parse(message.data).user_id;
        if (this.members === undefined) this.misfits.push(`${user} was added before the list came`);
        else if (this.members.has(user)) this.misfits.push(`${user} was added, and was there`);
        this.members?.add(user);
        return;
      }
      case 'pusher_internal:member_removed': {
        const user: string = JSON.parse(message.data).user_id;
        if (this.members?.delete(user) !== true) this.misfits.push(`${user} was removed, and was not there`);
        return;
      }
      case 'pusher:ping':
        this.#socket.write(PONG);
        return;
      default:
        this.misfits.push(JSON.stringify(message));
    }
  }

  #subscribe(socketId: string): void {
    const channelData = JSON.stringify({ user_id: this.user, user_info: { name: this.user } });
    const signature = createHmac('sha256', APP.secret)
      .update(`${socketId}:${this.channel}:${channelData}`)
      .digest('hex');
    const data = { auth: `${APP.key}:${signature}`, channel_data: channelData, channel: this.channel };
    this.#socket.write(textFrame(JSON.stringify({ event: 'pusher:subscribe', data })));
  }
}
