import type { MemberList } from './member-lists.ts';

/** A channel that has several subscribers in this worker, is reserved, or has publications under way. */
export interface HubChannel {
  readonly id: number;
  readonly name: string;
  /** Undefined: there is room for one member, in the hub's columns. */
  members: MemberList | undefined;
  /** For how many members there is room. */
  room: number;
  /** Members, holes included. */
  length: number;
  /** Members that are −1: they left while a broadcast was in flight. */
  holes: number;
  /** A broadcast walks the members: they keep their places. */
  isWalked: boolean;
  /** Upgrades that wait for this channel: it must stay subscribed for them. */
  reservations: number;
  /** Parts that rely on this object being the channel's, see Hub.retain. */
  retains: number;
}

/** It has the member that stands in the hub's columns, or none. */
export function newHubChannel(id: number, name: string, length: 0 | 1): HubChannel {
  return {
    id,
    name,
    members: undefined,
    room: 1,
    length,
    holes: 0,
    isWalked: false,
    reservations: 0,
    retains: 0,
  };
}
