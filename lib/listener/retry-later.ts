import { IntrinsicException } from '@nestjs/common';
import { type Duration, toMilliseconds } from '../message/duration.js';

const KIND = Symbol.for('nestjs-rocketmq.retry-later');

/**
 * Thrown by a handler: deliver this message again after the delay, or by the listener's retry schedule when none
 * is given. It counts as an attempt. It is a decision, not a failure: Nest does not log it and exception filters
 * do not see it.
 */
export class RetryLater extends IntrinsicException {
  /** Milliseconds. Brokers of the remoting protocol round up to one of their delay levels. */
  readonly delayMs: number | undefined;

  /** @throws RocketMQError `INVALID_ARGUMENT` when the delay is not a duration */
  constructor(delay?: Duration, options?: { readonly reason?: string; readonly cause?: unknown }) {
    super(options?.reason ?? 'The handler asked for a later delivery', { cause: options?.cause });
    this.name = 'RetryLater';
    this.delayMs = delay === undefined ? undefined : toMilliseconds(delay);
    Object.defineProperty(this, KIND, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && KIND in value;
  }
}
