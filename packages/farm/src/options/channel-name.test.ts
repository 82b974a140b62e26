import { describe, expect, it } from 'vitest';
import { channelNameProblem } from './channel-name.ts';

describe('a channel name', () => {
  it.each(['a', 'news', 'a/b:c.d', 'überraschung', '☾', ' ', 'x'.repeat(255), 'ä'.repeat(127), '$-{}*?'])(
    'may be %j',
    (name) => {
      expect(channelNameProblem(name)).toBeUndefined();
    },
  );

  it('may have as many bytes as the farm allows', () => {
    expect(channelNameProblem('ä', 2)).toBeUndefined();
    expect(channelNameProblem('ä', 1)).toBe('a channel name must have at most 1 bytes of UTF-8, got 2');
    expect(channelNameProblem('x'.repeat(1000), 1024)).toBeUndefined();
    expect(channelNameProblem('x'.repeat(1000), 999)).toMatch(/at most 999 bytes .* got 1000$/);
  });

  it.each([
    ['', 'a channel name must not be empty'],
    ['a\nb', 'a channel name must not contain control characters'],
    ['\u0000', 'a channel name must not contain control characters'],
    ['\u007f', 'a channel name must not contain control characters'],
    ['\u009b2J', 'a channel name must not contain control characters'],
    ['\ud83d', 'a channel name must be valid UTF-8'],
    ['x'.repeat(256), 'a channel name must have at most 255 bytes of UTF-8, got 256'],
    ['ä'.repeat(128), 'a channel name must have at most 255 bytes of UTF-8, got 256'],
    ['☾'.repeat(86), 'a channel name must have at most 255 bytes of UTF-8, got 258'],
  ])('must not be %j', (name, problem) => {
    expect(channelNameProblem(name)).toBe(problem);
  });
});
