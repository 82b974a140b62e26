/** What the server passes to the page, as the module /page/settings.js that it makes. */
export declare const settings: {
  /** Whether clients of /plain may send (`plain.clientPublish`). */
  readonly plainTakesMessages: boolean;
  /** By number: what a close code is called, and whether connecting again makes sense. */
  readonly closeCodes: Readonly<
    Record<string, { readonly title: string; readonly reconnect: 'yes' | 'later' | 'no' }>
  >;
};
