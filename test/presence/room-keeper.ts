import type { FarmProcess } from '@roost/testing';
import { Member } from './member.ts';

const IN_FLIGHT = 64;
/** Of one source address, so that the ports last. */
const PER_ADDRESS = 4000;

/** Members of many channels on several farms, and what each of them must know by now. */
export class RoomKeeper {
  readonly #farms: readonly FarmProcess[];
  readonly #channelCount: number;
  #members: Member[] = [];
  #opened = 0;

  constructor(farms: readonly FarmProcess[], channelCount: number) {
    this.#farms = farms;
    this.#channelCount = channelCount;
  }

  get openCount(): number {
    return this.#members.filter(({ isOpen }) => isOpen).length;
  }

  /** Of all that were ever there. */
  get misfits(): string[] {
    return this.#members.flatMap(({ channel, user, misfits }) =>
      misfits.map((misfit) => `${user} of ${channel}: ${misfit}`),
    );
  }

  /** Adds members, spread over channels and farms. Every fifth is another tab of the one before it, on another farm. */
  async add(count: number, farms = this.#farms): Promise<void> {
    let left = count;
    const adder = async (): Promise<void> => {
      while (left-- > 0) {
        const number = this.#opened++;
        const person = number % 5 === 4 ? number - 1 : number;
        const farm = farms[number % farms.length];
        if (farm === undefined) throw new Error('there is no farm');
        const member = await Member.join(farm.port, {
          channel: `presence-${person % this.#channelCount}`,
          user: `u${person}`,
          localAddress: `127.0.0.${2 + Math.floor(number / PER_ADDRESS)}`,
        });
        this.#members.push(member);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, adder));
  }

  /** Ends every n-th member. */
  async remove(everyNth: number): Promise<void> {
    const leaving = this.#members.filter(({ isOpen }, index) => isOpen && index % everyNth === 0);
    for (const member of leaving) member.leave();
    await Promise.all(leaving.map(({ ended }) => ended));
  }

  /** Resolves when all that are connected to the port have ended. */
  async gone(port: number): Promise<void> {
    await Promise.all(this.#members.filter((member) => member.port === port).map(({ ended }) => ended));
  }

  /** The users of each channel that have a member. */
  truth(): Map<string, Set<string>> {
    const channels = new Map<string, Set<string>>();
    for (const { channel, user, isOpen } of this.#members) {
      if (!isOpen) continue;
      const users = channels.get(channel) ?? new Set();
      users.add(user);
      channels.set(channel, users);
    }
    return channels;
  }

  /** Members whose list is not the truth. */
  mistaken(): string[] {
    const truth = this.truth();
    const mistaken: string[] = [];
    for (const { isOpen, channel, user, members } of this.#members) {
      if (!isOpen) continue;
      const real = truth.get(channel) ?? new Set();
      const missing = [...real].filter((other) => members?.has(other) !== true);
      const extra = [...(members ?? [])].filter((other) => !real.has(other));
      if (missing.length + extra.length === 0) continue;
      mistaken.push(
        `${user} of ${channel} lacks ${missing.join(' ') || 'nobody'}, and has ${extra.join(' ') || 'nobody'}`,
      );
    }
    return mistaken;
  }

  leaveAll(): void {
    for (const member of this.#members) member.leave();
  }
}
