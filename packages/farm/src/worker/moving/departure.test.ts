import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import { MoveRig } from './fixtures/move-rig.ts';

let rig: MoveRig;
afterEach(() => rig.stop());

function appOf(name: string, connections: Connection[], more: Partial<App> = {}): App {
  return {
    name: 'app',
    upgrade: ({ path, query }) => accept({ channels: query.getAll('channel'), attachment: { path } }),
    open: (connection) => void connections.push(connection),
    message: (connection, data) => void connection.send(`${name} ${String(data)}`),
    moved: (connection) => void connections.push(connection),
    ...more,
  };
}

describe('a move that is stopped before its pair has come', () => {
  it('does not begin', async () => {
    rig = await MoveRig.start([appOf('one', []), appOf('two', [])]);
    await rig.source.open();
    rig.begin('all', 252, { isStopped: true });
    expect(await rig.ended()).toMatchObject([{ reason: 'stopped', moved: 0, left: 1 }, { moved: 0 }]);
  });
});
