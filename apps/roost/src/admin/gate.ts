import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isLoopbackHost } from './host.ts';

/** Who may ask for what. */
export interface GateRules {
  /** The listener is on a loopback address: then requests must name it. */
  readonly isOnLoopback: boolean;
  readonly token: string;
  /** Whether the operator has chosen the token: then nothing is told without it. */
  readonly isTokenChosen: boolean;
}

/** What a request asks for, as far as the gate makes a difference. `page`: the files of the dashboard, which tell nothing. */
export type Wish = 'metrics' | 'page' | 'rest';

export interface Refused {
  readonly status: 401 | 403;
  readonly reason: string;
}

/** Decides who is let in, by the head of a request alone. */
export class Gate {
  readonly #rules: GateRules;
  readonly #digest: Buffer;

  constructor(rules: GateRules) {
    this.#rules = rules;
    this.#digest = sha256(rules.token);
  }

  /** Why a request is refused; undefined lets it in. */
  refusalOf(wish: Wish, headers: IncomingHttpHeaders): Refused | undefined {
    const { isOnLoopback, isTokenChosen } = this.#rules;
    if (isOnLoopback && !isLoopbackHost(headers.host)) {
      return { status: 403, reason: 'this listener is asked as localhost or by its address' };
    }
    if (wish === 'page') return undefined;
    // Numbers, for whoever is on this machine anyway.
    if (wish === 'metrics' && isOnLoopback && !isTokenChosen) return undefined;
    if (this.#knows(headers.authorization)) return undefined;
    return { status: 401, reason: 'show the admin token: Authorization: Bearer <token>' };
  }

  #knows(authorization: string | undefined): boolean {
    const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    // Digests have one length whatever was sent, so that the time of the comparison reveals nothing.
    return token !== undefined && timingSafeEqual(sha256(token), this.#digest);
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
