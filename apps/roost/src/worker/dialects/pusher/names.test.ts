import { describe, expect, it } from 'vitest';
import { channelProblem, eventProblem, isClientEvent, kindOf, userProblem } from './names.ts';

describe('the kind of a channel', () => {
  it.each([
    ['orders', 'public', false, false],
    ['private-orders', 'private', false, false],
    ['presence-room', 'presence', false, false],
    ['private-encrypted-orders', 'private', true, false],
    ['cache-orders', 'public', false, true],
    ['private-cache-orders', 'private', false, true],
    ['private-encrypted-cache-orders', 'private', true, true],
    ['presence-cache-room', 'presence', false, true],
    ['#server-to-user-u1', 'user', false, false],
    // A prefix ends with its hyphen: others misread these.
    ['privateer', 'public', false, false],
    ['presences', 'public', false, false],
    ['cachet', 'public', false, false],
    ['Private-orders', 'public', false, false],
    ['my-private-orders', 'public', false, false],
    ['presence-encrypted-room', 'presence', false, false],
    ['private-', 'private', false, false],
  ])('%s is %s (encrypted: %s, cache: %s)', (channel, access, isEncrypted, isCache) => {
    expect(kindOf(channel)).toEqual({ access, isEncrypted, isCache });
  });
});

describe('a channel is refused', () => {
  it.each([
    ['', 'is empty'],
    ['a'.repeat(165), 'has more than 164 characters'],
    ['a b', 'has other characters than letters, digits and _ - = @ , . ;'],
    ['a/b', 'has other characters than letters, digits and _ - = @ , . ;'],
    ['a\n', 'has other characters than letters, digits and _ - = @ , . ;'],
    ['zoë', 'has other characters than letters, digits and _ - = @ , . ;'],
    ['#orders', 'has other characters than letters, digits and _ - = @ , . ;'],
    ['#server-to-user', 'has other characters than letters, digits and _ - = @ , . ;'],
    ['#server-to-user-', 'names a user whose id is empty'],
    [`#server-to-user-${'u'.repeat(129)}`, 'names a user whose id has more than 128 characters'],
  ])('when it is %j', (channel, problem) => {
    expect(channelProblem(channel, 164)).toBe(problem);
  });

  it('not when it has all that it may have', () => {
    expect(channelProblem('a'.repeat(164), 164)).toBeUndefined();
    expect(channelProblem('a'.repeat(200), 200)).toBeUndefined();
    expect(channelProblem('aZ09_-=@,.;', 164)).toBeUndefined();
    expect(channelProblem('#server-to-user-Ada Löw/1', 164)).toBeUndefined();
  });
});

describe('the id of a user', () => {
  it.each([
    ['', 'is empty'],
    ['u'.repeat(129), 'has more than 128 characters'],
    ['a\nb', 'has control characters'],
    ['\ud800', 'has half a surrogate pair'],
    ['u'.repeat(128), undefined],
    ['Zoë 7/@', undefined],
  ])('%j has the problem %j', (id, problem) => {
    expect(userProblem(id)).toBe(problem);
  });
});

describe('the name of an event', () => {
  it.each([
    ['', 'is empty'],
    ['e'.repeat(201), 'has more than 200 characters'],
    ['pusher:ping', 'begins with pusher: or pusher_internal:, which only the server sends'],
    ['pusher_internal:member_added', 'begins with pusher: or pusher_internal:, which only the server sends'],
    ['\udc00', 'has half a surrogate pair'],
    ['e'.repeat(200), undefined],
    ['App\\Events\\OrderShipped', undefined],
    ['pusher', undefined],
    ['client-typing', undefined],
  ])('%j has the problem %j', (event, problem) => {
    expect(eventProblem(event)).toBe(problem);
  });

  it('is of a client with client- before it', () => {
    expect(['client-typing', 'client', 'my-client-typing'].map(isClientEvent)).toEqual([true, false, false]);
  });
});
