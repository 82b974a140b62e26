import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { App, WorkerContext } from '@roost/farm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadUserApps } from './user-app.ts';

let folder: string;
let written = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-app-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only `worker` is asked for by the modules here
const context = { worker: 3 } as unknown as WorkerContext;

function load(source: string): Promise<readonly App[]> {
  const path = join(folder, `app-${written++}.mjs`);
  writeFileSync(path, source);
  return loadUserApps(pathToFileURL(path).href, context);
}

describe('the application of the user', () => {
  it('is an app, an array of apps, or a function of the context that makes them', async () => {
    expect(await load('export default { message() {} }')).toHaveLength(1);
    expect(await load('export default [{ open() {} }, { close() {} }]')).toHaveLength(2);
    const [app] = await load('export default async (context) => ({ name: `w${context.worker}`, open() {} })');
    expect(app?.name).toBe('w3');
  });

  it('may be a promise of an app', async () => {
    expect(await load('export default Promise.resolve({ message() {} })')).toHaveLength(1);
  });

  it('may be an instance of a class', async () => {
    expect(await load('class Echo { message() {} } export default new Echo()')).toHaveLength(1);
  });

  it.each([
    ['', /app-\d+\.mjs has no default export\. Export what defineApp\(\) returns: export default /],
    ['export const app = {}', /has no default export, but exports "app"\. Export what/],
    ['export default 7', /has a default export that is a number\. Export what/],
    ['export default null', /has a default export that is null\. /],
    [
      'export default class Echo { message() {} }',
      /has a default export that is a class, of which an instance is needed\. Export what/,
    ],
    [
      'export default [class A { message() {} }]',
      /an array whose element 0 is a class, of which an instance/,
    ],
    ['export default [{ open() {} }, 7]', /exports an array whose element 1 is a number\. /],
    ['export default []', /exports an empty array of apps\. /],
    ['export default [[]]', /exports an array whose element 0 is an array\. /],
    ['export default () => {}', /exports a function, and what that returns is undefined\. /],
    [
      'export default async () => ({ onOpen() {} })',
      /what that returns is an object with "onOpen", and has no/,
    ],
    [
      'export default { onMessage() {} }',
      /has a default export that is an object with "onMessage", and has no hooks: an app has at least one of upgrade, open, message/,
    ],
    [
      'export default Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`a\\n${i}`, i]))',
      /is an object with "a\\n0", "a\\n1", "a\\n2", "a\\n3", "a\\n4", …, and has no hooks/,
    ],
    ['export default { message: 1 }', /has a hook message that is not a function\. Export what/],
    [
      'export default () => { throw new Error("no database") }',
      /cannot be loaded: Error: no database \(\S+app-\d+\.mjs:1\)$/,
    ],
    ['import "./absent.mjs"', /cannot be loaded: .* imports \S*absent\.mjs, and there is no/],
  ])('is refused with one line when it is %s', async (source, message) => {
    await expect(load(source)).rejects.toThrow(message);
    await expect(load(source)).rejects.not.toThrow(/\n/);
  });
});
