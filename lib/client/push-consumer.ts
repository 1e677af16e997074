import type { ReceivedMessage } from '../message/message.js';
import type { AllocateStrategy } from './allocate-strategy.js';
import type { Subscription } from './subscription.js';

/**
 * What becomes of messages that were handed over.
 *
 * - `ack`: done, never again.
 * - `retry`: deliver again, after `delayMs` or after the broker's schedule for this attempt. Remoting brokers
 *   know 18 delay levels: the smallest level that is not shorter is taken, by the default table `1s 5s 10s 30s 1m …
 *   2h`. A broker does not tell clients its own `messageDelayLevel`: where it differs, the wait is what that table says
 *   for the level. For orderly consumers: the queue is suspended for the time, then the same message comes again.
 * - `dead-letter`: to `%DLQ%group` now; the reason becomes its header `DEAD_LETTER_REASON`.
 */
export type ConsumeResult =
  | { readonly action: 'ack' }
  | { readonly action: 'retry'; readonly delayMs?: number | undefined }
  | { readonly action: 'dead-letter'; readonly reason?: string | undefined };

/** What a handler says of a message that is done. */
export const ACK: ConsumeResult = { action: 'ack' };
/** What a handler says of a message it wants again, by the broker's schedule. */
export const RETRY: ConsumeResult = { action: 'retry' };

/** What a handler knows about a delivery beside its messages. */
export interface DeliveryContext {
  readonly group: string;
  /** Aborts when the result no longer matters: queue lost to another owner, consume timeout, end of the drain. */
  readonly signal: AbortSignal;
}

/**
 * Handles messages of one queue of one topic: one of them, or up to `batchSize`. The array answer has one result
 * per message; a single one is meant for all. A rejected promise means retry for all. With orderly consumption the
 * first message that is not acknowledged keeps the ones behind it.
 */
export type MessageHandler = (
  messages: readonly ReceivedMessage[],
  context: DeliveryContext,
) => Promise<ConsumeResult | readonly ConsumeResult[]>;

/**
 * Where a group starts that has no offset yet. A queue that comes later, because its topic got more queues or its
 * broker was away, is not skipped over, whatever this says. @see Java: `ConsumeFromWhere`
 */
export type StartFrom = 'last' | 'first' | Date;

/** How a consumer group receives, and with which limits. (Java: `DefaultMQPushConsumer`.) */
export interface PushConsumerOptions {
  readonly group: string;
  readonly subscriptions: readonly Subscription[];
  readonly handler: MessageHandler;
  /** @default 'concurrent' */
  readonly mode?: 'concurrent' | 'orderly';
  /** @default 'clustering' */
  readonly model?: 'clustering' | 'broadcasting';
  /** @default 'last' */
  readonly startFrom?: StartFrom;
  /** Handler calls at the same time in this process. @default 20 */
  readonly concurrency?: number;
  /** Messages per handler call, at most. @default 1 */
  readonly batchSize?: number;
  /**
   * Deliveries before a message goes to the dead-letter topic, the first included.
   * @default 17 for concurrent consumers, unlimited for orderly ones (as in Java: 16 reconsumptions)
   */
  readonly maxAttempts?: number;
  /**
   * A concurrent handler that runs longer is given up: its message is sent back for retry, its result ignored. An
   * orderly one may run on, since nobody else can have its queue; but when the queue is to go to another member, the
   * hand-over waits for the handler no longer than this: then its signal aborts, its result is ignored, and the new
   * owner gets the message again. Milliseconds. @default 900000
   */
  readonly consumeTimeoutMs?: number;
  /** Messages asked for per pull. @default 32 */
  readonly pullBatchSize?: number;
  /** How long the broker holds a pull open when there is nothing, milliseconds. @default 15000 */
  readonly longPollingMs?: number;
  /** Flow control per queue: messages held in memory. @default 1000 */
  readonly maxCachedMessages?: number;
  /**
   * Flow control over all queues of this consumer: bytes that messages take in memory, about. A message counts with its
   * body and 1,400 bytes for what comes with it. (Java counts bodies alone.) @default 104857600
   */
  readonly maxCachedBytes?: number;
  /** Flow control for concurrent consumers: distance between the lowest and highest offset held per queue. @default 2000 */
  readonly maxOffsetSpan?: number;
  /** Orderly: pause of a queue after a failed handler, milliseconds, 10 to 30000. @default 1000 */
  readonly suspendMs?: number;
  /** How often offsets are reported to the broker, milliseconds. @default 5000 */
  readonly offsetPersistIntervalMs?: number;
  /** How often queues are shared out among the members, milliseconds. @default 20000 */
  readonly rebalanceIntervalMs?: number;
  /** @default averagely */
  readonly allocateStrategy?: AllocateStrategy;
  /** Broadcasting: folder for offset files. @default `.rocketmq_offsets` in the home directory */
  readonly offsetStoreFolder?: string;
}

/** Something a consumer did or noticed; observability hangs on these. */
export type ConsumerEvent =
  | { readonly type: 'assigned'; readonly topic: string; readonly queues: readonly string[] }
  /** `delayMs` as the handler asked for, before rounding to a delay level; undefined for the broker's schedule. */
  | { readonly type: 'retried'; readonly message: ReceivedMessage; readonly delayMs: number | undefined }
  | { readonly type: 'dead-lettered'; readonly message: ReceivedMessage; readonly reason: string | undefined }
  | { readonly type: 'consume-timeout'; readonly message: ReceivedMessage }
  | { readonly type: 'error'; readonly error: Error; readonly context: string };

/** Messages in memory; the limits are `maxCachedMessages` and `maxCachedBytes`. */
export interface CachedMessages {
  readonly messages: number;
  /** What they take in memory, about: bodies, and 1,400 bytes for each. */
  readonly bytes: number;
}

/** Receives messages and hands them to the handler. */
export interface PushConsumer {
  readonly group: string;
  /**
   * Registers at the brokers and begins to pull.
   * @throws RocketMQError `TOPIC_NOT_FOUND` when no subscribed topic has a route
   */
  start(): Promise<void>;
  /** No new handler calls for the topic, or for all. What runs may finish. */
  pause(topic?: string): void;
  /** Ends a pause of the topic, or of all. */
  resume(topic?: string): void;
  /** Adds a subscription, or replaces its filter, at run time. */
  subscribe(subscription: Subscription): Promise<void>;
  /** Gives the topic's queues back. The other members hear of it with the next heartbeat. */
  unsubscribe(topic: string): Promise<void>;
  /** Resolves when this member owns its share of every subscribed topic for the first time. */
  whenAssigned(signal?: AbortSignal): Promise<void>;
  /** Queues this member owns now, as `topic@broker:queueId`. */
  assignment(): readonly string[];
  /** Handler calls under way. */
  readonly inFlight: number;
  /** What is held in memory and not acknowledged: waiting for a handler, or with one. */
  cached(): CachedMessages;
  /** Called with everything the consumer does or notices, for as long as it lives. */
  onEvent(listener: (event: ConsumerEvent) => void): void;
  /**
   * Stops pulling, lets running handlers finish within `drainTimeoutMs`, reports offsets, leaves the group.
   * Resolves with the number of messages whose handlers were given up; they will be delivered again. Idempotent.
   *
   * @param drainTimeoutMs milliseconds. @default 10000. Also what the end of the client gives its consumers.
   */
  close(drainTimeoutMs?: number): Promise<{ readonly abandoned: number }>;
}
