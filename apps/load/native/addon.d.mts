import type { NativePhantom } from '../src/phantom/native.ts';

/** See addon.mjs. */
export function loadAddon(): NativePhantom;
