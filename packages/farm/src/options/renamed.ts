/** Options that had another name once, and the name that they have now. */
export const RENAMED_OPTIONS: Readonly<Record<string, string>> = {
  maxChannelBufferBytes: 'maxWorkerLinkBytes',
};
