import type { EntityManager } from 'typeorm';
import type { Message } from '../message/message.js';
import type { SendOptions, SendReceipt } from '../client/send.js';

/** The local transaction; its result is handed back. */
export type TransactionWork<T> = (tx: EntityManager) => Promise<T> | T;

export interface TransactionalSendResult<T> {
  readonly receipt: SendReceipt;
  /** What the local transaction returned. */
  readonly result: T;
}

/** What the template needs of transactional messages; the transaction feature has it. */
export interface TransactionalSend {
  sendInTransaction<T>(
    message: Message,
    work: TransactionWork<T>,
    options?: SendOptions,
  ): Promise<TransactionalSendResult<T>>;
}
