import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { get as getSecurely } from 'node:https';
import { text } from 'node:stream/consumers';
import { checkListen } from '@roost/farm/checks';
import type { FarmOptions } from '@roost/farm';

/** What was tried, since no file tells. */
export interface Probes {
  /** Of Node.js: `20.20.2`. */
  readonly node: string;
  readonly arch: string;
  /** Why the native addon does not load; undefined when it does. */
  readonly pollerProblem: string | undefined;
  /** Why a farm could not listen; undefined when it could. */
  readonly listen: { readonly code: string; readonly reason: string } | undefined;
  /** Whether a Roost answers on that port now. */
  readonly isRoostThere: boolean;
}

/** Long for a health check on the same host. */
const HEALTH_MS = 2000;

/** Listens for a moment where the farm would, and asks who is there if it cannot. */
export async function probe(options: FarmOptions): Promise<Probes> {
  const usual = {
    node: process.versions.node,
    arch: process.arch,
    pollerProblem: undefined,
    listen: undefined,
    isRoostThere: false,
  };
  try {
    checkListen(options);
    return usual;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    if (error.code === 'POLLER_UNAVAILABLE') return { ...usual, pollerProblem: error.message };
    const listen = { code: String(error.code), reason: error.message };
    const isInUse = error.code === 'FARM_ERR_PORT_IN_USE';
    return { ...usual, listen, isRoostThere: isInUse && (await answersAsRoost(options)) };
  }
}

/** Where a PROXY header is required it does not answer, and the port just counts as in use. */
async function answersAsRoost({ host = '0.0.0.0', port = 0, tls }: FarmOptions): Promise<boolean> {
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const asked = {
    host: address,
    port,
    path: '/health/live',
    // It names the host that clients know, and this is only a question.
    rejectUnauthorized: false,
    signal: AbortSignal.timeout(HEALTH_MS),
  };
  try {
    const request = tls === undefined ? get(asked) : getSecurely(asked);
    const [response]: IncomingMessage[] = await once(request, 'response', { signal: asked.signal });
    return response !== undefined && (await text(response)) === '{"status":"live"}';
  } catch {
    return false;
  }
}
