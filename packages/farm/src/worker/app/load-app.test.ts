import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { WorkerContext } from '../../api/app.ts';
import { loadApps } from './load-app.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-load-app-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only `worker` is asked for by the modules here
const context = { worker: 3 } as unknown as WorkerContext;

it.each([
  ['an ES module', 'a.mjs', "export default { name: 'found', message() {} };"],
  [
    'a function of the context',
    'b.mjs',
    "export default ({ worker }) => ({ name: worker === 3 && 'found', open() {} });",
  ],
  ['CommonJS', 'c.cjs', "module.exports = { name: 'found', message() {} };"],
  [
    'what a compiler makes of an ES module in CommonJS',
    'd.cjs',
    "Object.defineProperty(exports, '__esModule', { value: true });\nexports.default = { name: 'found', message() {} };",
  ],
])('an app is found in %s', async (_, name, source) => {
  const path = join(folder, name);
  writeFileSync(path, source);
  expect((await loadApps(path, context)).map((app) => app.name)).toEqual(['found']);
});

it('a module without an app is refused with what it must export', async () => {
  const path = join(folder, 'none.cjs');
  writeFileSync(path, 'exports.app = {};');
  await expect(loadApps(path, context)).rejects.toThrow(/must have a default export made by defineApp/);
});
