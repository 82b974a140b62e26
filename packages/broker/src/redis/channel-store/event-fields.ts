import { CHANNEL_EVENT_TYPES, type ChannelEvent, type RecordedEvent } from '../../channel-store.ts';

/** Names of fields in the stream: one letter, for each is kept with each event. */
const FIELDS = [
  ['type', 't'],
  ['channel', 'c'],
  ['user', 'u'],
  ['count', 'n'],
  ['event', 'e'],
  ['data', 'd'],
  ['connection', 's'],
] as const satisfies readonly (readonly [keyof ChannelEvent, string])[];

/** Names and values, as XADD takes them. */
export function fieldsOf(event: ChannelEvent): string[] {
  return FIELDS.flatMap(([name, field]) => {
    const value = event[name];
    return value === undefined ? [] : [field, String(value)];
  });
}

/** An entry of the stream; undefined when it is none of ours. */
export function recordedIn(entry: unknown): RecordedEvent | undefined {
  // Redis before 7 answers with null for what was trimmed.
  if (!Array.isArray(entry) || !Array.isArray(entry[1])) return undefined;
  const id = String(entry[0]);
  const values = new Map<string, string>();
  for (let at = 0; at + 1 < entry[1].length; at += 2) {
    values.set(String(entry[1][at]), String(entry[1][at + 1]));
  }
  const type = CHANNEL_EVENT_TYPES.find((known) => known === values.get('t'));
  if (type === undefined) return undefined;
  const event: Record<string, string | number> = {};
  for (const [name, field] of FIELDS) {
    const value = values.get(field);
    if (value !== undefined) event[name] = name === 'count' ? Number(value) : value;
  }
  const channel = values.get('c') ?? '';
  return { ...event, type, channel, id, timeMs: Number.parseInt(id, 10) };
}
