import { describe, expect, it } from 'vitest';
import { readTarget, signedPaths } from './query.ts';

describe('a target', () => {
  it.each([
    ['/apps/1/channels', '/apps/1/channels', {}],
    ['/apps/1/channels?', '/apps/1/channels', {}],
    ['/a?x=1&y=a%20b+c&z', '/a', { x: '1', y: 'a b c', z: '' }],
    ['/a?x=1=2&&x=3', '/a', { x: '3' }],
    ['/a?x=%FF&%zz=%', '/a', { x: '%FF', '%zz': '%' }],
    ['/a?info[]=user_count&info[]=cache', '/a', { info: 'user_count,cache' }],
    ['/a?info%5B0%5D=user_count&b=1&info%5B1%5D=cache', '/a', { info: 'user_count,cache', b: '1' }],
    ['/a?[]=1', '/a', { '[]': '1' }],
  ])('%s is read', (url, path, values) => {
    const target = readTarget(url);
    expect(target.path).toBe(path);
    expect(Object.fromEntries(target.query.values)).toEqual(values);
  });

  it('may have been signed decoded, or as it was sent', () => {
    expect(readTarget('/a?b=x%20y&c[]=1&c[]=2').query.signedForms).toEqual([
      [
        ['b', 'x y'],
        ['c', '1,2'],
      ],
      [
        ['b', 'x%20y'],
        ['c[]', '1'],
        ['c[]', '2'],
      ],
    ]);
    expect(signedPaths('/apps/1/events')).toEqual(['/apps/1/events']);
    expect(signedPaths('/apps/1/users/a%20b/x')).toEqual(['/apps/1/users/a%20b/x', '/apps/1/users/a b/x']);
    expect(signedPaths('/apps/1/users/%FF/x')).toEqual(['/apps/1/users/%FF/x']);
  });
});
