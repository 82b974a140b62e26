/**
 * Asks the HTTP API of a server, from the network namespace that this runs in. For each line of stdin, JSON of `{ url, method, body }`,
 * prints one with `result`, or `error`, and `startedAt` (ms since 1970) and `ms`.
 */
import { createInterface } from 'node:readline';
import { askApi } from '../lib/api.mjs';
import { messageOf } from '../lib/message-of.mjs';

for await (const line of createInterface({ input: process.stdin })) {
  const { url, method, body } = JSON.parse(line);
  const startedAt = performance.timeOrigin + performance.now();
  const answer = await askApi({ url }, method, body).then(
    (result) => ({ result }),
    (error) => ({ error: messageOf(error) }),
  );
  const ms = performance.timeOrigin + performance.now() - startedAt;
  process.stdout.write(`${JSON.stringify({ ...answer, startedAt, ms })}\n`);
}
