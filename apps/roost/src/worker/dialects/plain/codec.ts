import type { UpgradeRequest } from '@roost/farm';

/** What the dialect reads of a request; its messages are payloads as they are, and need no codec. */
type PlainRequest = Pick<UpgradeRequest, 'query' | 'url'>;

export const PLAIN_PATH = '/plain';

/** The channels that the URL names (`/plain?channel=news&channel=sports`), each once. */
export function channelsOf(request: PlainRequest): string[] {
  return [...new Set(request.query.getAll('channel'))];
}

/** The query's parser puts U+FFFD for bytes that are not UTF-8, where another client may have sent that very character. */
export function isReplaced(channel: string, request: PlainRequest): boolean {
  return channel.includes('\uFFFD') && !/%EF%BF%BD/i.test(request.url);
}
