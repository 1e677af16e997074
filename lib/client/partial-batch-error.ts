import { RocketMQError } from '../message/rocketmq-error.js';
import type { SendReceipt } from './send.js';

/**
 * A batch was too large for one request, its first part was stored, a later one was not. Messages from
 * `receipts.length` on may be sent again; of the part that failed it may be unknown whether it was stored.
 */
export class PartialBatchError extends RocketMQError {
  /** Of the messages at the beginning that were stored, in the order given. */
  readonly receipts: readonly SendReceipt[];

  constructor(cause: unknown, receipts: readonly SendReceipt[], total: number) {
    const known = cause instanceof RocketMQError ? cause : undefined;
    super(
      known?.code ?? 'CONNECTION_FAILED',
      `Only the first ${receipts.length} of ${total} messages of the batch were stored: ${known?.message ?? String(cause)} Send the others again.`,
      { retryable: known?.retryable ?? false, cause },
    );
    this.receipts = receipts;
  }
}
