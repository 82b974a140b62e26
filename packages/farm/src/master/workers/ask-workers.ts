import type { AskAnswer, Asked } from '../../link/questions.ts';
import type { FarmChannels } from '../../api/info.ts';
import type { WorkerLife } from './worker-life.ts';

type AskedWorker = Pick<WorkerLife, 'ask' | 'index' | 'state'>;

/** Asks every worker that has connections, and returns which of them did not answer in time. */
export async function askWorkers(
  workers: readonly AskedWorker[],
  asked: Asked,
): Promise<{ readonly answers: readonly AskAnswer[]; readonly unanswered: readonly number[] }> {
  const answers: AskAnswer[] = [];
  const unanswered: number[] = [];
  const present = workers.filter(({ state }) => state === 'ready' || state === 'draining');
  const all = await Promise.all(present.map((worker) => worker.ask(asked)));
  for (const [index, answer] of all.entries()) {
    if (answer !== undefined) answers.push(answer);
    else unanswered.push(present[index]?.index ?? -1);
  }
  // Two lives of one place may have been silent.
  return { answers, unanswered: [...new Set(unanswered)] };
}

/** The channels that match, with their subscribers on all workers that answer. */
export async function channelsOf(workers: readonly AskedWorker[], pattern: string): Promise<FarmChannels> {
  const { answers, unanswered } = await askWorkers(workers, { question: 'channels', pattern });
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
