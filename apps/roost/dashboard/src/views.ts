import type { Api } from './api.ts';
import { changesView } from './changes-view.ts';
import { element } from './elements.ts';
import { PresenceView } from './presence-view.ts';
import { showChannels } from './tables.ts';
import type { View } from './view.ts';
import { webhooksView } from './webhooks-view.ts';

/** All views. `api` is that of whoever is signed in. */
export function makeViews(api: () => Api): readonly View[] {
  const channels = element('#channels ol', HTMLElement);
  return [
    { refresh: async (own) => showChannels(channels, await own.topChannels()) },
    new PresenceView(api),
    webhooksView(),
    changesView(),
  ];
}
