/** A running timer of a {@link Clock}; opaque. */
export type ClockTimer = unknown;

/**
 * Time as the engines and features see it. Passed in everywhere, so that tests and the simulator own it.
 */
export interface Clock {
  /** Wall clock, epoch milliseconds. For stamps that leave the process, never for deadlines. */
  now(): number;
  /** Milliseconds of a clock that never jumps. For deadlines, leases and intervals. */
  monotonic(): number;
  /** Calls back once, after so many milliseconds of `monotonic`. */
  setTimeout(callback: () => void, ms: number): ClockTimer;
  /** Takes a timer back; one that is over is fine. */
  clearTimeout(timer: ClockTimer): void;
  /**
   * Calls back when the event loop has looked after sockets and timers. Returns what takes that back.
   * @default `setTimeout` with 0
   */
  nextTurn?(callback: () => void): () => void;
}

/** The machine's clock. Timers do not keep the process alive by themselves. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms).unref(),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
  nextTurn: (callback) => {
    const immediate = setImmediate(callback);
    return () => clearImmediate(immediate);
  },
};

/** As {@link Clock.nextTurn}, on a clock that may not have it. */
export function nextTurn(clock: Clock, callback: () => void): () => void {
  if (clock.nextTurn) return clock.nextTurn(callback);
  const timer = clock.setTimeout(callback, 0);
  return () => clock.clearTimeout(timer);
}

/** Resolves after `ms` on the given clock, or at once when the signal aborts. Never rejects. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Waits for something, at most `ms` on the given clock, and leaves no timer behind. Rejects when the work does, in time. */
export async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([work, pause(clock, ms, over.signal)]);
  } finally {
    // A reason of its own: without one a DOMException with a stack is made each time.
    over.abort('over');
  }
}
