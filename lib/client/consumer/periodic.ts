import type { Clock, ClockTimer } from '../clock.js';

/** Does something at an interval, never twice at the same time. */
export class Periodic {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #work: () => Promise<void>;
  #timer: ClockTimer;
  #closed = false;

  /** @param work must not reject */
  constructor(clock: Clock, intervalMs: number, work: () => Promise<void>) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#work = work;
  }

  /** The first time after one interval. */
  start(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.setTimeout(() => {
      void this.#work().then(() => this.start());
    }, this.#intervalMs);
  }

  close(): void {
    this.#closed = true;
    this.#clock.clearTimeout(this.#timer);
  }
}
