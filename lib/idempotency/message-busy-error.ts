import { RocketMQError } from '../message/rocketmq-error.js';

/** Another handler works on the same message at this moment, and took longer than was waited. */
export class MessageBusyError extends RocketMQError {
  constructor(
    /** When to try again, milliseconds. */
    readonly retryAfterMs: number,
    cause?: unknown,
  ) {
    super(
      'DATABASE_FAILED',
      'Another handler is working on the same message. It comes again; raise idempotency.waitMs if this is frequent.',
      { retryable: true, cause },
    );
  }
}
