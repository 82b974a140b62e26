import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { configReference } from './reference.ts';

const PAGE = new URL('../../../../docs/reference/config.md', import.meta.url);

it('is what docs/reference/config.md says (npm run docs:config -w apps/roost writes it)', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(configReference());
});
