import type { Api } from './api.ts';

/** A section of the page that is asked for by itself. Another one is a section of index.html, a file, and an entry of views.ts. */
export interface View {
  /** Asks for what it shows, and shows it. */
  refresh(api: Api): Promise<void>;
}
