import cluster from 'node:cluster';
import { serveWithWs } from './ws-server.mjs';

const WORKERS = 2;

if (cluster.isPrimary) {
  let ready = 0;
  cluster.on('listening', (_worker, { port }) => {
    if (++ready < WORKERS) return;
    const workers = Object.values(cluster.workers ?? {}).flatMap((worker) =>
      worker === undefined ? [] : [{ worker: worker.id - 1, pid: worker.process.pid, cpu: null }],
    );
    console.log(JSON.stringify({ msg: 'farm ready', port, workers }));
  });
  for (let i = 0; i < WORKERS; i++) cluster.fork();
} else {
  await serveWithWs();
}
