/** Beyond this a limit is none. */
const UNLIMITED = 2 ** 50;

/** 1048576 is `1,048,576`. */
export function count(value: number): string {
  return value >= UNLIMITED ? 'unlimited' : value.toLocaleString('en-US');
}

/** To three digits or so: `830 MB`, `4.1 GB`. Powers of ten. */
export function bytes(value: number): string {
  if (value >= 1e12) return `${(value / 1e12).toFixed(1)} TB`;
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} GB`;
  return value >= 1e6 ? `${Math.round(value / 1e6)} MB` : `${Math.round(value / 1e3)} KB`;
}

/** As Redis counts: `32 MiB`. */
export function mebibytes(value: number): string {
  return `${Math.round((value / 2 ** 20) * 10) / 10} MiB`;
}

export function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(2) : Math.round(value)} ms`;
}
