import type { Message, MessageQueue } from '../message/message.js';

/**
 * What the broker says about a stored message. Anything but `SEND_OK` means: stored on the master, but a
 * flush or replication guarantee was missed. (Java: `SendStatus`.)
 */
export type SendStatus = 'SEND_OK' | 'FLUSH_DISK_TIMEOUT' | 'FLUSH_SLAVE_TIMEOUT' | 'SLAVE_NOT_AVAILABLE';

/** The broker's acknowledgement of one message. (Java: `SendResult`.) */
export interface SendReceipt {
  /** The producer's unique key. */
  readonly messageId: string;
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly status: SendStatus;
  /** Address and commit-log offset in hex; of a batch, the one of this message. */
  readonly offsetMessageId: string;
  readonly transactionId?: string | undefined;
  /** Present on timer messages of brokers that allow recall; pass it to `recall`. */
  readonly recallHandle?: string | undefined;
}

/**
 * Chooses the queue of an ordered message among the writable ones, which are sorted as Java sorts them.
 * (Java: `MessageQueueSelector`.)
 */
export type MessageQueueSelector = (
  queues: readonly MessageQueue[],
  message: Message,
  orderingKey: string,
) => MessageQueue;

/** What one send may say for itself. */
export interface SendOptions {
  /** One deadline over all attempts, milliseconds. @default the producer's `sendTimeoutMs` */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Send to exactly this queue. No retry on another broker then. */
  readonly queue?: MessageQueue;
  /** For ordered messages. @default by Java's `SelectMessageQueueByHash`: abs(hash of the key) modulo queues */
  readonly selector?: MessageQueueSelector;
}
