// A farm that prints what it records: node events-farm.mjs [redis url]
import { startFarm } from '@roost/farm';

const [redisUrl] = process.argv.slice(2);
const farm = await startFarm({
  app: new URL('members-app.mjs', import.meta.url),
  host: '127.0.0.1',
  port: 0,
  workers: 2,
  warmUpMs: 0,
  drainMs: 0,
  presenceLeaseMs: 600_000,
  recordedEvents: ['channel_occupied', 'channel_vacated', 'member_added', 'member_removed'],
  ...(redisUrl !== undefined && { redisUrl }),
});
const { workers } = await farm.info();
process.send({ port: farm.port, pids: workers.map(({ pid }) => pid) });
process.once('disconnect', () => void farm.stop());
const consume = async () => {
  for (;;) {
    const events = await farm.channelEvents.take(10);
    if (events.length === 0) return;
    for (const { type, user } of events)
      process.send({ event: user === undefined ? type : `${type} ${user}` });
    farm.channelEvents.done(events);
  }
};
const consumed = consume();
process.once('message', () => void farm.drain());
await farm.stopped;
// What the end of its connections has left behind.
setTimeout(() => void farm.channelEvents.stop(), 1_000);
await consumed;
process.disconnect();
