import { spawn } from 'node:child_process';

/** Keep-alive requests that are half answered, until somebody asks for /release. */
const halfAnswered = [];

/**
 * The application of the whole-system specs. /echo sends every message back. /where says first which process serves, then
 * echoes; /id says which connection it is, then echoes. /who says for whom it takes its client, by WebSocket and by HTTP. /news subscribes to the channels of the query; a message `channel text` is published there. /me
 * tells its client what a request shows to an app.
 */
export default (context) => ({
  name: 'probe',
  upgrade({ path, query, remoteAddress, claims, url, protocols, headers }) {
    if (path === '/me') {
      const shown = { claims, url, protocols, headers, query: [...query] };
      return { kind: 'accept', attachment: JSON.stringify(shown) };
    }
    if (path === '/who') return { kind: 'accept', attachment: remoteAddress };
    if (['/echo', '/where', '/id'].includes(path)) return { kind: 'accept', attachment: path };
    if (path === '/news') return { kind: 'accept', attachment: path, channels: query.getAll('channel') };
    return undefined;
  },
  open(connection) {
    if (connection.attachment === '/where') connection.send(String(process.pid));
    else if (connection.attachment === '/id') connection.send(connection.id);
    else if (!connection.attachment.startsWith('/')) connection.send(connection.attachment);
  },
  message(connection, data, isBinary) {
    if (connection.attachment !== '/news') {
      connection.send(data, isBinary);
      return undefined;
    }
    const space = data.indexOf(' ');
    return connection.publish(data.toString('utf8', 0, space), data.subarray(space + 1));
  },
  http(request, response) {
    switch (request.url) {
      case '/half':
        response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 10 });
        response.write('half,');
        halfAnswered.push(response);
        return true;
      case '/slowly':
        response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 10 });
        response.write('half,');
        setTimeout(() => response.end('whole'), 700);
        return true;
      case '/who':
        response.end(request.socket.remoteAddress);
        return true;
      case '/pid':
        response.end(String(process.pid));
        return true;
      case '/log':
        context.log.info({}, 'asked to log');
        response.end(String(process.pid));
        return true;
      case '/release':
        for (const half of halfAnswered.splice(0)) half.end('whole');
        response.end('released');
        return true;
      case '/spawn': {
        const child = spawn('sleep', ['600'], { stdio: 'ignore' });
        response.end(String(child.pid));
        return true;
      }
      case '/block':
        response.end('blocked');
        context.log.info({}, 'blocking');
        setTimeout(() => {
          for (;;);
        }, 50);
        return true;
      default:
        return false;
    }
  },
});
