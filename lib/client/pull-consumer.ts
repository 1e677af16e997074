import type { MessageQueue, ReceivedMessage } from '../message/message.js';
import type { AllocateStrategy } from './allocate-strategy.js';
import type { StartFrom } from './push-consumer.js';
import type { Subscription } from './subscription.js';

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
  readonly allocateStrategy?: AllocateStrategy;
}

/** Takes messages when the caller wants them. (Java: `DefaultLitePullConsumer`.) Either `subscribe` or `assign`. */
export interface PullConsumer {
  readonly group: string;
  start(): Promise<void>;
  subscribe(subscription: Subscription): Promise<void>;
  unsubscribe(topic: string): Promise<void>;
  assign(queues: readonly MessageQueue[]): Promise<void>;
  assignment(): readonly MessageQueue[];
  /** Messages of the assigned queues; an empty array when none came within `timeoutMs`. @param timeoutMs default 5000 */
  poll(timeoutMs?: number): Promise<readonly ReceivedMessage[]>;
  seek(queue: MessageQueue, offset: number | 'begin' | 'end'): Promise<void>;
  pause(queues: readonly MessageQueue[]): void;
  resume(queues: readonly MessageQueue[]): void;
  /** Reports to the broker what `poll` has handed out so far, or the offset given. */
  commit(offsets?: ReadonlyMap<MessageQueue, number>): Promise<void>;
  committed(queue: MessageQueue): Promise<number | undefined>;
  queues(topic: string): Promise<readonly MessageQueue[]>;
  offsetForTimestamp(queue: MessageQueue, timestamp: Date): Promise<number>;
  /** Called when the queues of a topic change. Returns the function that removes the listener. */
  onQueuesChanged(topic: string, listener: (queues: readonly MessageQueue[]) => void): () => void;
  close(): Promise<void>;
}
