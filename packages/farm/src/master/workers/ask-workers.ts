import type { AskAnswer } from '../../link/messages.ts';
import type { FarmChannels } from '../../api/info.ts';
import type { SupervisedWorker } from './supervised-worker.ts';

type AskedWorker = Pick<SupervisedWorker, 'ask' | 'index' | 'state'>;

/** Asks every worker that has connections, and returns which of them did not answer in time. */
export async function askWorkers(
  workers: readonly AskedWorker[],
  question: 'report' | 'channels',
  pattern = '',
): Promise<{ readonly answers: readonly AskAnswer[]; readonly unanswered: readonly number[] }> {
  const answers: AskAnswer[] = [];
  const unanswered: number[] = [];
  const asked = workers.filter(({ state }) => state === 'ready' || state === 'draining');
  const all = await Promise.all(asked.map((worker) => worker.ask(question, pattern)));
  for (const [index, answer] of all.entries()) {
    if (answer !== undefined) answers.push(answer);
    else unanswered.push(asked[index]?.index ?? -1);
  }
  return { answers, unanswered };
}

/** The channels that match, with their subscribers on all workers that answer. */
export async function channelsOf(workers: readonly AskedWorker[], pattern: string): Promise<FarmChannels> {
  const { answers, unanswered } = await askWorkers(workers, 'channels', pattern);
  const subscribers = new Map<string, number>();
  for (const answer of answers) {
    if (answer.kind !== 'channels') continue;
    for (const { channel, subscribers: count } of answer.channels) {
      subscribers.set(channel, (subscribers.get(channel) ?? 0) + count);
    }
  }
  const channels = Array.from(subscribers, ([channel, count]) => ({ channel, subscribers: count }));
  return { channels, unanswered };
}
