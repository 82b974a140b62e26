import type {
  ConnectionDetails,
  MemberChannels,
  Overview,
  ShownChanges,
  ShownMembers,
  ShownWebhooks,
  TopChannels,
} from '../../src/admin/answers.ts';

/** Longer than a farm needs that has a stopped worker. */
const TIMEOUT_MS = 8000;

/** The server has answered with an error. */
export class ApiProblem extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The admin API, with the token in the head of each request: never in a cookie, which pages of others could use. */
export class Api {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  overview(): Promise<Overview> {
    return this.#call('GET', '/api/overview');
  }

  topChannels(): Promise<TopChannels> {
    return this.#call('GET', '/api/channels');
  }

  memberChannels(): Promise<MemberChannels> {
    return this.#call('GET', '/api/presence');
  }

  members(channel: string): Promise<ShownMembers> {
    return this.#call('GET', `/api/members?channel=${encodeURIComponent(channel)}`);
  }

  webhooks(): Promise<ShownWebhooks> {
    return this.#call('GET', '/api/webhooks');
  }

  changes(): Promise<ShownChanges> {
    return this.#call('GET', '/api/changes');
  }

  connection(id: string): Promise<ConnectionDetails> {
    return this.#call('GET', `/api/connections/${encodeURIComponent(id)}`);
  }

  publish(channel: string, data: string): Promise<object> {
    return this.#call('POST', '/api/publish', { channel, data });
  }

  disconnect(target: Readonly<Record<string, string>>): Promise<{ readonly isFound: boolean }> {
    return this.#call('POST', '/api/disconnect', target);
  }

  drain(): Promise<object> {
    return this.#call('POST', '/api/drain', { confirm: 'drain' });
  }

  async #call<Answer>(method: string, path: string, body?: object): Promise<Answer> {
    const response = await fetch(path, {
      method,
      headers: {
        Authorization: `Bearer ${this.#token}`,
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new ApiProblem(response.status, problemIn(text));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own server, of the same version.
    return JSON.parse(text) as Answer;
  }
}

function problemIn(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'error' in parsed) return String(parsed.error);
  } catch {
    // Not JSON: the words of the gate.
  }
  return text.trim();
}
