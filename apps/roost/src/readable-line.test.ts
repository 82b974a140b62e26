import { expect, it } from 'vitest';
import { readableLine } from './readable-line.ts';

const LINE = { level: 'info', time: '2026-11-23T10:20:30.456Z', msg: 'farm ready' };

it('shows time, level, message and fields', () => {
  const json = JSON.stringify({ ...LINE, port: 8080, workers: [{ worker: 0 }], broker: 'memory' });
  expect(readableLine(json)).toBe(
    '10:20:30.456 INFO  farm ready port=8080 workers=[{"worker":0}] broker=memory\n',
  );
});

it('quotes a text with spaces', () => {
  const json = JSON.stringify({ ...LINE, reason: "it's there" });
  expect(readableLine(json)).toBe('10:20:30.456 INFO  farm ready reason="it\'s there"\n');
});

it('gives a text that quotes would alter a line of its own, as it is', () => {
  const json = JSON.stringify({ ...LINE, curl: `curl x -d $'{"a":1}'` });
  expect(readableLine(json)).toBe(`10:20:30.456 INFO  farm ready\n    curl:\n    curl x -d $'{"a":1}'\n`);
});

it('lets nobody write control characters to the terminal', () => {
  expect(readableLine(JSON.stringify({ ...LINE, name: '\u001b[2J', msg: 'a\nb' }))).toBe(
    '10:20:30.456 INFO  a\\u000ab name=\\u001b[2J\n',
  );
});
