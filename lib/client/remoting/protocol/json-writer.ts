const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const ASCII_END = 0x80;
const ZERO = 0x30;
const LOWER_U = 0x75;
const HEX = '0123456789abcdef';
const MILLION = 1_000_000;
/** Above this the upper part of a number would not fit into 31 bits. */
const MAX_SPLIT = 2_147_483_647 * MILLION;

/** Bytes that {@link writeJsonText} needs at most: a UTF-16 unit becomes an escape of six or UTF-8 of three. */
export function maxJsonTextBytes(text: string): number {
  return text.length * 6;
}

/** Writes the content of a JSON text, without its quotes. @returns where it ends */
export function writeJsonText(bytes: Buffer, start: number, text: string): number {
  let at = start;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= ASCII_END) return at + bytes.write(JSON.stringify(text.slice(index)).slice(1, -1), at);
    if (unit >= SPACE && unit !== QUOTE && unit !== BACKSLASH) {
      bytes[at++] = unit;
    } else {
      bytes[at] = BACKSLASH;
      bytes[at + 1] = LOWER_U;
      bytes[at + 2] = ZERO;
      bytes[at + 3] = ZERO;
      bytes[at + 4] = ZERO + (unit >> 4);
      bytes[at + 5] = HEX.charCodeAt(unit & 15);
      at += 6;
    }
  }
  return at;
}

/** Writes a text that is known to be ASCII without anything to escape. @returns where it ends */
export function writeAscii(bytes: Buffer, start: number, text: string): number {
  let at = start;
  for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index);
  return at;
}

/** @returns where it ends */
export function writeNumber(bytes: Buffer, start: number, value: number): number {
  if (value === (value | 0) && value >= 0) return writeDigits(bytes, start, value);
  if (value > 0 && value <= MAX_SPLIT && Number.isInteger(value)) {
    // Two parts of 31 bits at most: integer arithmetic, which timestamps would miss.
    const upper = Math.floor(value / MILLION);
    return writeSixDigits(bytes, writeDigits(bytes, start, upper), value - upper * MILLION);
  }
  return writeAscii(bytes, start, String(value));
}

function writeDigits(bytes: Buffer, start: number, value: number): number {
  let end = start + 1;
  for (let rest = value; rest >= 10; rest = (rest / 10) | 0) end++;
  let rest = value;
  for (let at = end - 1; at >= start; at--) {
    const tenth = (rest / 10) | 0;
    bytes[at] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  return end;
}

function writeSixDigits(bytes: Buffer, start: number, value: number): number {
  let rest = value;
  for (let at = start + 5; at >= start; at--) {
    const tenth = (rest / 10) | 0;
    bytes[at] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  return start + 6;
}
