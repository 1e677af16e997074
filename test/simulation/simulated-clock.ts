import type { Clock, ClockTimer } from '../../lib/client/clock.js';
import { FAKE_CLOCK_EPOCH } from '../../lib/testing/fake-clock.js';

interface PendingTimer {
  readonly dueAt: number;
  readonly callback: () => void;
}

/**
 * A `FakeClock` for runs of thousands of timers: the same order of events, with less work between two of them.
 * Microtasks are over when Node comes to its next tick; no need to go through the event loop for that.
 */
export class SimulatedClock implements Clock {
  /** In the order of setting: an equal time never overtakes. Few wait at a time, so they are not kept sorted. */
  readonly #timers = new Map<number, PendingTimer>();
  #monotonic = 0;
  #nextOrder = 0;

  now(): number {
    return FAKE_CLOCK_EPOCH + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimeout(callback: () => void, ms: number): ClockTimer {
    const order = this.#nextOrder++;
    this.#timers.set(order, { dueAt: this.#monotonic + (Number.isFinite(ms) && ms > 0 ? ms : 0), callback });
    return order;
  }

  clearTimeout(timer: ClockTimer): void {
    if (typeof timer === 'number') this.#timers.delete(timer);
  }

  /** Lets `ms` pass. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await this.#play(end, () => false);
    this.#monotonic = end;
  }

  /** Goes from timer to timer. Resolves with false when that took longer than the limit, or no timer is left. */
  advanceUntil(condition: () => boolean, limitMs: number): Promise<boolean> {
    return this.#play(this.#monotonic + limitMs, condition);
  }

  /** Lets everything that needs no time run to its end. */
  settle(): Promise<void> {
    return new Promise((resolve) => {
      queueMicrotask(() => process.nextTick(resolve));
    });
  }

  #play(end: number, condition: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const settled = (): void => process.nextTick(step);
      const step = (): void => {
        try {
          if (condition()) return resolve(true);
          const due = this.#takeNext(end);
          if (due === undefined) return resolve(false);
          this.#monotonic = Math.max(this.#monotonic, due.dueAt);
          due.callback();
        } catch (error) {
          return reject(error as Error);
        }
        queueMicrotask(settled);
      };
      queueMicrotask(settled);
    });
  }

  #takeNext(end: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    let order = -1;
    for (const [each, timer] of this.#timers) {
      if (next !== undefined && timer.dueAt >= next.dueAt) continue;
      next = timer;
      order = each;
    }
    if (next === undefined || next.dueAt > end) return undefined;
    this.#timers.delete(order);
    return next;
  }
}
