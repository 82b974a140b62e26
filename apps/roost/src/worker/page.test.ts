import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { contentSecurityPolicy } from './page.ts';

const PAGE = readFileSync(new URL('../../page/index.html', import.meta.url), 'utf8');

it('allows by its digest the one script and the one style of the page', () => {
  const policy = contentSecurityPolicy(PAGE);
  for (const element of ['script', 'style']) {
    const inside = [...PAGE.matchAll(new RegExp(`<${element}[^>]*>([^]*?)</${element}>`, 'g'))].map(
      ([, text]) => text,
    );
    expect(inside).toHaveLength(1);
    const digest = createHash('sha256')
      .update(inside[0] ?? '')
      .digest('base64');
    expect(policy).toContain(`${element}-src 'sha256-${digest}'`);
  }
});

it('loads nothing from elsewhere', () => {
  expect(PAGE).not.toMatch(/(?:src|href)="(?!data:)/);
  expect(PAGE).not.toMatch(/url\(|@import/);
});
