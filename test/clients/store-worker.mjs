// A process with one broker and its channel store, as a worker of a farm has them, told by its parent what to do:
// node store-worker.mjs <redis url>
import { RedisBroker } from '@roost/broker/redis';

const handlers = {
  brokerOnPublication: () => undefined,
  brokerOnControl: () => undefined,
  brokerOnMark: () => undefined,
  brokerOnState: () => undefined,
  brokerOnGap: () => undefined,
  brokerOnWarning: (reason) => console.error(reason),
};
const broker = new RedisBroker({
  url: process.argv[2],
  handlers,
  wanted: new Set(),
  channelStore: { onOwner: (owner) => process.send({ owner }) },
});
const { store } = broker;
const options = { maxMembers: 1_000, mark: false, lastEvent: false };

const actions = {
  join: (pairs) =>
    Promise.all(
      pairs.map(([channel, user]) => store.join(channel, { user, info: `{"name":"${user}"}` }, options)),
    ),
  leave: (pairs) => pairs.forEach(([channel, user]) => store.leave(channel, user)),
  subscribers: (counts) =>
    counts.forEach(([channel, count]) => store.setSubscribers(channel, count, { tellsCount: false })),
};

process.on('message', ({ id, action, list }) => {
  Promise.resolve(actions[action](list)).then(
    () => process.send({ id }),
    (error) => process.send({ id, error: error.message }),
  );
});
// Its parent is gone.
process.on('disconnect', () => process.exit());
await broker.start();
process.send({ isReady: true });
