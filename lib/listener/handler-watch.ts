import { AsyncResource } from 'node:async_hooks';
import { atMost, type Clock, type ClockTimer } from '../client/clock.js';

/** Something that has its time. */
export interface Watched {
  /** On the monotonic clock. */
  readonly deadline: number;
  /** Its time is up. It may set a new deadline or leave the watch. */
  expire(): void;
}

/**
 * Notices calls that run too long, with one timer for all of them instead of one for each: a call costs an entry
 * in a set. A deadline is noticed at most one sweep late.
 */
export class HandlerWatch {
  private readonly calls = new Set<Watched>();
  private timer: ClockTimer;
  private onIdle: (() => void) | undefined;
  private readonly sweepMs: number;

  /** @param shortestTimeoutMs of the calls to come; decides how often to look */
  constructor(
    private readonly clock: Clock,
    shortestTimeoutMs: number,
  ) {
    this.sweepMs = Math.min(1_000, Math.max(10, shortestTimeoutMs / 10));
  }

  get size(): number {
    return this.calls.size;
  }

  add(call: Watched): void {
    this.calls.add(call);
    this.timer ??= this.clock.setTimeout(this.sweep, this.sweepMs);
  }

  remove(call: Watched): void {
    this.calls.delete(call);
    if (this.calls.size === 0) this.onIdle?.();
  }

  /** Resolves when no call is under way, at the latest when the deadline on the monotonic clock has passed. */
  async idle(deadline: number): Promise<void> {
    const leftMs = deadline - this.clock.monotonic();
    if (this.calls.size === 0 || leftMs <= 0) return;
    await atMost(this.clock, leftMs, new Promise<void>((resolve) => (this.onIdle = resolve)));
    this.onIdle = undefined;
  }

  close(): void {
    if (this.timer !== undefined) this.clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.calls.clear();
  }

  /** In the context the watch was made in: the timer of many calls is not part of the message that set it. */
  private readonly sweep = AsyncResource.bind((): void => {
    this.timer = undefined;
    const now = this.clock.monotonic();
    for (const call of this.calls) if (call.deadline <= now) call.expire();
    if (this.calls.size > 0) this.timer = this.clock.setTimeout(this.sweep, this.sweepMs);
  });
}
