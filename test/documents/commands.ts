import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './snippets.ts';
import type { Snippet } from './snippets.ts';

/** A command of a shell snippet, with what it needs around it. */
export interface Command {
  readonly where: string;
  readonly text: string;
}

type Kind = 'server' | 'check-config' | 'publish' | 'redis' | 'api' | 'load' | 'script';

/** How a command is tried, or why it cannot be. The first row that matches counts. */
export type Way =
  | { readonly matches: RegExp; readonly run: Kind }
  | { readonly matches: RegExp; readonly cannotRun: string };

const SERVER = String.raw`(?:npm start|node apps\/roost\/bin\/roost\.js start)\b`;
const VARIABLES = String.raw`(?:\w+=(?:"[^"]*"|\S*) )*`;

const WAYS: readonly Way[] = [
  { matches: new RegExp(`^${VARIABLES}${SERVER}`), run: 'server' },
  { matches: /^node apps\/roost\/bin\/roost\.js check-config\b/, run: 'check-config' },
  { matches: /^redis-cli PUBLISH /, run: 'publish' },
  { matches: /^redis-cli /, run: 'redis' },
  { matches: /^curl \S*\/api\//, run: 'api' },
  {
    matches: /^node apps\/load\/bin\/roost-load\.js .*EIO=4/,
    cannotRun: 'needs a Socket.IO, which is fetched by the bench only',
  },
  { matches: /^node apps\/load\/bin\/roost-load\.js /, run: 'load' },
  { matches: /^npm ci$/, cannotRun: 'installs what the specs run on' },
  { matches: /^npm prune /, cannotRun: 'removes what the specs run on' },
  { matches: /^npm (?:run (?:build|check)|test)\b/, cannotRun: 'is what CI runs around the specs' },
  { matches: /^npm run bench|^node bench\//, cannotRun: 'takes minutes to hours' },
  {
    matches: /^npm run (?:fuzz|dev)\b/,
    cannotRun: 'takes minutes, or does not end; a short run of the fuzzer is a spec of its own',
  },
  { matches: /^docker /, cannotRun: 'needs a Docker engine' },
  { matches: /^apt-get /, cannotRun: 'installs for the whole machine, as .ci/run does' },
  {
    matches: /^(?:systemctl|sysctl|install|cp|cd|echo|ulimit) /,
    cannotRun: 'changes the machine or the shell',
  },
];

/** The commands of a shell snippet: those of a line that go together by `&&` apart, and without comments. */
export function commandsOf({ text, where }: Snippet): Command[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/(?:^|\s+)#\s.*$/, '').trim())
    .flatMap((line) => line.split(' && '))
    .map((command) => ({ where, text: command.replaceAll(/\s+/g, ' ') }))
    .filter(({ text: command }) => command !== '');
}

/** Throws for a command that nobody knows, with what to do. */
export function wayOf({ where, text }: Command): Way {
  const way = WAYS.find(({ matches }) => matches.test(text));
  if (way !== undefined) return way;
  throw new Error(
    `${where}: nobody knows how to try the command "${text}". Give it a row in test/documents/commands.ts: a way to run it, or the reason why it cannot run.`,
  );
}

/** What a command names of this repository and is not there: scripts of npm, and files. */
export function missingFrom(command: string): string[] {
  const missing: string[] = [];
  const { scripts } = manifest();
  const script = /\bnpm (?:run )?([\w:]+)/.exec(command)?.[1];
  if (
    script !== undefined &&
    !['ci', 'prune', 'install'].includes(script) &&
    !Object.hasOwn(scripts, script)
  ) {
    missing.push(`npm run ${script}`);
  }
  for (const [path] of command.matchAll(
    /\b(?:apps|infra|bench|packages|scripts|docs)\/[\w./-]+(?![<\w./-])/g,
  )) {
    if (!exists(path)) missing.push(path);
  }
  return missing;
}

function exists(path: string): boolean {
  try {
    readFileSync(join(ROOT, path));
    return true;
  } catch {
    return false;
  }
}

/** `npm start -- …` as npm would run it, without building before. */
export function withoutNpm(command: string): string {
  const { start = '' } = manifest().scripts;
  return command.replace(/\bnpm start(?: --(?= ))?/, start.replace(/^exec /, ''));
}

function manifest(): { readonly scripts: Readonly<Record<string, string>> } {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
}
