import type { ShownChange } from '../../src/admin/answers.ts';
import { element, made } from './elements.ts';
import { count, duration } from './units.ts';
import type { View } from './view.ts';

/** The reload under way, and the one before; and other changes by which connections move. */
export function changesView(): View {
  const none = element('#changes .quiet', HTMLElement);
  const table = element('#changes .scroll', HTMLElement);
  const body = element('#changes tbody', HTMLElement);
  return {
    async refresh(api) {
      const { changes } = await api.changes();
      none.hidden = changes.length > 0;
      table.hidden = changes.length === 0;
      body.replaceChildren(...changes.map((change) => rowOf(change)));
    },
  };
}

function rowOf(change: ShownChange): HTMLElement {
  const { kind, state, stoppedBy, lostBy, worker, of, moved, left, closed, lost, rate, seconds } = change;
  const problem = stoppedBy ?? lostBy;
  const row = made('tr');
  row.append(
    made('td', kind),
    made('td', problem === null ? state : `${state}: ${problem}`, problem === null ? 'good' : 'bad'),
    made('td', `${worker} of ${of}`),
    made('td', count(moved)),
    made('td', count(left)),
    made('td', count(closed + lost), closed + lost > 0 ? 'bad' : ''),
    made('td', count(rate)),
    made('td', `${duration(change.pauseP99Ms / 1000)}, ${duration(change.pauseMaxMs / 1000)} at most`),
    made('td', duration(seconds)),
  );
  return row;
}
