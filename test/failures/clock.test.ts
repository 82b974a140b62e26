import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { drillOf } from '../harness/failures-guide.ts';
import {
  call,
  connect,
  connectMany,
  counter,
  endAfterTest,
  expectEcho,
  get,
  startFarm,
} from '../harness/system.ts';

/** Debian's `libfaketime`: what a process is told of the time of day, and nothing of the time that goes by. */
const LIBRARY = `/usr/lib/${arch() === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;
const hasLibrary = existsSync(LIBRARY);
if (!hasLibrary)
  process.stderr.write(
    `Jumps of the clock are not tried: "apt-get install libfaketime" brings ${LIBRARY} in.\n`,
  );

const HOUR_SECONDS = 3600;
const SECRET = 'a-secret-of-at-least-thirty-two-bytes';

/** A clock that can be set, and the environment in which processes go by it. */
function settableClock() {
  const folder = mkdtempSync(join(tmpdir(), 'roost-clock-'));
  endAfterTest(async () => rmSync(folder, { recursive: true }));
  const file = join(folder, 'time');
  const set = (offsetSeconds: number): void => {
    writeFileSync(`${file}.new`, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`);
    renameSync(`${file}.new`, file);
  };
  set(0);
  const env = {
    LD_PRELOAD: LIBRARY,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  return { set, env };
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function tokenUntil(expiresAt: number): string {
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: 'ann', exp: Math.floor(expiresAt) })}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

describe.skipIf(!hasLibrary)(
  'a clock that jumps by an hour, forward and back (skipped without libfaketime)',
  () => {
    it('ends no connection and delays nothing: new tokens only are judged by it', async () => {
      const clock = settableClock();
      const farm = await startFarm(
        ['--heartbeat-ms', '1000', '--tokens-secret', SECRET, '--tokens-public-channels', 'news'],
        { env: clock.env },
      );
      const inHalfAnHour = tokenUntil(Date.now() / 1000 + HOUR_SECONDS / 2);
      const path = `/echo?token=${inHalfAnHour}`;
      const clients = await connectMany(farm, path, 4);
      const news = await connect(farm, '/plain?channel=news');
      const logged = async (): Promise<number> => {
        const from = farm.logs.length;
        await get(farm, '/log');
        return Date.parse(String((await farm.log(({ msg }) => msg === 'asked to log', from))['time']));
      };
      for (const offset of [HOUR_SECONDS, 0, -HOUR_SECONDS]) {
        clock.set(offset);
        // All processes live in that time.
        expect(Math.abs((await logged()) - Date.now() - offset * 1000)).toBeLessThan(HOUR_SECONDS * 500);
        const pings = await counter(farm, 'pings_sent');
        await eventually(async () => (await counter(farm, 'pings_sent')) > pings);
        for (const client of clients) await expectEcho(client, 'still here');
        expect(await call(farm, 'publish', { channel: 'news', data: `at ${offset}` })).toMatchObject({
          status: 200,
        });
        expect((await news.nextMessage()).text).toBe(`at ${offset}`);
        if (offset > 0) await expect(connect(farm, path)).rejects.toMatchObject({ status: 401 });
        else await expectEcho(await connect(farm, path), 'welcome');
      }
      expect(await counter(farm, 'closed_token_expired')).toBe(0);
      expect(await counter(farm, 'closed_heartbeat')).toBe(0);
      expect(await counter(farm, 'worker_kills')).toBe(0);
      await drillOf('The clock jumps').expectQuoted(() => farm.logs);
    });
  },
);
