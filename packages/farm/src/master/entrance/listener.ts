import { listen } from '@roost/poller';
import { FarmError } from '../../api/errors.ts';
import type { FarmConfig } from '../../options/options.ts';

/** The farm's listening socket. Throws a FarmError that says what to do. */
export function openListener(config: FarmConfig): number {
  const { host, port, backlog } = config;
  try {
    return listen({
      host,
      port,
      backlog,
      keepAliveSeconds: config.tcpKeepAliveSeconds,
      userTimeoutMs: config.tcpUserTimeoutMs,
      notSentLowatBytes: config.tcpNotSentLowatBytes,
      sendBufferBytes: config.tcpSendBufferBytes,
    });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'EADDRINUSE') {
      throw new FarmError(
        'FARM_ERR_PORT_IN_USE',
        `Port ${port} on ${host} is in use by another process; stop it or choose another port.`,
        { option: 'port', cause },
      );
    }
    if (code === 'EACCES') {
      throw new FarmError(
        'FARM_ERR_LISTEN',
        `Port ${port} needs privileges that this process lacks; choose one above 1023.`,
        { option: 'port', cause },
      );
    }
    if (code === 'EADDRNOTAVAIL') {
      throw new FarmError(
        'FARM_ERR_LISTEN',
        `${host} is not an address of this machine; choose one that is, or 0.0.0.0 for all of them.`,
        { option: 'host', cause },
      );
    }
    // Says by itself what is missing and what to do.
    if (code === 'POLLER_UNAVAILABLE') throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FarmError('FARM_ERR_LISTEN', `Cannot listen on ${host} port ${port}: ${reason}.`, {
      option: 'host',
      cause,
    });
  }
}
