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

  it('may be an instance of a class', async () => {
    expect(await load('class Echo { message() {} } export default new Echo()')).toHaveLength(1);
  });

  it.each([
    ['export const app = {}', /has no default export: export what defineApp\(\) returns\.$/],
    ['export default 7', /must export an app by default, got number\.$/],
    ['export default { onMessage() {} }', /has no hooks: an app has at least one of upgrade, open, message/],
    ['export default { message: 1 }', /has a hook message that is not a function\.$/],
    ['export default () => { throw new Error("no database") }', /cannot be loaded: Error: no database$/],
    ['import "./absent.mjs"', /cannot be loaded: Error: Cannot find module/],
  ])('is refused with one line when it is %s', async (source, message) => {
    await expect(load(source)).rejects.toThrow(message);
    await expect(load(source)).rejects.not.toThrow(/\n/);
  });
});
