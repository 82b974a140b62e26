import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../fixtures/command-line.ts';
import type { Run } from '../fixtures/command-line.ts';
import { printable } from '../readable-line.ts';
import { ConfigError } from './errors.ts';
import { printConfig } from './print.ts';
import { resolveConfig } from './resolve.ts';

/** Of the changed files. A failure names the file's number; its text is in the message. */
const SEED = 20_261_129;
const CHANGED_FILES = 250;

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-file-'));
  path = join(folder, 'roost.yaml');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What `roost check-config --config <file>` says. */
function check(file = path): Promise<Run> {
  return run(['check-config', '--config', file], {}, folder);
}

function checkText(text: string | Uint8Array): Promise<Run> {
  writeFileSync(path, text);
  return check();
}

/** Wide in ten places on each of nine levels. */
const LAUGHS = Array.from({ length: 9 }, (_, level) => {
  const below = level === 0 ? '"lol"' : `*l${level - 1}`;
  return `&l${level} [${Array.from({ length: 10 }, () => below).join(', ')}]`;
});

/** What is said of the file without the command line around it: nothing when its settings can be used and printed. */
function outcome(): string {
  try {
    printConfig(resolveConfig({ flags: {}, environment: {}, configPath: path, folder }));
    return '';
  } catch (error) {
    // Anything else fails the spec with its stack.
    if (!(error instanceof ConfigError)) throw error;
    return printable(error.message);
  }
}

describe('a configuration file', () => {
  it('may begin with a byte order mark, have Windows line ends, and use anchors', async () => {
    const { exitCode, printed } = await checkText(
      '\ufeff# Roost\r\nport: &port 9000\r\nbacklog: *port\r\napi: { maxBodyBytes: *port }\r\n',
    );
    expect(exitCode).toBe(0);
    expect(printed).toMatch(/^port: 9000 .*line 2/m);
    expect(printed).toMatch(/^backlog: 9000 .*line 3/m);
    expect(printed).toMatch(/^ {2}maxBodyBytes: 9000 .*line 4/m);
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    ['a list that holds itself', 'port: &a [*a]\n', /^port \(line 1 of .*\) must be an integer .*, got \[\[/],
    [
      'a list that holds itself, where a list belongs',
      'trustedProxies: &a [*a]\n',
      /^trustedProxies .*got \[/,
    ],
    ['a map that holds itself', 'port: &a { b: *a }\n', /^port .*got \{"b":/],
    [
      'the old name of an option',
      'maxChannelBufferBytes: 65536\n',
      /^maxChannelBufferBytes is called maxWorkerLinkBytes now/,
    ],
    ['a file that holds itself', '&a\nplain: *a\n', /^plain\.plain \(line 2 of .*\) is not a setting/],
    [
      'an alias of nothing',
      'port: *nowhere\n',
      /^Line 1 of .* has an alias \*nowhere, and no anchor &nowhere before it\.$/,
    ],
    [
      'a billion laughs',
      `trustedProxies: [${LAUGHS.join(', ')}]\n`,
      /^trustedProxies .* must be a list of at most 1024 addresses/,
    ],
    [
      'aliases without end',
      `port: &a 1\nbacklog: [${'*a,'.repeat(10_000)}]\n`,
      /must hold at most 100 aliases/,
    ],
    ['keys without end', Array.from({ length: 10_000 }, (_, i) => `k${i}: 1\n`).join(''), /^k0 \(line 1 /],
    ['lists within lists', `port: ${'['.repeat(10_000)}`, /nested too deeply/],
    ['lists within lists of another style', `port:\n  ${'- '.repeat(10_000)}`, /nested too deeply/],
    ['a key as long as a file', `${'k'.repeat(900)}: 1\n`, /^k{80}… \(line 1 of .*\) is not a setting/],
    ['a megabyte', Buffer.alloc(1024 * 1024, '# \n'), /it has 1048576 bytes, and may have 262144\.$/],
    [
      'bytes that are no text',
      Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0xff]),
      /must be text in UTF-8/,
    ],
    ['text in UTF-16', Buffer.from('\ufeffport: 1\n', 'utf16le'), /must be text in UTF-8/],
    ['a NUL', 'host: "\0"\n', /must be text in UTF-8/],
    ['a NUL as an escape', 'app: "a\\0b"\ntls: { cert: "a\\0b", key: k }\n', /its path holds a NUL/],
    ['a key with a line end', '"a\\nb": 1\n', /^a\\u000ab \(line 1 of .*\) is not a setting/],
    ['two documents', 'port: 1\n---\nport: 2\n', /holds several documents \(---\): it must be one\.$/],
    ['an unknown tag', 'host: !address 127.0.0.1\n', /^Line 1 of .* is not valid YAML: Unresolved tag/],
    ['a tag of binary data', '%YAML 1.1\n---\nhost: !!binary aGVsbG8=\n', /^host .*must be a numeric/],
    ['a merge key', '%YAML 1.1\n---\n<<: { port: 1 }\n', /^Symbol\(<<\)|^<< /],
    ['__proto__', '__proto__: { port: 1 }\n', /^__proto__ \(line 1 of .*\) is not a setting/],
    ['constructor', 'constructor: 1\n', /^constructor \(line 1 of .*\) is not a setting/],
    ['__proto__ in a group', 'api: { __proto__: 1 }\n', /^api\.__proto__ \(line 1 .*\) is not a setting/],
    ['__proto__ in a value', 'port: { __proto__: { a: 1 } }\n', /^port .*got \{"__proto__":\{"a":1\}\}/],
    ['a list as a key', '? [a]\n: 1\n', /^A list or a map as a key \(line 1 /],
    ['an alias as a key', 'port: &a 1\n*a : 2\n', /^\*a \(line 2 of .*\) is not a setting/],
    ['a value without a key', ': 1\n', /^A value without a key \(line 1 /],
    ['one word', 'port\n', /must hold settings such as "port: 8080", one per line\.$/],
    ['a number beyond all', 'port: 1e999\n', /^port .*got Infinity\./],
    ['what is no number', 'port: .nan\n', /^port .*got NaN\./],
    ['a group as a list', 'api: [key]\n', /^api \(line 1 of .*\) must be a group of settings/],
  ])('that holds %s is refused with one sentence', async (_, text, sentence) => {
    const { exitCode, errors } = await checkText(text);
    expect(errors).toMatch(/^[^\n]{1,700}\n$/);
    expect(errors.trimEnd()).toMatch(sentence);
    expect(exitCode).toBe(78);
  });

  it.each<[string, (at: string) => void, RegExp]>([
    ['is not there', () => undefined, /: there is no such file\.$/],
    ['is a folder', (at) => mkdirSync(at), /: it is a folder\.$/],
    [
      'is a pipe that nobody writes to',
      (at) => execFileSync('mkfifo', [at]),
      /: it is a pipe, a socket or a device/,
    ],
    ['is a device', (at) => symlinkSync('/dev/zero', at), /: it is a pipe, a socket or a device/],
    ['is a link to itself', (at) => symlinkSync(at, at), /: its symbolic links lead in a circle\.$/],
    [
      'is endless and says that it is empty',
      (at) => symlinkSync('/proc/self/pagemap', at),
      /cannot be read: /,
    ],
  ])('that %s is refused with one sentence', async (what, make, sentence) => {
    const at = join(folder, what.replaceAll(' ', '-'));
    make(at);
    const { exitCode, errors } = await check(at);
    expect(errors).toMatch(/^The configuration file [^\n]+ cannot be read: [^\n]+\n$/);
    expect(errors.trimEnd()).toMatch(sentence);
    expect(exitCode).toBe(78);
  });

  it.skipIf(process.getuid?.() === 0)('that may not be read is refused with one sentence', async () => {
    writeFileSync(path, 'port: 1\n');
    chmodSync(path, 0);
    expect((await check()).errors).toMatch(/: permission is denied\.\n$/);
    rmSync(path);
  });

  it.each(['tls: { cert: PIPE, key: PIPE }', 'tokens: { publicKey: PIPE }', 'tokens: { jwks: PIPE }'])(
    'with %s, where the file is a pipe, is refused with one sentence',
    async (text) => {
      const pipe = join(folder, `pipe-${text.length}`);
      execFileSync('mkfifo', [pipe]);
      const { exitCode, errors } = await checkText(text.replaceAll('PIPE', pipe));
      expect(errors).toMatch(/^[^\n]+: it is a pipe, a socket or a device, and must be a regular file\.\n$/);
      expect(exitCode).toBe(78);
    },
  );

  it(`holds good settings or is refused with one sentence, however it is changed (seed ${SEED})`, async () => {
    const random = randomOf(SEED);
    let good = 0;
    expect(await checkText(GOOD)).toMatchObject({ exitCode: 0, errors: '' });
    for (let file = 0; file < CHANGED_FILES; file++) {
      const bytes = changed(random);
      writeFileSync(path, bytes);
      const said = outcome();
      const what = `file ${file}: ${JSON.stringify(bytes.toString())}`;
      expect(said, what).toMatch(/^[^\n]{0,700}$/);
      if (said === '') good++;
    }
    // The changes are neither harmless nor always fatal.
    expect(Math.min(good, CHANGED_FILES - good)).toBeGreaterThan(CHANGED_FILES / 50);
  });
});

const GOOD = `# Roost
host: 127.0.0.1
port: &p 9000
workers: 2
maxConnections: 1000
backlog: *p
trustedProxies:
  - 10.0.0.0/8
  - "::1"
allowedOrigins: [https://app.example.com, 'https://*.example.com']
compression: "on"
api:
  key: sesame
  maxBodyBytes: 4096
plain: { clientPublish: true }
tokens:
  publicChannels: [public:*]
  secret: a-secret-of-the-issuer-and-of-nobody-else
`;

/** Pieces that mean something to YAML, to JavaScript or to a reader of bytes. */
const PIECES: readonly string[] = [
  ...'*p &p  *q &q  [ ] { } , :  -  ? '.split(' '),
  ...`"/'/|\n/>-\n/#/%/@/: /- /? /---\n/...\n/ : \n/? [a]\n`.split('/'),
  ...'%YAML 1.1\n---\n/%TAG ! x:\n/!!binary /!!set /!!str /!!int /!x /! '.split('/'),
  ...'<<: *p\n/__proto__: 1\n/constructor: 1\n/api: 1\n/api:\n/port: 1\n/a.b: 1\n'.split('/'),
  ...'~ null true 1e999 -0 .nan 0x1f 0o7 1_000 2001-12-14 99999999999999999999 ""'.split(' '),
  ...'\0/\ufeff/\t/\r/\r\n/\n/ /    /\u2028/\u0085/\u0007/\u{1f600}/\u202e'.split('/'),
  ...'[/{a: /- /*p,/x/ '.split('/').map((piece) => piece.repeat(150)),
];

function changed(random: (below: number) => number): Buffer {
  let bytes = Buffer.from(GOOD);
  for (let changes = random(3); changes >= 0; changes--) {
    const at = random(bytes.length + 1);
    const end = Math.min(bytes.length, at + random(12));
    const piece = Buffer.from(PIECES[random(PIECES.length)] ?? '');
    const middle = [
      piece,
      Buffer.concat([piece, bytes.subarray(at, end)]),
      Buffer.alloc(0),
      Buffer.of(random(256)),
      bytes.subarray(random(bytes.length + 1)),
    ][random(5)];
    bytes = Buffer.concat([bytes.subarray(0, at), middle ?? piece, bytes.subarray(end)]);
  }
  return bytes;
}

/** Integers from 0, the same ones for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let drawn = 0;
  return (below) => createHash('sha256').update(`${seed}/${drawn++}`).digest().readUInt32BE(0) % below;
}
