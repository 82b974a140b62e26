import type { PusherApp } from '../apps.ts';
import type { Query } from './query.ts';

/** A request whose app is known. */
export interface ApiRequest {
  readonly app: PusherApp;
  readonly query: Query;
  /** Empty without one. */
  readonly body: string;
  /** A channel, or the id of a user, in the path. */
  readonly name: string;
}
