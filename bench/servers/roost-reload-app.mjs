import { accept, defineApp } from '@roost/farm';

const PUBLISH = 'ring ';

/**
 * On /reload: subscribes to each `channel`, publishes to `ring` what begins with `ring `, and echoes everything else.
 * @param {import('@roost/farm').WorkerContext} context
 */
export default (context) =>
  defineApp({
    version: process.env.RELOAD_APP_VERSION ?? '1',
    upgrade: ({ path, query }) =>
      path === '/reload' ? accept({ channels: query.getAll('channel') }) : undefined,
    message(connection, data, isBinary) {
      if (!data.toString('latin1', 0, PUBLISH.length).startsWith(PUBLISH)) {
        connection.send(data, isBinary);
        return;
      }
      context.publish('ring', data.toString()).catch((error) => {
        context.log.error({ err: error }, 'not published');
      });
    },
  });
