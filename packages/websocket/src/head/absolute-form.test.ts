import { expect, it } from 'vitest';
import { absoluteForm } from './absolute-form.ts';

it.each<[string, ReturnType<typeof absoluteForm>]>([
  ['http://a/b?c=d', { host: 'a', target: '/b?c=d' }],
  ['HTTPS://a:8080/', { host: 'a:8080', target: '/' }],
  ['http://[::1]:80', { host: '[::1]:80', target: '/' }],
  ['http://a?b=/c', { host: 'a', target: '/?b=/c' }],
  ['http://a//b', { host: 'a', target: '//b' }],
  ['/http://a/b', undefined],
  ['//a/b', undefined],
  ['*', undefined],
  ['http:///b', undefined],
  ['ws://a/b', undefined],
])('the absolute form %s is %j', (target, parts) => {
  expect(absoluteForm(target)).toEqual(parts);
});
