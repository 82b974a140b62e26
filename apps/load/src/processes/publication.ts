import { readHex } from '../clients/hex-digits.ts';

/**
 * What is published: `roost-load:` and the microseconds since 1970 at which it was due, in sixteen hexadecimal digits, `:` and
 * its number from 1 on in eight, then `.` up to the wanted size. A server may wrap it into something of its own.
 */
const MARKER = Buffer.from('roost-load:');
const TIME_DIGITS = 16;
const NUMBER_DIGITS = 8;
const NUMBER_AT = MARKER.length + TIME_DIGITS + 1;
export const MIN_PUBLICATION_BYTES = NUMBER_AT + NUMBER_DIGITS;

export function encodePublication(dueMicros: number, number: number, bytes: number): string {
  const time = Math.round(dueMicros).toString(16).padStart(TIME_DIGITS, '0');
  const text = `${MARKER.toString()}${time}:${number.toString(16).padStart(NUMBER_DIGITS, '0')}`;
  return text.padEnd(bytes, '.');
}

/** What a message says; one object is reused for all. */
export interface Publication {
  dueMicros: number;
  number: number;
}

/** Finds a publication in `bytes[start … start + length)`. False when there is none. */
export function readPublication(bytes: Buffer, start: number, length: number, found: Publication): boolean {
  let at = start;
  // Most servers send it as it is; a search would look beyond the message.
  if (bytes[at] !== MARKER[0] || bytes[at + 1] !== MARKER[1] || bytes[at + 10] !== MARKER[10]) {
    at = bytes.subarray(start, start + length).indexOf(MARKER);
    if (at === -1) return false;
    at += start;
  }
  if (at + MIN_PUBLICATION_BYTES > start + length) return false;
  found.dueMicros = readHex(bytes, at + MARKER.length, TIME_DIGITS);
  found.number = readHex(bytes, at + NUMBER_AT, NUMBER_DIGITS);
  return !Number.isNaN(found.dueMicros + found.number);
}
