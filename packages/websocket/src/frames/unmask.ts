import { createRequire } from 'node:module';

/** XORs `bytes` in place with the four bytes of `mask`, beginning at `mask[0]` (RFC 6455 §5.3). */
type Unmask = (bytes: Uint8Array, mask: Uint8Array) => void;

/**
 * By bufferutil's addon, where it is. It has no binary for Linux on arm64 nor for musl, and where it cannot be compiled
 * either, npm leaves the whole package out, because it is optional.
 */
export const unmask: Unmask = loadNative() ?? unmaskInJavaScript;

function loadNative(): Unmask | undefined {
  try {
    const { unmask: native }: { readonly unmask: Unmask } = createRequire(import.meta.url)('bufferutil');
    return native;
  } catch {
    return undefined;
  }
}

export function unmaskInJavaScript(bytes: Uint8Array, mask: Uint8Array): void {
  for (let at = 0; at < bytes.length; at++) bytes[at] = (bytes[at] ?? 0) ^ (mask[at & 3] ?? 0);
}
