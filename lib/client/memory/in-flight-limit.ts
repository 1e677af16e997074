import { setMaxListeners } from 'node:events';
import { RocketMQError } from '../../message/rocketmq-error.js';
import type { Clock } from '../clock.js';
import { aborted } from './broker-connection.js';

interface Waiter {
  readonly weight: number;
  readonly admit: () => void;
}

/** Back-pressure of a producer: how many messages are on their way at the same time. The others wait in line. */
export class InFlightLimit {
  readonly #max: number;
  readonly #whenFull: 'wait' | 'throw';
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiter>();
  readonly #idle = new Set<() => void>();
  #count = 0;

  constructor(max: number, whenFull: 'wait' | 'throw', clock: Clock) {
    this.#max = max;
    this.#whenFull = whenFull;
    this.#clock = clock;
  }

  /**
   * Takes room for so many messages, and runs. A batch larger than the limit goes alone.
   *
   * @throws RocketMQError `TOO_MANY_IN_FLIGHT` or `ABORTED`
   */
  async run<T>(
    messages: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const weight = Math.min(messages, this.#max);
    if (this.#waiting.size > 0 || this.#count + weight > this.#max) {
      await this.#room(weight, timeoutMs, signal);
    } else {
      this.#count += weight;
    }
    try {
      return await work();
    } finally {
      this.#count -= weight;
      this.#admit();
    }
  }

  /** Resolves when nothing is on its way. */
  whenIdle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.add(resolve));
  }

  #room(weight: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#whenFull === 'throw') return Promise.reject(this.#full('refuses more'));
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        this.#waiting.delete(waiter);
        this.#clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = (): void => end(() => reject(aborted('send')));
      const waiter: Waiter = { weight, admit: () => end(resolve) };
      const timer = this.#clock.setTimeout(
        () => end(() => reject(this.#full('had no room before the deadline'))),
        timeoutMs,
      );
      if (signal !== undefined) {
        // One signal may end any number of sends; Node warns of more than ten listeners.
        setMaxListeners(0, signal);
        signal.addEventListener('abort', onAbort, { once: true });
      }
      this.#waiting.add(waiter);
    });
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      if (this.#count + waiter.weight > this.#max) return;
      this.#count += waiter.weight;
      waiter.admit();
    }
    if (this.#count > 0) return;
    for (const idle of this.#idle) idle();
    this.#idle.clear();
  }

  #full(what: string): RocketMQError {
    return new RocketMQError(
      'TOO_MANY_IN_FLIGHT',
      `The producer has ${this.#count} messages in flight and ${what}. Await earlier sends, or raise maxInFlight.`,
      { retryable: true },
    );
  }
}
