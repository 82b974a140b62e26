import { describe, expect, it } from 'vitest';
import { readChannelData, readUserData } from './member.ts';

describe('channel_data', () => {
  it.each([
    ['{"user_id":"u1","user_info":{"name":"Ada"}}', { user: 'u1', info: '{"name":"Ada"}' }],
    ['{"user_id":10,"user_info":{ "n" : 9007199254740993 }}', { user: '10', info: '{"n":9007199254740993}' }],
    ['{"user_id":"u1"}', { user: 'u1', info: '' }],
    ['{"user_id":"u1","user_info":null}', { user: 'u1', info: '' }],
    ['{"user_id":"u1","user_info":"text"}', { user: 'u1', info: '"text"' }],
    ['{"user_id":0}', { user: '0', info: '' }],
    ['{"user_id":"u1","more":1}', { user: 'u1', info: '' }],
  ])('%s names a member', (text, member) => {
    expect(readChannelData(text)).toEqual(member);
  });

  it.each([
    ['', 'it is not the text of a JSON object'],
    ['[]', 'it is not the text of a JSON object'],
    ['{}', 'its user_id must be a text'],
    ['{"user_id":null}', 'its user_id must be a text'],
    ['{"user_id":{}}', 'its user_id must be a text'],
    ['{"user_id":1.5}', 'its user_id must be a text'],
    ['{"user_id":9007199254740993}', 'its user_id must be a text'],
    ['{"user_id":""}', 'its user_id is empty'],
    [`{"user_id":"${'u'.repeat(129)}"}`, 'its user_id has more than 128 characters'],
    ['{"user_id":"\\ud800"}', 'its user_id has half a surrogate pair'],
  ])('%s is refused: %s', (text, problem) => {
    expect(readChannelData(text)).toEqual({ problem });
  });
});

describe('user_data', () => {
  it.each([
    ['{"id":"u1","user_info":{"name":"Ada"},"watchlist":["u2"]}', { user: 'u1', info: '{"name":"Ada"}' }],
    ['{"id":"u1"}', { user: 'u1', info: '' }],
    ['{"id":12345}', { problem: 'its id must be a text' }],
    ['{"id":""}', { problem: 'its id is empty' }],
    ['{"user_id":"u1"}', { problem: 'its id must be a text' }],
    ['null', { problem: 'it is not the text of a JSON object' }],
  ])('%s is read', (text, reading) => {
    expect(readUserData(text)).toEqual(reading);
  });
});
