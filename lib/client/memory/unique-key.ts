import type { Clock } from '../clock.js';

/**
 * Unique keys in the form of the other engines, 32 hex digits: address, process (2 bytes), random (4), milliseconds
 * (4), counter (2). From the clock and the random source only, so that a run with given ones repeats exactly.
 * (Java: `MessageClientIDSetter.createUniqID`.)
 */
export class UniqueKeys {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #fixed: string;
  #counter = 0;

  constructor(clock: Pick<Clock, 'now'>, random: () => number) {
    this.#clock = clock;
    this.#fixed = `7F000001${hex(random() * 2 ** 16, 4)}${hex(random() * 2 ** 32, 8)}`;
  }

  next(): string {
    const counter = this.#counter;
    this.#counter = (counter + 1) & 0xffff;
    return this.#fixed + hex(this.#clock.now() % 2 ** 32, 8) + hex(counter, 4);
  }
}

function hex(value: number, digits: number): string {
  return Math.floor(value).toString(16).toUpperCase().padStart(digits, '0');
}
