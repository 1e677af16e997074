/** What `@Idempotent()` works with: an `Idempotency`. */
export const IDEMPOTENCY = Symbol('nestjs-rocketmq:idempotency');

/** Metadata of a handler that is idempotent: its `IdempotentOptions`. */
export const IDEMPOTENT_METADATA = 'nestjs-rocketmq:idempotent';
