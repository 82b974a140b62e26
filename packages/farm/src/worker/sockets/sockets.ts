import type { Poller } from '@roost/poller';

/**
 * What moves the bytes of rows that are connections, or on their way to become one: the poller, by each row's descriptor.
 * With TLS it is a part that keeps the poller's promises with streams; so nobody above it needs to ask
 * which of the two it is.
 */
export type Sockets = Pick<Poller, 'broadcast' | 'close' | 'send' | 'setInterest' | 'shutdownWrite'>;
