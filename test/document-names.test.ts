import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CHANNEL_EVENT_TYPES } from '@roost/broker';
import { CLOSE_CODES } from '@roost/farm';
import * as poller from '@roost/poller';
import { describe, expect, it } from 'vitest';
import { COUNTER_GROUPS } from '../apps/roost/src/admin/metrics/counter-metrics.ts';
import { documentedMetrics } from '../apps/roost/src/admin/metrics/reference.ts';
import { flagOf, variableOf } from '../apps/roost/src/config/names.ts';
import { OPTION_KEYS } from '../apps/roost/src/config/options.ts';
import { CLOSE_CODES as PUSHER_CLOSE_CODES } from '../apps/roost/src/worker/dialects/pusher/close-codes.ts';
import { CLOSING_ERRORS } from '../apps/roost/src/worker/dialects/pusher/errors.ts';
import { COUNTERS } from '../packages/farm/src/api/counters.ts';
import { leadsSomewhere } from './documents/links.ts';
import { documents, proseOf, ROOT } from './documents/snippets.ts';

/** Names that documents use and that are not ours. */
const FOREIGN_FLAGS = new Set([
  '--no-',
  '--help',
  '--omit',
  '--kill-whom',
  '--signal',
  '--deploy-hook',
  '--add-architecture',
  '--external',
  '--enable-source-maps',
  '--max-old-space-size',
  '--test',
  '--scale',
  '--allowed-unsafe-sysctls',
]);
const FOREIGN_NAMES = new Set([
  // Linux, Docker, Kubernetes, our Helm chart and RFC 7692.
  'smaps_rollup',
  'nf_conntrack_max',
  'preStop',
  'preStopSeconds',
  'thash_entries',
  'stop_grace_period',
  'terminationGracePeriodSeconds',
  'server_no_context_takeover',
  'client_no_context_takeover',
  'server_max_window_bits',
  // npm, TypeScript, Fastify and socket.io.
  'devDependencies',
  'trustProxy',
  'erasableSyntaxOnly',
  'pingInterval',
  // pusher-js, Laravel and Reverb.
  'wssPort',
  'encryptedPrivate',
  'toOthers',
  'allowed_origins',
]);

const all = documents().map((document) => ({ document, prose: proseOf(document) }));
const sources = sourcesBelow(['packages', 'apps', 'bench', 'scripts', 'test', 'infra']);
/** Of what runs: specs say much that is not so. */
const sourceText = sources
  .filter(({ path }) => !/\.test\.ts$|^test\/(?!fuzz\/)/.test(path))
  .map(({ text }) => text)
  .join('\n');

interface Source {
  readonly path: string;
  readonly text: string;
}

function sourcesBelow(folders: readonly string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter(
        (path) => /\.(?:ts|mjs|js|cc|h)$/.test(path) && !/(?:^|\/)(?:node_modules|dist|build)\//.test(path),
      )
      .map((path) => join(folder, path))
      .filter((path) => statSync(join(ROOT, path)).isFile())
      .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') })),
  );
}

/** What matches in the prose of any document and is not known, with where it stands. */
function unknown(pattern: RegExp, isKnown: (name: string) => boolean): string[] {
  const found = all.flatMap(({ document, prose }) =>
    Array.from(prose.matchAll(pattern), ({ 1: name = '', index }) => ({
      name,
      where: `${document}:${prose.slice(0, index).split('\n').length}`,
    })),
  );
  expect(found.length, `nothing matches ${pattern}`).toBeGreaterThan(0);
  return found.filter(({ name }) => !isKnown(name)).map(({ name, where }) => `${where}: ${name}`);
}

/** The cells of a table's rows that begin with a number, in the page of errors. */
function numbersOf(heading: string): Set<string> {
  const section = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8').split(`\n## ${heading}\n`)[1];
  const rows = (section ?? '').split('\n## ')[0]?.matchAll(/^\| (\d+) +\| (\d+)?/gm) ?? [];
  return new Set([...rows].flatMap(([, first = '', second = '']) => [first, second]));
}

// The tools write theirs out, or as the keys of parseArgs.
const isInSource = (flag: string): boolean =>
  sourceText.includes(`'${flag}`) ||
  sourceText.includes(`${flag} `) ||
  sourceText.includes(`'${flag.slice(2)}'`) ||
  new RegExp(`\\b${flag.slice(2)}: \\{ type:`).test(sourceText);

/** With what Prometheus adds to a histogram's name. */
const METRIC_NAMES = new Set(
  documentedMetrics().flatMap(({ name, type }) =>
    type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  ),
);
/** The values of their labels that are words of several. */
const LABEL_VALUES = new Set(COUNTER_GROUPS.flatMap(({ members }) => Object.values(members)));

const isCounter = (name: string): boolean =>
  Object.hasOwn(COUNTERS, name) ||
  METRIC_NAMES.has(name) ||
  LABEL_VALUES.has(name) ||
  FOREIGN_NAMES.has(name);

const apiText = sources
  .filter(({ path }) => path.startsWith('apps/roost/src/worker/api/') && !path.endsWith('.test.ts'))
  .map(({ text }) => text)
  .join('\n');

/** The words of the Pusher protocol, of its counters and its settings. */
const pusherWords = new Set(
  sources
    .filter(({ path }) => /^apps\/roost\/src\/(?:worker\/dialects\/pusher|config\/pusher)/.test(path))
    .filter(({ path }) => !path.endsWith('.test.ts'))
    .flatMap(({ text }) => text.match(/\b[a-z]+(?:_[a-z]+)+\b/g) ?? []),
);

/** A counter, a recorded event, or a member of a message or an answer. */
const isCounterOrAnswered = (name: string): boolean =>
  isCounter(name) ||
  pusherWords.has(name) ||
  CHANNEL_EVENT_TYPES.some((type) => type === name) ||
  new RegExp(`\\b${name}\\??:`).test(apiText);

function namesInTable(document: string, row: RegExp): string[] {
  return proseOf(document)
    .split('\n')
    .filter((line) => row.test(line))
    .flatMap((line) => Array.from(line.matchAll(/`(\w+)`/g), ([, name = '']) => name));
}

describe('what the documents name', () => {
  it('as an option of the command line is one', () => {
    const known = new Set([...FOREIGN_FLAGS, ...OPTION_KEYS.map(flagOf)]);
    expect(unknown(/(?<![\w-])(--[a-z][\w-]*)/g, (flag) => known.has(flag) || isInSource(flag))).toEqual([]);
  });

  it('as a variable is one', () => {
    // The first names the file, and is no option; the second is of the specs.
    const known = new Set(['ROOST_CONFIG', 'ROOST_TEST_SEED', ...OPTION_KEYS.map(variableOf)]);
    expect(
      unknown(/\b(ROOST_[A-Z_]*[A-Z])\b/g, (name) => known.has(name) || sourceText.includes(`'${name}'`)),
    ).toEqual([]);
  });

  it('as an option of the server, by its unit or its section, is one', () => {
    const known = new Set<string>(OPTION_KEYS);
    // Those of an app are named without their group, too.
    for (const key of OPTION_KEYS) if (key.startsWith('pusher.')) known.add(key.slice('pusher.'.length));
    const isOfPoller = new Set([
      'movedBytes',
      'slabBytes',
      'rowBytes',
      'bufferedBytes',
      'outstandingBytes',
      'unreadBytes',
      'sealedFileBytes',
    ]);
    const isOfApi = new Set(['deadlineMs', 'startDeadlineMs', 'maxBytes', 'keepMs']);
    const pattern =
      /`((?:max[A-Z]\w*|[a-z]\w*(?:Ms|Bytes|Seconds)|(?:plain|tokens|tls|api|log|admin|pusher)\.[a-z]\w*))`/g;
    expect(
      unknown(
        pattern,
        (name) => known.has(name) || isOfPoller.has(name) || isOfApi.has(name) || FOREIGN_NAMES.has(name),
      ),
    ).toEqual([]);
  });

  it('as a counter, a reason or a member of an answer is one', () => {
    expect(unknown(/`([a-z]+(?:_[a-z]+)+)`/g, isCounterOrAnswered)).toEqual([]);
  });

  it('as a function, a hook, a property or a type stands in the sources', () => {
    const words = new Set(sourceText.match(/\b[a-zA-Z]\w*\b/g));
    const isThere = (name: string): boolean => words.has(name) || FOREIGN_NAMES.has(name);
    expect(unknown(/`([a-z]+[A-Z]\w*)(?:\([^`]*\))?`/g, isThere)).toEqual([]);
  });

  it('as a source file is one', () => {
    const names = new Set(sources.map(({ path }) => basename(path)));
    // What the compiler makes in a project, and what Laravel has in one.
    names.add('app.js').add('chat.js').add('echo.js');
    expect(
      unknown(/`(?:[\w./-]*\/)?([\w-]+(?:\.test|\.contract)?\.(?:ts|mjs|js|cc))`/g, (name) =>
        names.has(name),
      ),
    ).toEqual([]);
  });

  it('as a close code is one of the page of errors', () => {
    const known = new Set(Object.values(CLOSE_CODES).map(({ code }) => String(code)));
    expect(numbersOf('Close codes')).toEqual(new Set([...known, '']));
    // Or one of the page of the Pusher protocol, of which a spec compares the tables.
    for (const { code } of [...Object.values(CLOSING_ERRORS), ...Object.values(PUSHER_CLOSE_CODES)]) {
      known.add(String(code));
    }
    // 1002 to 1014 and 3000 to 4999 are also ranges that an operator may choose from.
    expect(
      unknown(/\bclos(?:e|es|ed|ing)\b[^.|]{0,60}?\bwith (\d{4})\b/g, (code) => known.has(code)),
    ).toEqual([]);
  });

  it('as an HTTP status is one of the page of errors', () => {
    const known = new Set([...numbersOf('HTTP statuses'), ...numbersOf('Errors of the HTTP API')]);
    expect(
      unknown(
        /\b(?:gets?|get|answers?|refused with|refused:|is|with) ([45]\d\d)\b(?! [a-z]+s\b)/g,
        (status) => known.has(status),
      ),
    ).toEqual([]);
  });

  it('as a link leads somewhere, also in what tells of times that are over', () => {
    const others = [
      'CHANGELOG.md',
      ...['docs/decisions', 'docs/measurements'].flatMap((folder) =>
        readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
      ),
    ].map((document) => ({ document, prose: proseOf(document) }));
    const broken = [...all, ...others].flatMap(({ document, prose }) =>
      Array.from(prose.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target)
        .filter((target) => !/^https?:/.test(target))
        .filter((target) => !leadsSomewhere(document, target))
        .map((target) => `${document}: ${target}`),
    );
    expect(broken).toEqual([]);
  });
});

describe('tables that list something whole', () => {
  it('have every function of the poller', () => {
    const functions = Object.entries(poller)
      .filter(([name, value]) => typeof value === 'function' && !/^[A-Z]/.test(name))
      .map(([name]) => name);
    const methods = Object.getOwnPropertyNames(poller.Poller.prototype).filter(
      (name) => name !== 'constructor',
    );
    expect(namesInTable('packages/poller/README.md', /^\| [a-z]/).toSorted()).toEqual(
      [...functions, ...methods].toSorted(),
    );
  });

  it('have every folder of the farm, of its master and of its worker', () => {
    const architecture = proseOf('ARCHITECTURE.md');
    const folders = ['', 'master/', 'worker/'].flatMap((place) =>
      readdirSync(join(ROOT, 'packages/farm/src', place), { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && entry.name !== 'fixtures')
        .map(({ name }) => `${name}/`),
    );
    expect(folders).toContain('states/');
    expect(folders.filter((folder) => !architecture.includes(`\`${folder}\``))).toEqual([]);
    const own = readdirSync(join(ROOT, 'packages/farm/src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${name}/`);
    const rows = proseOf('packages/farm/README.md').matchAll(/^\| `(\w[\w-]*\/)`/gm);
    expect(Array.from(rows, ([, name = '']) => name).toSorted()).toEqual(own.toSorted());
  });

  it('have every hook of an application', () => {
    const app = readFileSync(join(ROOT, 'packages/farm/src/api/app.ts'), 'utf8');
    const body = /export interface App\b[^{]*\{(.*?)\n\}/s.exec(app)?.[1] ?? '';
    const hooks = Array.from(body.matchAll(/^ {2}(\w+)\?\(/gm), ([, name = '']) => name);
    expect(hooks).toContain('upgrade');
    const rows = proseOf('docs/guide/writing-an-app.md').matchAll(/^\| `(\w+)\(/gm);
    expect(Array.from(rows, ([, name = '']) => name).toSorted()).toEqual(hooks.toSorted());
  });
});
