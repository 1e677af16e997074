import type { Message, ReceivedMessage } from '../message/message.js';
import type { SendOptions, SendReceipt } from './send.js';

/** What to do when the broker stored a message but reports another status than SEND_OK. */
export type NotFullyStoredPolicy = 'accept' | 'throw' | 'retry';

/** How a producer sends, and with which limits. (Java: `DefaultMQProducer`.) */
export interface ProducerOptions {
  /** Producer group. Brokers ask any member of it about unfinished transactions. */
  readonly group: string;
  /** One deadline over all attempts of a send, milliseconds. @default 3000 */
  readonly sendTimeoutMs?: number;
  /** Attempts of one send, the first included. Ordered sends to a chosen queue are tried once. @default 3 */
  readonly maxAttempts?: number;
  /** Largest body before compression, bytes. Keep it equal to the broker's. @default 4194304 */
  readonly maxMessageSize?: number;
  /** Bodies of at least this many bytes are compressed with zlib; `Infinity` switches it off. @default 4096 */
  readonly compressAboveBytes?: number;
  /** What `send` does about a message that is stored without the guarantees asked for. @default 'accept' */
  readonly onNotFullyStored?: NotFullyStoredPolicy;
  /** Prefer brokers that answered quickly (Java: `sendLatencyFaultEnable`). @default false */
  readonly latencyAware?: boolean;
  /** Messages in flight per producer. @default 4096 */
  readonly maxInFlight?: number;
  /** At the limit: wait for room (within the deadline), or fail with `TOO_MANY_IN_FLIGHT`. @default 'wait' */
  readonly onMaxInFlight?: 'wait' | 'throw';
}

/** How a local transaction ended, as far as the answering process knows. */
export type TransactionResolution = 'commit' | 'rollback' | 'unknown';

/**
 * Answers the broker's question about a half message. It must look at durable, shared state: any instance
 * of the producer group may be asked. An error counts as `unknown`; the broker asks again.
 */
export type TransactionCheck = (message: ReceivedMessage) => Promise<TransactionResolution>;

/** A half message: stored, invisible to consumers until it is committed. */
export interface HalfMessage {
  readonly receipt: SendReceipt;
  /** Makes it visible. Resolves when the broker was told; if that gets lost, the broker's check repeats the question. */
  commit(): Promise<void>;
  /** Discards it. */
  rollback(): Promise<void>;
}

/** What came of a request. */
export interface RequestResult {
  /** Of the request. */
  readonly receipt: SendReceipt;
  /** What whoever handled it answered. */
  readonly reply: ReceivedMessage;
}

/** An answer to a request. */
export type Reply = Pick<Message, 'body' | 'headers'>;

/** Sends messages. One producer per group and connection; safe to use concurrently. */
export interface Producer {
  readonly group: string;
  /** Registers the group, so that brokers can ask it about half messages. The client has to be started. */
  start(): Promise<void>;
  /** @throws RocketMQError; `retryable` tells whether the same call may succeed later. */
  send(message: Message, options?: SendOptions): Promise<SendReceipt>;
  /** Resolves when the bytes were handed to the socket. Loss after that goes unnoticed. */
  sendOneWay(message: Message, options?: Pick<SendOptions, 'queue' | 'selector' | 'signal'>): Promise<void>;
  /**
   * One or more broker batches of messages of one topic, split at the size limit; receipts in the order given.
   * @throws RocketMQError `INVALID_ARGUMENT` for what cannot be batched: several topics, delayed, transactional
   */
  sendBatch(messages: readonly Message[], options?: SendOptions): Promise<readonly SendReceipt[]>;
  /** Stores a half message. Needs a transaction check, see {@link setTransactionCheck}. */
  sendHalf(message: Message, options?: SendOptions): Promise<HalfMessage>;
  /** Must be set before the first half message; answers checks of every half message of the group. */
  setTransactionCheck(check: TransactionCheck): void;
  /** Withdraws a timer message that is not yet due, by the handle in its receipt. Resolves with its message id. */
  recall(topic: string, recallHandle: string): Promise<string>;
  /**
   * Sends a message and waits for the reply of a consumer; `timeoutMs` is for both. At most one reply comes; that none
   * came does not mean that nobody handled the request.
   * @throws RocketMQError `TIMEOUT` (`retryable`) when no reply came in time
   */
  request(message: Message, options?: SendOptions): Promise<RequestResult>;
  /**
   * Answers a request, as a consumer. Resolves when the broker has handed it to the producer that asked.
   * @throws RocketMQError `INVALID_ARGUMENT` when the message waits for no reply, `BROKER_REJECTED` when the one who
   * asked has gone
   */
  reply(
    request: ReceivedMessage,
    reply: Reply,
    options?: Pick<SendOptions, 'timeoutMs' | 'signal'>,
  ): Promise<void>;
  /** Waits for what is in flight, at most `timeoutMs`, then lets go of everything. Idempotent. @param timeoutMs default 3000 */
  close(timeoutMs?: number): Promise<void>;
}
