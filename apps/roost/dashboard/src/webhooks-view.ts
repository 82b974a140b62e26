import type { ShownWebhook } from '../../src/admin/answers.ts';
import { element, made } from './elements.ts';
import { bytes, count } from './units.ts';
import type { View } from './view.ts';

/** What waits for each webhook, and what became of the rest. */
export function webhooksView(): View {
  const none = element('#webhooks .quiet', HTMLElement);
  const table = element('#webhooks .scroll', HTMLElement);
  const body = element('#webhooks tbody', HTMLElement);
  return {
    async refresh(api) {
      const { webhooks } = await api.webhooks();
      none.hidden = webhooks.length > 0;
      table.hidden = webhooks.length === 0;
      body.replaceChildren(...webhooks.map((webhook) => rowOf(webhook)));
    },
  };
}

function rowOf({
  app,
  url,
  queuedEvents,
  queuedBytes,
  problem,
  taken,
  failed,
  lost,
}: ShownWebhook): HTMLElement {
  const row = made('tr');
  row.append(
    made('td', app),
    made('td', problem === null ? 'well' : `fails: ${problem}`, problem === null ? 'good' : 'bad'),
    made('td', queuedEvents === 0 ? '0' : `${count(queuedEvents)} (${bytes(queuedBytes)})`),
    made('td', count(taken)),
    made('td', count(failed)),
    made('td', count(lost), lost > 0 ? 'bad' : ''),
    made('td', url),
  );
  return row;
}
