import { createHash, randomFillSync } from 'node:crypto';
import { systemClock, type Clock } from '../client/clock.js';

/**
 * Makes message ids in the shape of RocketMQ's unique key: 16 bytes as 32 upper-case hex digits, with the
 * milliseconds since the start of the month in bytes 10 to 13, where RocketMQ's tools look for the time, and a
 * counter in the last two. The first ten are random, where Java puts address, process and class loader: ids of
 * one process are neighbours in an index, and two processes never meet. (Java: `MessageClientIDSetter`.)
 */
export class MessageIdGenerator {
  private readonly bytes = Buffer.alloc(16);
  private monthStart = 0;
  private nextMonthStart = 0;
  private counter = 0;

  constructor(private readonly clock: Pick<Clock, 'now'> = systemClock) {}

  next(): string {
    const now = this.clock.now();
    // The time repeats every month and the counter every 65,536 ids; new random bytes keep ids apart.
    if (now >= this.nextMonthStart || now < this.monthStart) this.enterMonth(now);
    if (this.counter === 0x1_0000) this.redraw();
    this.bytes.writeUInt32BE((now - this.monthStart) >>> 0, 10);
    this.bytes.writeUInt16BE(this.counter, 14);
    this.counter += 1;
    return this.bytes.toString('hex').toUpperCase();
  }

  private enterMonth(now: number): void {
    const date = new Date(now);
    this.monthStart = new Date(date.getFullYear(), date.getMonth(), 1).getTime();
    this.nextMonthStart = new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime();
    this.redraw();
  }

  private redraw(): void {
    randomFillSync(this.bytes, 0, 10);
    this.counter = 0;
  }
}

const HEX_ID = /^[0-9A-Fa-f]{32}$/;

/** Whether the text is an id of 16 bytes as this library makes them. */
export function isMessageId(text: string): boolean {
  return HEX_ID.test(text);
}

/** Any text as 16 bytes in 32 lower-case hex digits: ids of 16 bytes as they are, the rest as the start of its SHA-256. */
export function toKey128(text: string): string {
  if (HEX_ID.test(text)) return text.toLowerCase();
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** What a database returned for a 16-byte key (text with or without hyphens, or bytes), as 32 upper-case hex digits. */
export function fromKey128(value: unknown): string {
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
    return Buffer.from(value as Uint8Array)
      .toString('hex')
      .toUpperCase();
  }
  return String(value).replaceAll('-', '').toUpperCase();
}
