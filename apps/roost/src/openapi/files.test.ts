import { readFileSync } from 'node:fs';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { describe, expect, it } from 'vitest';
import { openApiDocuments, openApiText } from './files.ts';

const { version }: { version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

describe.each(Object.entries(openApiDocuments(version)))('docs/reference/%s', (name, document) => {
  it('is made of the operations (npm run docs:openapi -w apps/roost writes it)', () => {
    const file = new URL(`../../../../docs/reference/${name}`, import.meta.url);
    expect(readFileSync(file, 'utf8')).toBe(openApiText(document));
  });

  it('is OpenAPI 3.1 without a complaint of the linter, its examples included', async () => {
    const config = await createConfig({
      extends: ['recommended-strict'],
      // Health is answered to everybody, whatever is asked.
      rules: { 'operation-4xx-response': 'off', 'no-invalid-media-type-examples': 'error' },
    });
    const problems = await lintFromString({
      source: openApiText(document),
      absoluteRef: `/docs/reference/${name}`,
      config,
    });
    expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual(
      [],
    );
  });
});
