import { expect, it } from 'vitest';
import { jsonMember } from './json-member.ts';

it.each([
  ['{"data":1}', '1'],
  ['{"channel":"a","data":{"b":[1, 2]}}', '{"b":[1,2]}'],
  [' {\n "data" : { "z" : 1 , "a" : "x  y" } \n}', '{"z":1,"a":"x  y"}'],
  ['{"data":12345678901234567890}', '12345678901234567890'],
  ['{"data":1.0e400,"channel":"a"}', '1.0e400'],
  ['{"data":{"2":0,"1":0}}', '{"2":0,"1":0}'],
  ['{"data":null}', 'null'],
  ['{"x":{"data":1},"y":["data"],"data":[{"a":"}"},"]",{"b":"\\""}]}', '[{"a":"}"},"]",{"b":"\\""}]'],
  ['{"data":1,"data":2}', '2'],
  ['{"d\\u0061ta":true}', 'true'],
  ['{"a":"\\\\","data":false}', 'false'],
  ['{"channel":"a"}', undefined],
  ['{}', undefined],
])('of %s it takes %s', (json, expected) => {
  expect(JSON.parse(json)).toBeTypeOf('object');
  expect(jsonMember(json, 'data')).toBe(expected);
});

it('takes a text of any length', () => {
  const text = JSON.stringify('a'.repeat(12_000_000));
  expect(jsonMember(`{"data": ${text}}`, 'data') === text).toBe(true);
});
