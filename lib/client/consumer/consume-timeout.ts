import type { Clock, ClockTimer } from '../clock.js';
import type { HandlerCall } from './handler-call.js';
import type { HandlerCalls } from './handler-calls.js';

/** The longest delay a timer can have. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Finds handler calls that run too long. One timer for all: they end in the order they began. */
export class ConsumeTimeout {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #calls: HandlerCalls;
  readonly #expired: (call: HandlerCall) => void;
  #timer: ClockTimer;

  constructor(timeoutMs: number, clock: Clock, calls: HandlerCalls, expired: (call: HandlerCall) => void) {
    this.#timeoutMs = Math.min(timeoutMs, MAX_TIMER_MS);
    this.#clock = clock;
    this.#calls = calls;
    this.#expired = expired;
  }

  /** A call began. */
  watch(): void {
    if (this.#timer === undefined) this.#arm(this.#timeoutMs);
  }

  close(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(ms: number): void {
    this.#timer = this.#clock.setTimeout(() => this.#look(), ms);
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (const call of this.#calls) {
      const left = call.startedAt + this.#timeoutMs - now;
      if (left > 0) {
        this.#arm(Math.ceil(left));
        return;
      }
      this.#expired(call);
    }
  }
}
