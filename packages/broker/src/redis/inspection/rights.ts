import { createHash, randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { answerOf, isReplyError } from '../failure.ts';
import type { TriedRight } from './redis-inspection.ts';

type Row = Omit<TriedRight, 'refusal'>;

/**
 * Commands of the scripts that keep presence, counts, last events and recorded events, on a key that exists for the moment
 * of the trial only. The first is the one that removes it: without it nothing else is tried. Writes come before what gives
 * random answers, behind which Redis 5 allows none.
 */
const STORE_COMMANDS: readonly (readonly string[])[] = [
  ['del', 'KEY'],
  ['set', 'KEY', '1'],
  ['get', 'KEY'],
  ['incr', 'KEY'],
  ['pttl', 'KEY'],
  ['del', 'KEY'],
  ['hset', 'KEY', 'a', '1'],
  ['hget', 'KEY', 'a'],
  ['hlen', 'KEY'],
  ['hdel', 'KEY', 'a'],
  ['sadd', 'KEY', 'a'],
  ['sismember', 'KEY', 'a'],
  ['srem', 'KEY', 'a'],
  ['zadd', 'KEY', '1', 'a'],
  ['zscore', 'KEY', 'a'],
  ['zrangebyscore', 'KEY', '0', '1'],
  ['zrangebylex', 'KEY', '-', '+'],
  ['zrem', 'KEY', 'a'],
  ['xadd', 'KEY', '*', 'a', '1'],
  ['xlen', 'KEY'],
  ['del', 'KEY'],
  ['hgetall', 'KEY'],
  ['hvals', 'KEY'],
  ['hscan', 'KEY', '0'],
  ['srandmember', 'KEY'],
  ['time'],
];

/**
 * The same for what consumes recorded events, in the same order: what only reads finds no stream any more, which is no matter
 * of rights.
 */
const EVENT_COMMANDS: readonly (readonly string[])[] = [
  ['del', 'KEY'],
  ['xgroup', 'CREATE', 'KEY', 'doctor', '0', 'MKSTREAM'],
  ['xreadgroup', 'GROUP', 'doctor', 'doctor', 'COUNT', '1', 'STREAMS', 'KEY', '>'],
  ['xack', 'KEY', 'doctor', '0-1'],
  ['xdel', 'KEY', '0-1'],
  ['del', 'KEY'],
  ['xrange', 'KEY', '-', '+'],
  ['xinfo', 'CONSUMERS', 'KEY', 'doctor'],
  ['xpending', 'KEY', 'doctor', '-', '+', '1', 'doctor'],
  ['xclaim', 'KEY', 'doctor', 'doctor', '0', '0-1'],
];

/**
 * Runs the commands that it is given, each with an empty argument behind it, and answers the error of each, or an empty
 * string. Ends with the first if that fails.
 */
const TRY_ALL = `
  local answers, command = {}, {}
  for _, word in ipairs(ARGV) do
    if word == '' then
      local answer = redis.pcall(unpack(command))
      answers[#answers + 1] = type(answer) == 'table' and answer.err or ''
      if answers[1] ~= '' then return answers end
      command = {}
    else
      command[#command + 1] = word == 'KEY' and KEYS[1] or word
    end
  end
  return answers`;

/** Tries everything that a broker sends. Neither rejects for what is refused, nor leaves anything behind. */
export async function tryRights(publisher: Redis, subscriber: Redis, prefix: string): Promise<TriedRight[]> {
  const channel = `${prefix}channel:roost-doctor:${randomUUID()}`;
  const probe = `${prefix}probe:${randomUUID()}`;
  const mark = `${prefix}mark:${randomUUID()}`;
  const rows: readonly (readonly [Row, () => Promise<unknown>])[] = [
    [
      { rule: `+subscribe &${prefix}channel:*`, use: 'publications', need: 'necessary' },
      () => subscriber.subscribe(channel),
    ],
    [
      { rule: `+publish &${prefix}channel:*`, use: 'publishing', need: 'necessary' },
      // Nobody else knows the channel.
      () => publisher.publish(channel, ''),
    ],
    [
      { rule: `&${prefix}control`, use: 'control messages', need: 'useful' },
      () => subscriber.subscribe(`${prefix}control`),
    ],
    [
      { rule: `&${prefix}probe:*`, use: 'the probe that shows whether publications arrive', need: 'useful' },
      async () => {
        await subscriber.subscribe(probe);
        await publisher.publish(probe, '');
      },
    ],
    [
      { rule: `&${prefix}mark:*`, use: 'connections that move between workers', need: 'useful' },
      async () => {
        await subscriber.subscribe(mark);
        await publisher.publish(mark, '');
      },
    ],
    [
      { rule: '+unsubscribe', use: 'channels that nobody listens to any more', need: 'useful' },
      () => subscriber.unsubscribe(channel),
    ],
    [
      { rule: '+info', use: 'noticing a failover', need: 'useful' },
      () => publisher.info('replication').catch(() => publisher.role()),
    ],
  ];
  const tried: TriedRight[] = [];
  for (const [row, attempt] of rows) tried.push({ ...row, refusal: await refusalOf(attempt) });
  return [...tried, ...(await tryStore(publisher, prefix))];
}

async function tryStore(publisher: Redis, prefix: string): Promise<TriedRight[]> {
  const use = 'presence, counts and last events';
  const row = (rule: string, refusal: string): TriedRight => ({ rule, use, need: 'store', refusal });
  let ofStore: ReadonlyMap<string, string>;
  try {
    ofStore = await tryCommands(publisher, prefix, STORE_COMMANDS);
  } catch (error) {
    if (!isReplyError(error)) throw error;
    return [row(`+eval +evalsha ~${prefix}*`, answerOf(error))];
  }
  // Redis knows the script by now.
  const byHash = await refusalOf(() => publisher.evalsha(hashOf(TRY_ALL), 0));
  const rows = [row('+evalsha', byHash), ...[...ofStore].map(([name, refusal]) => row(`+${name}`, refusal))];
  // What could not be taken back is not tried.
  if (ofStore.size === 1) return rows;
  const ofEvents = [...(await tryCommands(publisher, prefix, EVENT_COMMANDS))].filter(
    ([name]) => !ofStore.has(name),
  );
  return [
    ...rows,
    ...ofEvents.map(([name, refusal]): TriedRight => ({
      rule: `+${name}`,
      use: 'recorded events',
      need: 'events',
      refusal,
    })),
  ];
}

/** The refusal of each command by its name, empty where it did what was asked. Rejects where scripts are refused. */
async function tryCommands(
  publisher: Redis,
  prefix: string,
  commands: readonly (readonly string[])[],
): Promise<Map<string, string>> {
  const key = `${prefix}doctor:{${randomUUID()}}`;
  const args = commands.flatMap((command) => [...command, '']);
  const answers: unknown = await publisher.eval(TRY_ALL, 1, key, ...args);
  const errors = (Array.isArray(answers) ? answers : []).map(String);
  const refused = new Map<string, string>();
  for (const [index, error] of errors.entries()) {
    const [name = ''] = commands[index] ?? [];
    if (!refused.has(name)) refused.set(name, isRefusal(error) ? oneLine(error) : '');
  }
  return refused;
}

function hashOf(script: string): string {
  return createHash('sha1').update(script).digest('hex');
}

/** In a script it is said with other words, and in other ones by each version. Anything else is no matter of rights. */
function isRefusal(error: string): boolean {
  return /NOPERM|no permissions|can't run this command|can't access|unknown (?:sub|redis )?command/i.test(
    error,
  );
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 200);
}

async function refusalOf(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
    return '';
  } catch (error) {
    if (!isReplyError(error)) throw error;
    return answerOf(error);
  }
}
