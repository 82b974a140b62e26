import type { Native } from '../src/native.ts';

/** See addon.mjs. */
export function loadAddon():
  | { readonly addon: Native; readonly problem?: never; readonly cause?: never }
  | { readonly addon?: never; readonly problem: string; readonly cause: unknown };
