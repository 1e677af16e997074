import { RocketMQError } from '../../../message/rocketmq-error.js';
import type { Clock, ClockTimer } from '../../clock.js';

interface Waiter {
  readonly weight: number;
  /** On the monotonic clock. */
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: RocketMQError) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

/** How exactly the deadlines of waiting sends are kept, milliseconds: one timer looks after all of them. */
const SWEEP_MS = 20;

/** Back-pressure: how many messages are on their way at the same time; the others wait in line or are refused. */
export class InFlightLimit {
  readonly #max: number;
  readonly #whenFull: 'wait' | 'throw';
  readonly #clock: Clock;
  /** In line from {@link #head} on; what is before it has been served. */
  #waiting: Waiter[] = [];
  #head = 0;
  #sweeper: ClockTimer;
  #idle: (() => void)[] = [];
  #count = 0;

  constructor(max: number, whenFull: 'wait' | 'throw', clock: Clock) {
    this.#max = max;
    this.#whenFull = whenFull;
    this.#clock = clock;
  }

  /** Messages on their way now. */
  get count(): number {
    return this.#count;
  }

  /** What a batch of so many messages takes; one larger than the limit may still go alone. */
  weightOf(messages: number): number {
    return Math.min(messages, this.#max);
  }

  /** The fast path: room is taken at once, or there is none (or somebody is before us in line). */
  tryEnter(weight: number): boolean {
    if (this.#waiting.length > this.#head || this.#count + weight > this.#max) return false;
    this.#count += weight;
    return true;
  }

  /**
   * Waits for room. Every successful entry needs one {@link leave}.
   * @throws RocketMQError `TOO_MANY_IN_FLIGHT` or `ABORTED`
   */
  enter(weight: number, deadline: number, signal?: AbortSignal): Promise<void> {
    if (this.tryEnter(weight)) return Promise.resolve();
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (this.#whenFull === 'throw') return Promise.reject(this.#full('refuses more'));
    return new Promise((resolve, reject) => {
      const onAbort = signal && ((): void => this.#giveUp(waiter, aborted(signal)));
      const waiter: Waiter = { weight, deadline, resolve, reject, signal, onAbort };
      if (onAbort) signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
      this.#sweeper ??= this.#clock.setTimeout(() => this.#sweep(), SWEEP_MS);
    });
  }

  leave(weight: number): void {
    this.#count -= weight;
    this.#admit();
    if (this.#count === 0) for (const idle of this.#idle.splice(0)) idle();
  }

  /** Nobody gets in any more. */
  close(error: RocketMQError): void {
    for (const waiter of this.#takeLine()) this.#reject(waiter, error);
    this.#clock.clearTimeout(this.#sweeper);
    this.#sweeper = undefined;
  }

  /** Resolves when nothing is on its way. */
  whenIdle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #admit(): void {
    while (this.#head < this.#waiting.length) {
      const waiter = this.#waiting[this.#head]!;
      if (this.#count + waiter.weight > this.#max) break;
      this.#count += waiter.weight;
      this.#head++;
      this.#forget(waiter);
      waiter.resolve();
    }
    // Now and then, since removing from the front costs as much as the line is long.
    if (this.#head > 1_024 || this.#head === this.#waiting.length) this.#waiting = this.#takeLine();
  }

  #takeLine(): Waiter[] {
    const line = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    return line;
  }

  #sweep(): void {
    this.#sweeper = undefined;
    const now = this.#clock.monotonic();
    const line = this.#takeLine();
    this.#waiting = line.filter((waiter) => waiter.deadline > now);
    for (const waiter of line) {
      if (waiter.deadline <= now) this.#reject(waiter, this.#full('had no room before the deadline'));
    }
    this.#admit();
    if (this.#waiting.length > 0) this.#sweeper = this.#clock.setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  #giveUp(waiter: Waiter, error: RocketMQError): void {
    const line = this.#takeLine();
    this.#waiting = line.filter((other) => other !== waiter);
    if (this.#waiting.length < line.length) this.#reject(waiter, error);
    this.#admit();
  }

  #reject(waiter: Waiter, error: RocketMQError): void {
    this.#forget(waiter);
    waiter.reject(error);
  }

  #forget({ signal, onAbort }: Waiter): void {
    if (onAbort) signal?.removeEventListener('abort', onAbort);
  }

  #full(what: string): RocketMQError {
    return new RocketMQError(
      'TOO_MANY_IN_FLIGHT',
      `The producer has ${this.#count} messages in flight and ${what}. Await earlier sends, or raise maxInFlight.`,
      { retryable: true },
    );
  }
}

function aborted(signal: AbortSignal): RocketMQError {
  return new RocketMQError(
    'ABORTED',
    'The caller aborted before the message was sent. Nothing is left to do.',
    { cause: signal.reason },
  );
}
