import { accept, defineApp, reject } from '@roost/farm';
import type { App, Log, UpgradeDecision, UpgradeRequest } from '@roost/farm';
import { SignJWT } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import type { TokenOptions } from '../options.ts';
import { TokenGuard } from './guard.ts';
import { TokenVerifier } from './verifier.ts';

const SECRET = 'a-secret-that-has-32-characters!';
const OPTIONS: TokenOptions = {
  key: { kind: 'secret', secret: SECRET },
  issuer: null,
  audience: null,
  clockToleranceSeconds: 0,
  allowAnonymous: false,
  publicChannels: [],
  jwksTimeoutMs: 1000,
  jwksCacheMs: 1000,
  jwksStaleMs: 1000,
  jwksCooldownMs: 1000,
};
const EXP = Math.floor(Date.now() / 1000) + 600;

function nothing(): void {}
const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing };

const counts: string[] = [];
let token: string;
beforeEach(async () => {
  counts.length = 0;
  token = await new SignJWT({ sub: 'ada', exp: EXP })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(Buffer.from(SECRET));
});

function request(protocols: readonly string[], signal = new AbortController().signal): UpgradeRequest {
  const headers = { 'sec-websocket-protocol': protocols.join(', ') };
  const query = new URLSearchParams();
  return { url: '/', path: '/', query, headers, protocols, remoteAddress: '::1', signal, claims: undefined };
}

/** What the apps of a worker answer: the guard's own, then `app` behind it. */
async function decide(
  app: App,
  asked: UpgradeRequest,
  options: Partial<TokenOptions> = {},
): Promise<UpgradeDecision> {
  const all = { ...OPTIONS, ...options };
  const guard = new TokenGuard(all, new TokenVerifier(all, log), (name) => counts.push(name));
  return (await guard.app.upgrade?.(asked)) ?? (await guard.guard(app).upgrade?.(asked));
}

describe('an app behind the guard', () => {
  it('lets connections live as long as the token, the tolerance of the clock included', async () => {
    const asked = request([`bearer.${token}`, 'chat']);
    expect(await decide({ upgrade: () => accept() }, asked)).toMatchObject({ expiresAt: EXP });
    const tolerant = { clockToleranceSeconds: 5 };
    expect(await decide({ upgrade: () => accept() }, asked, tolerant)).toMatchObject({ expiresAt: EXP + 5 });
  });

  it('may let them live shorter, not longer', async () => {
    const asked = request([`bearer.${token}`]);
    for (const [expiresAt, expected] of [
      [EXP - 60, EXP - 60],
      [EXP + 60, EXP],
    ] as const) {
      expect(await decide({ upgrade: () => accept({ expiresAt }) }, asked)).toMatchObject({
        expiresAt: expected,
      });
    }
  });

  it('chooses the protocol, and its answers are otherwise left as they are', async () => {
    const asked = request(['one', `bearer.${token}`, 'two']);
    const accepted = await decide(
      { upgrade: async () => accept({ protocol: 'two', channels: ['a'] }) },
      asked,
    );
    expect(accepted).toMatchObject({ kind: 'accept', protocol: 'two', channels: ['a'] });
    expect(await decide({ upgrade: () => accept() }, asked)).toMatchObject({ protocol: 'one' });
    const refused = reject(403, 'no');
    expect(await decide({ upgrade: () => refused }, asked)).toBe(refused);
    expect(await decide({ upgrade: () => undefined }, asked)).toBeUndefined();
    expect(await decide({ open: nothing }, asked)).toBeUndefined();
    expect(counts).toEqual([]);
  });

  it('keeps its hooks, those of a class with private members too', () => {
    class Counting implements App {
      readonly name = 'counting';
      #opened = 0;
      open(): void {
        this.#opened++;
      }
      http(): boolean {
        return this.#opened === 1;
      }
    }
    const guard = new TokenGuard(OPTIONS, new TokenVerifier(OPTIONS, log), nothing);
    const guarded = guard.guard(defineApp(new Counting()));
    expect(guarded.name).toBe('counting');
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the hooks of this app look at nothing
    const none = {} as never;
    void guarded.open?.(none);
    expect(guarded.http?.(none, none)).toBe(true);
    expect(Object.keys(guarded).toSorted()).toEqual(['http', 'name', 'open', 'upgrade']);
  });

  it('is not asked about a client without a token, unless it may be', async () => {
    const seen: unknown[] = [];
    const app: App = {
      upgrade(asked) {
        seen.push(asked.claims);
        return accept();
      },
    };
    expect(await decide(app, request(['chat']))).toMatchObject({ kind: 'reject', status: 401 });
    expect(counts).toEqual(['token_missing']);
    expect(seen).toEqual([]);
    expect(await decide(app, request(['chat']), { allowAnonymous: true })).toEqual(accept());
    expect(seen).toEqual([undefined]);
  });

  it('is not asked about a client that went away while its token was verified, and nothing is counted', async () => {
    const controller = new AbortController();
    const asked = request(['bearer.not-a-token'], controller.signal);
    controller.abort();
    const app: App = {
      upgrade() {
        throw new Error('was asked');
      },
    };
    expect(await decide(app, asked)).toMatchObject({ kind: 'reject' });
    expect(counts).toEqual([]);
  });
});

it('an app behind the guard has all that it had before', () => {
  const whole: Required<App> = {
    name: 'whole',
    version: '1',
    encode: () => undefined,
    replies: [],
    heartbeat: 'ping',
    closeCodes: {},
    returnAtOnce: { code: 4200, perSecond: 1 },
    occupancy: true,
    tellsCount: () => false,
    resync: () => undefined,
    upgrade: () => undefined,
    open: nothing,
    message: nothing,
    writable: nothing,
    handover: nothing,
    moved: nothing,
    close: nothing,
    http: nothing,
    stop: nothing,
  };
  const guard = new TokenGuard(OPTIONS, new TokenVerifier(OPTIONS, log), () => undefined);
  expect(Object.keys(guard.guard(whole)).toSorted()).toEqual(Object.keys(whole).toSorted());
});
