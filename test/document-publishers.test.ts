import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { redisIsInstalled } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { ofLanguage } from './documents/snippets.ts';
import type { Snippet } from './documents/snippets.ts';
import { stageForAll } from './documents/stage.ts';
import { API_KEY, connect } from './harness/system.ts';

const execute = promisify(execFile);
const stage = stageForAll();

/** How a program of another language is run here, and which Debian package brings it. */
interface Runtime {
  readonly language: string;
  readonly extension: string;
  /** The first that can do it is taken: a user's own Python may not see the packages of the system. */
  readonly commands: readonly (readonly string[])[];
  /** Words that succeed where the program can run. */
  readonly check: readonly string[];
  readonly checkRedis?: readonly string[];
  readonly packages: string;
}

const RUNTIMES: readonly Runtime[] = [
  {
    language: 'python',
    extension: 'py',
    commands: [['python3'], ['/usr/bin/python3']],
    check: ['-c', ''],
    checkRedis: ['-c', 'import redis'],
    packages: 'python3 python3-redis',
  },
  {
    language: 'php',
    extension: 'php',
    commands: [['php']],
    check: ['-r', 'exit(extension_loaded("curl") ? 0 : 1);'],
    checkRedis: ['-r', 'exit(extension_loaded("redis") ? 0 : 1);'],
    packages: 'php-cli php-curl php-redis',
  },
  { language: 'go', extension: 'go', commands: [['go']], check: ['version'], packages: 'golang-go' },
  {
    language: 'ruby',
    extension: 'rb',
    commands: [['ruby']],
    check: ['-e', ''],
    checkRedis: ['-e', 'require "redis"'],
    packages: 'ruby ruby-redis',
  },
];

const isOfRedis = ({ text }: Snippet): boolean => text.includes('roost:channel:');

/** The command that can run this program; undefined, with a word on stderr, where none is installed. */
function commandFor(snippet: Snippet): readonly string[] | undefined {
  const runtime = RUNTIMES.find(({ language }) => language === snippet.language);
  if (runtime === undefined) throw new Error(`${snippet.where}: nobody runs ${snippet.language}.`);
  const check = isOfRedis(snippet) ? runtime.checkRedis : runtime.check;
  if (check === undefined) throw new Error(`${snippet.where}: nobody has a Redis for ${snippet.language}.`);
  const found = runtime.commands.find((command) => succeeds([...command, ...check]));
  if (found === undefined || (isOfRedis(snippet) && !redisIsInstalled())) {
    process.stderr.write(`${snippet.where} is not run: "apt-get install ${runtime.packages}" lets it.\n`);
    return undefined;
  }
  return runtime.language === 'go' ? [...found, 'run'] : found;
}

function succeeds([file = '', ...words]: readonly string[]): boolean {
  try {
    execFileSync(file, words, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const publishers = ofLanguage(...RUNTIMES.map(({ language }) => language)).map(
  (snippet): [string, Snippet, readonly string[] | undefined] => [
    `${snippet.where} (${snippet.language}, ${isOfRedis(snippet) ? 'Redis' : 'HTTP'})`,
    snippet,
    commandFor(snippet),
  ],
);

describe('publishers in other languages', () => {
  it('are shown in each, over HTTP', () => {
    for (const { language } of RUNTIMES) {
      expect(ofLanguage(language).some((snippet) => !isOfRedis(snippet))).toBe(true);
    }
  });

  it.each(publishers.filter(([, , command]) => command !== undefined))(
    '%s reaches the clients of its channel',
    async (_, snippet, command) => {
      const { farm, programs, redis } = stage();
      const runtime = RUNTIMES.find(({ language }) => language === snippet.language);
      const client = await connect(farm, '/plain?channel=news');
      const text = snippet.text
        .replaceAll('localhost:8080', `127.0.0.1:${farm.port}`)
        .replaceAll('localhost:6379', `127.0.0.1:${redis?.port}`)
        .replaceAll("'localhost', 6379", `'127.0.0.1', ${redis?.port}`);
      expect(text).not.toContain('localhost');
      const path = await programs.write(`publisher.${runtime?.extension}`, text);
      const [file = '', ...words] = command ?? [];
      const { PATH = '', HOME = programs.folder } = process.env;
      await execute(file, [...words, path], {
        env: { PATH, HOME, GOCACHE: `${programs.folder}/go`, ROOST_API_KEY: API_KEY },
      });
      expect((await client.nextMessage()).text).toBe('hello');
      // What it was told is wrong ends it with an error, and is not passed over.
      if (isOfRedis(snippet)) return;
      const refused = execute(file, [...words, path], {
        env: { PATH, HOME, GOCACHE: `${programs.folder}/go`, ROOST_API_KEY: 'wrong' },
      });
      await expect(refused).rejects.toThrow();
    },
  );
});
