import type { ConnectionDetails, Overview, TopChannels } from '../../src/admin/answers.ts';
import { made } from './elements.ts';
import type { Values } from './history.ts';
import { age, bytes, count, duration, percent } from './units.ts';

/** One row for each worker. */
export function showWorkers(body: HTMLElement, { workers, unanswered }: Overview, values: Values): void {
  body.replaceChildren(
    ...workers.map((worker) => {
      const isSilent = unanswered.includes(worker.worker);
      const isWell = worker.state === 'ready' && worker.isBrokerReady && !isSilent;
      const state = isSilent ? 'silent' : worker.isBrokerReady ? worker.state : `${worker.state}, no broker`;
      const row = made('tr');
      row.append(
        made('td', String(worker.worker)),
        made('td', state, isWell ? 'good' : 'bad'),
        made('td', `${count(worker.connections)} of ${count(worker.capacity)}`),
        made('td', `${count(worker.subscriptions)} in ${count(worker.channels)}`),
        made('td', percent(values[`busy ${worker.worker}`])),
        made('td', bytes(worker.queueBytes)),
        made('td', bytes(worker.residentBytes)),
        made('td', count(worker.descriptors)),
        made('td', count(worker.restarts), worker.restarts > 0 ? 'bad' : ''),
        made('td', String(worker.pid)),
        made('td', worker.cpu === null ? '–' : String(worker.cpu)),
      );
      return row;
    }),
  );
}

export function showChannels(list: HTMLElement, { channels }: TopChannels): void {
  list.replaceChildren(
    ...channels.map(({ channel, subscribers }) => {
      const item = made('li');
      item.append(made('span', channel, 'name'), made('span', count(subscribers), 'number'));
      return item;
    }),
  );
}

export function showConnection(list: HTMLElement, details: ConnectionDetails | undefined): void {
  const rows = details === undefined ? [] : rowsOf(details);
  list.replaceChildren(...rows.flatMap(([name, value]) => [made('dt', name), made('dd', value)]));
}

function rowsOf(details: ConnectionDetails): [string, string][] {
  const { since, tcp, channels, channelCount, memberOf, expiresAt } = details;
  const more = channelCount > channels.length ? ` and ${channelCount - channels.length} more` : '';
  const rows: [string, string][] = [
    ['address', details.remoteAddress],
    ['user', details.user ?? '–'],
    ['since', since === null ? '–' : `${new Date(since).toLocaleString()}, ${age(Date.now() - since)} ago`],
    ['app', details.app],
    ['worker', `${details.worker}, ${details.state}`],
    ['channels', channelCount === 0 ? '–' : channels.join(', ') + more],
    ['member of', memberOf.length === 0 ? '–' : memberOf.map(asMember).join(', ')],
    ['last heard', `${age(details.silentMs)} ago`],
    ['outbound queue', bytes(details.bufferedBytes)],
  ];
  if (tcp === null) {
    rows.push(['TCP', 'not known: the connection is over TLS']);
  } else {
    rows.push(
      ['round trip', duration(tcp.rttMs / 1000)],
      ['bytes', `${bytes(tcp.receivedBytes)} in, ${bytes(tcp.sentBytes)} out`],
      ['segments', `${count(tcp.sentSegments)} sent, ${count(tcp.retransmittedSegments)} again`],
    );
  }
  if (expiresAt !== null) rows.push(['expires', new Date(expiresAt * 1000).toLocaleString()]);
  if (details.isCompressed) rows.push(['compression', 'on']);
  if (details.hasGap) rows.push(['gap', 'it may have missed publications']);
  return rows;
}

function asMember({ channel, user }: ConnectionDetails['memberOf'][number]): string {
  return `${channel} as ${user}`;
}
