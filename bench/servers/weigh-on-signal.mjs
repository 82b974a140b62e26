// For `--import`: at each SIGUSR2 the process writes into `$WEIGHTS/<pid>` how many bytes are live in it: objects of V8 and what is in
// buffers, without compiled code, by a heap snapshot, before which V8 collects all garbage.
import { writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { getHeapSnapshot } from 'node:v8';

/** @typedef {{ snapshot: { meta: { node_fields: string[], node_types: [string[]] } }, nodes: number[] }} Snapshot */

process.on('SIGUSR2', () => void weigh());

async function weigh() {
  /** @type {Snapshot} */
  const { snapshot, nodes } = JSON.parse(await text(getHeapSnapshot()));
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [type, size, code] = [fields.indexOf('type'), fields.indexOf('self_size'), types[0].indexOf('code')];
  let live = 0;
  for (let node = 0; node < nodes.length; node += fields.length) {
    if (nodes[node + type] !== code) live += nodes[node + size];
  }
  writeFileSync(`${process.env.WEIGHTS}/${process.pid}`, String(live));
}
