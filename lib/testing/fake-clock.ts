import type { Clock, ClockTimer } from '../client/clock.js';

interface PendingTimer {
  readonly dueAt: number;
  /** Timers of one instant fire in the order they were set. */
  readonly order: number;
  readonly callback: () => void;
}

/** Where the wall clock of a {@link FakeClock} begins: 2024-01-01T00:00:00Z. */
export const FAKE_CLOCK_EPOCH = 1_704_067_200_000;

/**
 * A clock that stands still until it is told to go on. Time passes in steps from timer to timer; between two timers
 * everything the first one set off has settled, so that the same inputs always give the same run.
 *
 * @example
 * ```ts
 * const clock = new FakeClock();
 * const client = createRocketMQClient({ engine: 'memory', clock });
 * await producer.send({ topic: 'orders', body, delivery: { afterMs: 60_000 } });
 * await clock.advance(60_000); // now it is delivered
 * ```
 */
export class FakeClock implements Clock {
  readonly #timers = new Map<number, PendingTimer>();
  #monotonic = 0;
  #wallOffset: number;
  #nextOrder = 0;

  /** @param startAt the wall clock, epoch milliseconds or date */
  constructor(startAt: number | Date = FAKE_CLOCK_EPOCH) {
    this.#wallOffset = Number(startAt);
  }

  now(): number {
    return this.#wallOffset + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Runs the callback when the time was advanced so far. */
  setTimeout(callback: () => void, ms: number): ClockTimer {
    const order = this.#nextOrder++;
    const wait = Number.isFinite(ms) && ms > 0 ? ms : 0;
    this.#timers.set(order, { dueAt: this.#monotonic + wait, order, callback });
    return order;
  }

  /** Takes a timer back. */
  clearTimeout(timer: ClockTimer): void {
    if (typeof timer === 'number') this.#timers.delete(timer);
  }

  /** Timers that wait. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Milliseconds until the next timer; undefined when there is none. */
  get untilNextTimer(): number | undefined {
    const next = this.#next();
    return next && Math.max(0, next.dueAt - this.#monotonic);
  }

  /** Moves the wall clock without any time passing, as NTP or an operator does. Timers do not notice. */
  setWallClock(at: number | Date): void {
    this.#wallOffset = Number(at) - this.#monotonic;
  }

  /** Lets `ms` pass: every timer due within fires at its own time, in order. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await this.settle();
    for (let next = this.#next(); next && next.dueAt <= end; next = this.#next()) await this.#fire(next);
    this.#monotonic = end;
  }

  /** Goes to the next timer and fires it. False when there is none. */
  async advanceToNextTimer(): Promise<boolean> {
    await this.settle();
    const next = this.#next();
    if (!next) return false;
    await this.#fire(next);
    return true;
  }

  /**
   * Goes from timer to timer until the condition holds.
   *
   * @throws Error when `limitMs` have passed, or no timer is left, and it still does not hold
   */
  async advanceUntil(condition: () => boolean, limitMs = 24 * 3_600_000): Promise<void> {
    const end = this.#monotonic + limitMs;
    await this.settle();
    while (!condition()) {
      const next = this.#next();
      if (!next || next.dueAt > end) {
        throw new Error(
          next
            ? `The condition did not come true within ${limitMs} ms of this clock.`
            : 'The condition did not come true, and no timer is left that could change that.',
        );
      }
      await this.#fire(next);
    }
  }

  /** Lets everything that needs no time run to its end: promises and what follows from them. */
  settle(): Promise<void> {
    // The queue of microtasks is emptied before the event loop goes on to its next macrotask.
    return new Promise((resolve) => setImmediate(resolve));
  }

  async #fire(timer: PendingTimer): Promise<void> {
    this.#timers.delete(timer.order);
    this.#monotonic = Math.max(this.#monotonic, timer.dueAt);
    timer.callback();
    await this.settle();
  }

  /** Few timers wait at a time, so looking at all of them is quicker than keeping them sorted. */
  #next(): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.#timers.values()) {
      // The map is in the order of setting: an equal time never overtakes.
      if (!next || timer.dueAt < next.dueAt) next = timer;
    }
    return next;
  }
}
