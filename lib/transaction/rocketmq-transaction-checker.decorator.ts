import { SetMetadata } from '@nestjs/common';
import { TRANSACTION_CHECKER_METADATA } from './transaction.tokens.js';

/**
 * The method answers the broker's question about half messages that name this checker: `'commit'`, `'rollback'` or
 * `'unknown'`. It gets the half message and must look at durable, shared state, since any instance may be asked; an
 * error counts as `'unknown'`. Not needed for `sendInTransaction` without a checker of its own: the transaction log
 * answers there.
 *
 * @param name - what `sendInTransaction(…, { checker: name })` gives
 */
export function RocketMQTransactionChecker(name: string): MethodDecorator {
  return SetMetadata(TRANSACTION_CHECKER_METADATA, name);
}
