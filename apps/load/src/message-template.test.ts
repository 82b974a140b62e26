import { describe, expect, it } from 'vitest';
import { MessageTemplate, parseMessageTemplate, PLAIN_TEMPLATE } from './message-template.ts';

const TEMPLATE = '42["message","{data}"]';

describe('parseMessageTemplate', () => {
  it('takes a text with {data} in it once', () => {
    expect([TEMPLATE, PLAIN_TEMPLATE].map(parseMessageTemplate)).toEqual([TEMPLATE, PLAIN_TEMPLATE]);
  });

  it('refuses a text without it, or with several', () => {
    for (const text of ['', '42["message","data"]', '{data}{data}', '{DATA}'])
      expect(() => parseMessageTemplate(text)).toThrow(`exactly once`);
  });
});

describe('MessageTemplate', () => {
  const template = new MessageTemplate(TEMPLATE);
  const judge = (text: string) => {
    const bytes = Buffer.from(`..${text}..`);
    return [template.isWrapped(bytes, 2, text.length), template.isWhole(bytes, 2, text.length)];
  };

  it('puts data where {data} stands', () => {
    expect(template.wrap(Buffer.from('ä')).toString()).toBe('42["message","ä"]');
  });

  it('tells wrapped messages from the packets of the protocol', () => {
    expect(judge('42["message","hello"]')).toEqual([true, true]);
    expect(judge('42["message",""]')).toEqual([true, true]);
    for (const text of ['2', '0{"sid":"x"}', '40{"sid":"x"}', '42["other","hello"]', ''])
      expect(judge(text)[0]).toBe(false);
  });

  it('finds what lacks its end', () => {
    expect(judge('42["message","hello"')).toEqual([true, false]);
    expect(judge('42["message","')).toEqual([true, false]);
  });

  it('takes a message that was not kept for a wrapped one', () => {
    expect(template.isWrapped(Buffer.alloc(0), 0, -1)).toBe(true);
  });

  it('finds every message wrapped when it is {data} alone', () => {
    const plain = new MessageTemplate(PLAIN_TEMPLATE);
    expect(plain.isWrapped(Buffer.from(''), 0, 0)).toBe(true);
    expect(plain.wrap(Buffer.from('hello')).toString()).toBe('hello');
  });
});
