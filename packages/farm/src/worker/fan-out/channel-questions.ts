import { hiddenChannel, type Broker } from '@roost/broker';
import type { WorkerContext } from '../../api/app.ts';

type Questions = Pick<
  WorkerContext,
  'channelMembers' | 'channelStates' | 'countUser' | 'lastEvent' | 'occupiedChannels' | 'recordEvent'
>;

/** What an application may ask of channels, whichever worker has their subscribers. */
export function channelQuestions({ store }: Pick<Broker, 'store'>): Questions {
  return {
    channelStates: (channels) => store.counts(channels),
    async channelMembers(channel, limit) {
      const options = { mark: false, members: true, lastEvent: false, memberLimit: limit };
      const { members } = await store.read(channel, options);
      return members.slice(0, limit);
    },
    async lastEvent(channel) {
      const options = { mark: false, members: false, lastEvent: true, memberLimit: 1 };
      return (await store.read(channel, options)).lastEvent;
    },
    occupiedChannels: (prefix, limit) => store.occupiedChannels(prefix, limit),
    async countUser(user) {
      const [counts] = await store.counts([hiddenChannel(user)]);
      return counts?.subscribers ?? 0;
    },
    recordEvent: (event) => store.addEvent(event),
  };
}
