import { describe, expect, it } from 'vitest';
import { checkAttachment } from './attachments.ts';

describe('an attachment', () => {
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a number', 7],
    ['a name', 'ada'],
    ['an object', { name: 'ada', rooms: ['a', 'b'], since: new Date(0) }],
    ['a map', new Map([['a', 1]])],
    ['16,000 characters', 'a'.repeat(16_000)],
  ])('may be %s', (_name, value) => {
    expect(() => checkAttachment(value)).not.toThrow();
  });

  it.each([
    ['a long string', 'a'.repeat(16 * 1024)],
    ['a long string inside', { text: 'a'.repeat(16 * 1024) }],
    ['bytes', Buffer.alloc(16 * 1024)],
  ])('of more than 16 KB is refused: %s', (_name, value) => {
    expect(() => checkAttachment(value)).toThrow(
      /an attachment may have 16384 bytes when serialised, got \d+/,
    );
  });

  it('that has a function is refused, since it could not move to another process', () => {
    expect(() => checkAttachment({ reply: () => undefined })).toThrow(/could not be cloned/);
  });
});
