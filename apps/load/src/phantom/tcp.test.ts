import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const NATIVE = fileURLToPath(new URL('../../native/', import.meta.url));
const CASES = fileURLToPath(new URL('fixtures/tcp-cases.cc', import.meta.url));
const UNITS = [CASES, join(NATIVE, 'tcp.cc'), join(NATIVE, 'segment.cc')];
const FLAGS = ['-std=c++17', '-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover'];
/** Memory that is never freed cannot be looked for in a container without ptrace(2). */
const ENVIRONMENT = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' };

/** Connections against a server that is played by hand: native/tcp.cc without a device and without a clock. */
describe("a phantom's TCP", () => {
  let folder: string;
  let outcomes: Map<string, number>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tcp-cases-'));
    const program = join(folder, 'cases');
    await run(process.env['CXX'] || 'c++', [...UNITS, ...FLAGS, '-o', program]);
    const { stdout } = await run(program, { env: ENVIRONMENT });
    outcomes = new Map(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => {
          const { name, outcome }: { name: string; outcome: number } = JSON.parse(line);
          return [name, outcome];
        }),
    );
  }, 240_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  function outcomeOf(name: string): number {
    const outcome = outcomes.get(name);
    if (outcome === undefined) throw new Error(`there is no case of "${name}"`);
    return outcome;
  }

  it('sends again what was lost, also when the server opens its window meanwhile', () => {
    expect(outcomeOf('a FIN that was lost is sent again behind a new window')).toBe(1);
  });

  it('waits a minute for the end of a server, also when that opens its window meanwhile', () => {
    expect(outcomeOf('a server that never ends is given up also behind a new window')).toBe(0);
  });

  it('keeps its timers when the process was stopped for longer than they reach', () => {
    expect(outcomeOf('a SYN is sent again after the process was stopped for long')).toBe(5);
    expect(outcomeOf('and its connection fails when nobody answers')).toBe(1);
  });

  it('asks a server with a closed window for as long as it answers', () => {
    expect(outcomeOf('a server that does not answer with a closed window is gone')).toBe(1);
    expect(outcomeOf('a server that answers with a closed window is not')).toBe(0);
  });

  it('acknowledges a SYN that comes with a closed window', () => {
    // The server's first sequence number, and one for the SYN.
    expect(outcomeOf('a SYN with a closed window is acknowledged')).toBe(4_294_967_001);
  });

  it('acknowledges at once all that waited behind a gap', () => {
    expect(outcomeOf('segments that answer the one which fills a gap')).toBe(1);
    expect(outcomeOf('bytes that they acknowledge')).toBe(50);
  });

  it('keeps the bytes in order whatever a server sends, and every connection ends', () => {
    expect(outcomeOf('bytes of streams')).toBeGreaterThan(1_000_000);
    expect(outcomeOf('streams out of order')).toBe(0);
    expect(outcomeOf('connections that never ended')).toBe(0);
  });

  it('reads packets of any bytes, and nothing beside them', () => {
    expect(outcomeOf('packets that were read')).toBeGreaterThan(10_000);
  });
});
