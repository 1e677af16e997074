import { applyDecorators, SetMetadata, UseInterceptors } from '@nestjs/common';
import { IDEMPOTENT_METADATA } from './idempotency.tokens.js';
import { IdempotencyInterceptor } from './idempotency.interceptor.js';
import type { IdempotentOptions } from './idempotency-options.js';

/**
 * The handler's effect happens once per message, however often it is delivered and however many copies arrive at
 * the same time. By default the handler runs in a database transaction, to be had by `@Tx()`, whose first statement
 * records the message: what the handler writes with it, outbox messages included, is committed together with that
 * record, or not at all. `mode: 'lease'` is for effects outside the database.
 *
 * Batch listeners get only the messages that are new.
 */
export function Idempotent(options: IdempotentOptions = {}): MethodDecorator & ClassDecorator {
  return applyDecorators(SetMetadata(IDEMPOTENT_METADATA, options), UseInterceptors(IdempotencyInterceptor));
}
