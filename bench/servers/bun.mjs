/**
 * The peer: Bun's built-in server, as its documentation shows it; run by Bun, in one process. It echoes; with REDIS_URL it
 * also publishes what comes from `roost:channel:news` to all its clients, with Bun's own client of Redis; with CHANNEL each
 * client is subscribed to that.
 */
const { Bun } = globalThis;
const redisUrl = process.env.REDIS_URL;
const channel = process.env.CHANNEL ?? (redisUrl === undefined ? undefined : 'news');
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request, self) {
    if (!self.upgrade(request)) return new Response('Upgrade Required', { status: 426 });
    return undefined;
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      if (channel !== undefined) socket.subscribe(channel);
    },
    message(socket, message) {
      socket.send(message);
    },
  },
});
if (redisUrl !== undefined) {
  const redis = new Bun.RedisClient(redisUrl);
  await redis.subscribe('roost:channel:news', (payload) => server.publish('news', payload));
}
console.log(
  JSON.stringify({
    msg: 'farm ready',
    port: server.port,
    workers: [{ worker: 0, pid: process.pid, cpu: null }],
  }),
);
