// Node's own WebSocket: `node [--experimental-websocket] node-client.mjs ws://host:port` prints what it saw as JSON.
import { session } from './session.mjs';

process.stdout.write(JSON.stringify(await session(WebSocket, process.argv[2])));
