import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { pid } from 'node:process';

import { systemClock, type Clock } from '../../clock.js';
import { parseHost } from './socket-address.js';

export { decodeOffsetMessageId, encodeOffsetMessageId } from './offset-message-id.js';

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).toUpperCase().padStart(2, '0'),
);

/**
 * Makes the keys that identify messages for ever, before any broker saw them: address (4 or 16 bytes), process
 * id (2), random per generator (4; Java: hash of the class loader), milliseconds since the begin of the month in
 * local time (4), counter (2), as upper-case hex. (Java: `MessageClientIDSetter.createUniqID`.)
 */
export class UniqueKeyGenerator {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #fixed: string;
  #monthStart = 0;
  #nextMonthStart = 0;
  #lastMillisecond = -1;
  #prefix = '';
  #counter = 0;

  /** @param address 4 or 16 bytes; @default the first external address of this machine */
  constructor(clock: Pick<Clock, 'now'> = systemClock, address: Buffer = localAddress()) {
    this.#clock = clock;
    this.#fixed = Buffer.concat([address, Buffer.from([(pid >> 8) & 0xff, pid & 0xff]), randomBytes(4)])
      .toString('hex')
      .toUpperCase();
  }

  next(): string {
    const now = this.#clock.now();
    if (now !== this.#lastMillisecond) this.#enter(now);
    const counter = this.#counter;
    this.#counter = (counter + 1) & 0xffff;
    return this.#prefix + HEX[counter >> 8] + HEX[counter & 0xff];
  }

  #enter(now: number): void {
    this.#lastMillisecond = now;
    if (now >= this.#nextMonthStart || now < this.#monthStart) {
      const date = new Date(now);
      this.#monthStart = new Date(date.getFullYear(), date.getMonth(), 1).getTime();
      this.#nextMonthStart = new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime();
    }
    const diff = now - this.#monthStart;
    this.#prefix =
      this.#fixed +
      HEX[(diff >>> 24) & 0xff] +
      HEX[(diff >>> 16) & 0xff] +
      HEX[(diff >>> 8) & 0xff] +
      HEX[diff & 0xff];
  }
}

/** The first external IPv4 address, else the first external IPv6 one, else a random one. (Java: `UtilAll.getIP`.) */
function localAddress(): Buffer {
  const external = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((each) => !each.internal && !each.address.toLowerCase().startsWith('fe80'));
  const chosen = external.find((each) => each.family === 'IPv4') ?? external[0];
  return (chosen && parseHost(chosen.address)) ?? randomBytes(4);
}
