import { serveWithWs } from './ws-server.mjs';

const port = await serveWithWs();
console.log(
  JSON.stringify({ msg: 'farm ready', port, workers: [{ worker: 0, pid: process.pid, cpu: null }] }),
);
