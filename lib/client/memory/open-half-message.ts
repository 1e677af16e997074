import { RocketMQError } from '../../message/rocketmq-error.js';
import type { HalfMessage } from '../producer.js';
import type { SendReceipt } from '../send.js';

/** Ends the copy of the half message at this offset. */
export type EndTransaction = (offset: number, resolution: 'commit' | 'rollback') => Promise<void>;

/** A half message in the hands of the process that sent it. It ends once; a check may move it before. */
export class OpenHalfMessage implements HalfMessage {
  readonly receipt: SendReceipt;
  readonly #end: EndTransaction;
  #offset: number;
  #ended: 'commit' | 'rollback' | undefined;

  constructor(receipt: SendReceipt, offset: number, end: EndTransaction) {
    this.receipt = receipt;
    this.#offset = offset;
    this.#end = end;
  }

  /** A check told where it lies now. */
  moved(offset: number): void {
    this.#offset = offset;
  }

  commit(): Promise<void> {
    return this.#finish('commit');
  }

  rollback(): Promise<void> {
    return this.#finish('rollback');
  }

  async #finish(resolution: 'commit' | 'rollback'): Promise<void> {
    if (this.#ended === resolution) return;
    if (this.#ended !== undefined) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Half message ${this.receipt.messageId} has ended with ${this.#ended}. A transaction ends once; correct the order of the calls.`,
      );
    }
    await this.#end(this.#offset, resolution);
    this.#ended = resolution;
  }
}
