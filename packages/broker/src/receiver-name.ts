/** For messages: who was to get what was published. Control messages, which have no channel, go to every worker. */
export function receiverName(channel: string | undefined): string {
  return channel === undefined ? 'every worker' : `channel ${JSON.stringify(channel)}`;
}
