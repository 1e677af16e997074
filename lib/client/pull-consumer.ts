import type { MessageQueue, ReceivedMessage } from '../message/message.js';
import type { AllocateStrategy } from './allocate-strategy.js';
import type { StartFrom } from './push-consumer.js';
import type { Subscription } from './subscription.js';

/** How a pull consumer reads, and with which limits. */
export interface PullConsumerOptions {
  readonly group: string;
  /** @default 'last' */
  readonly startFrom?: StartFrom;
  /** Reports what `poll` handed out before, by itself. Off: call `commit`. @default true */
  readonly autoCommit?: boolean;
  /** @default 5000 */
  readonly autoCommitIntervalMs?: number;
  /** Messages per `poll`, at most. @default 10 */
  readonly pollBatchSize?: number;
  /** @default 1000 */
  readonly maxCachedMessages?: number;
  /** How `subscribe` shares out queues. @default averagely */
  readonly allocateStrategy?: AllocateStrategy;
}

/** Takes messages when the caller wants them. (Java: `DefaultLitePullConsumer`.) Either `subscribe` or `assign`. */
export interface PullConsumer {
  readonly group: string;
  /**
   * Registers at the brokers, before `subscribe` or `assign`.
   * @throws RocketMQError `CONNECTION_FAILED` when the cluster cannot be reached
   */
  start(): Promise<void>;
  /**
   * Shares the queues of a topic with the other members of the group; more topics may follow.
   * @throws RocketMQError `TOPIC_NOT_FOUND`; `INVALID_ARGUMENT` after `assign`
   */
  subscribe(subscription: Subscription): Promise<void>;
  /** Gives the topic's queues back. */
  unsubscribe(topic: string): Promise<void>;
  /**
   * Reads exactly these queues, whatever other members of the group do. Replaces what was assigned before.
   * @throws RocketMQError `INVALID_ARGUMENT` after `subscribe`
   */
  assign(queues: readonly MessageQueue[]): Promise<void>;
  /** Queues it reads now. */
  assignment(): readonly MessageQueue[];
  /** Messages of the assigned queues; an empty array when none came within `timeoutMs`. @param timeoutMs default 5000 */
  poll(timeoutMs?: number): Promise<readonly ReceivedMessage[]>;
  /** Goes on reading at this offset; what is held in memory of the queue is dropped. */
  seek(queue: MessageQueue, offset: number | 'begin' | 'end'): Promise<void>;
  /** `poll` returns nothing of these queues. */
  pause(queues: readonly MessageQueue[]): void;
  /** Ends a pause. */
  resume(queues: readonly MessageQueue[]): void;
  /** Reports to the broker what `poll` has handed out so far, or the offset given. */
  commit(offsets?: ReadonlyMap<MessageQueue, number>): Promise<void>;
  /** The offset the broker has for the group; undefined when it has none. */
  committed(queue: MessageQueue): Promise<number | undefined>;
  /**
   * Every queue of the topic that can be read.
   * @throws RocketMQError `TOPIC_NOT_FOUND`
   */
  queues(topic: string): Promise<readonly MessageQueue[]>;
  /** The offset of the first message stored at that time or later. */
  offsetForTimestamp(queue: MessageQueue, timestamp: Date): Promise<number>;
  /** Called when the queues of a topic change. Returns the function that removes the listener. */
  onQueuesChanged(topic: string, listener: (queues: readonly MessageQueue[]) => void): () => void;
  /** Reports offsets when `autoCommit` is on, and leaves the group. Idempotent. */
  close(): Promise<void>;
}
