import type { PusherApp } from '../apps.ts';
import { channelProblem, eventProblem, kindOf } from '../names.ts';
import { RequestError } from './errors.ts';

/** As the SDKs have it; also the most that a batch has. */
const MAX_CHANNELS = 100;
const MAX_BATCH = 10;

/** What may be asked about a channel. */
const ATTRIBUTES = ['user_count', 'subscription_count', 'cache'] as const;

export type Attribute = (typeof ATTRIBUTES)[number];

/** One event for one or several channels, by their names for clients. */
export interface TriggeredEvent {
  readonly name: string;
  readonly data: string;
  readonly channels: readonly string[];
  /** The connection that does not get it. */
  readonly except: string | undefined;
  readonly info: ReadonlySet<Attribute>;
}

export interface Rules {
  readonly app: Pick<PusherApp, 'maxEventBytes' | 'channelPrefix'>;
  readonly maxChannelCharacters: number;
  /** Of a channel of the broker. */
  readonly channelNameProblem: (name: string) => string | undefined;
}

/** Reads the body of `POST /events`. Throws a RequestError. */
export function readEvent(body: string, rules: Rules): TriggeredEvent {
  return readOne(objectOf(body), rules);
}

/** Reads the body of `POST /batch_events`: all of it, before any of it is published. Throws a RequestError. */
export function readBatch(body: string, rules: Rules): readonly TriggeredEvent[] {
  const { batch } = objectOf(body);
  if (!Array.isArray(batch)) throw badRequest('batch must be a list of events');
  if (batch.length > MAX_BATCH)
    throw badRequest(`a batch has at most ${MAX_BATCH} events, got ${batch.length}`);
  return batch.map((event: unknown, at) => {
    if (!isObject(event)) throw badRequest(`event ${at} of the batch must be an object`);
    if (typeof event['channel'] !== 'string') throw badRequest(`the channel of event ${at} must be a text`);
    return readOne({ ...event, channels: undefined }, rules);
  });
}

type JsonObject = Readonly<Record<string, unknown>>;

function readOne(event: JsonObject, rules: Rules): TriggeredEvent {
  const { name } = event;
  if (typeof name !== 'string') throw badRequest('the name of an event must be a text');
  const problem = eventProblem(name);
  if (problem !== undefined) throw badRequest(`the name of an event ${problem}`);
  return {
    name,
    data: dataOf(event, rules.app.maxEventBytes),
    channels: channelsOf(event, rules),
    except: socketOf(event),
    info: readInfo(event['info']),
  };
}

/** A text as it is; SDKs make one of everything else, and so does this. */
function dataOf({ data }: JsonObject, maxBytes: number): string {
  if (data === undefined) throw badRequest('the data of an event is missing');
  const sent = typeof data === 'string' ? data : JSON.stringify(data);
  if (!sent.isWellFormed()) throw badRequest('the data of an event has half a surrogate pair');
  const bytes = Buffer.byteLength(sent);
  if (bytes > maxBytes) {
    throw new RequestError('tooLarge', `the data of an event has at most ${maxBytes} bytes, got ${bytes}`);
  }
  return sent;
}

function channelsOf({ channels, channel }: JsonObject, rules: Rules): readonly string[] {
  const named: readonly unknown[] = Array.isArray(channels)
    ? channels
    : channel === undefined
      ? []
      : [channel];
  if (named.length === 0) throw badRequest('an event needs channels, a list of names, or channel, a name');
  if (named.length > MAX_CHANNELS) {
    throw badRequest(`an event has at most ${MAX_CHANNELS} channels, got ${named.length}`);
  }
  const names = new Set<string>();
  for (const name of named) {
    if (typeof name !== 'string') throw badRequest('the name of a channel must be a text');
    const problem = channelNameProblem(name, rules);
    if (problem !== undefined)
      throw badRequest(`the channel ${JSON.stringify(name.slice(0, 64))} ${problem}`);
    names.add(name);
  }
  if (names.size > 1 && [...names].some((name) => kindOf(name).isEncrypted)) {
    throw badRequest('an event for an encrypted channel has no other channels: they have no common key');
  }
  return [...names];
}

/** Why no event can be for this channel, and nothing asked about it; in words that can follow its name. */
export function channelNameProblem(
  name: string,
  { app, maxChannelCharacters, channelNameProblem: brokerProblem }: Rules,
): string | undefined {
  return (
    channelProblem(name, maxChannelCharacters) ??
    (brokerProblem(app.channelPrefix + name) === undefined ? undefined : 'is too long')
  );
}

function socketOf({ socket_id: socket }: JsonObject): string | undefined {
  if (socket === undefined || socket === null) return undefined;
  if (typeof socket === 'string' && /^\d{1,20}\.\d{1,20}$/.test(socket)) {
    // The id of another service's connection may be longer than any of a farm's: nobody here has it.
    return /^\d{1,10}\.\d{1,16}$/.test(socket) ? socket : undefined;
  }
  throw badRequest('the socket_id must be two numbers with a dot, as a client has it');
}

/** `user_count,subscription_count`. Throws a RequestError. */
export function readInfo(info: unknown): ReadonlySet<Attribute> {
  if (info === undefined || info === null || info === '') return new Set();
  if (typeof info !== 'string') throw badRequest('info must be a text');
  return new Set(
    info.split(',').map((written) => {
      const name = written.trim();
      const attribute = ATTRIBUTES.find((known) => known === name);
      if (attribute === undefined) throw badRequest(`info may be ${ATTRIBUTES.join(', ')}`);
      return attribute;
    }),
  );
}

function objectOf(body: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw badRequest('the body is not JSON');
  }
  if (!isObject(value)) throw badRequest('the body must be an object');
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function badRequest(detail: string): RequestError {
  return new RequestError('badRequest', detail);
}
