import type { PushConsumerOptions, StartFrom } from '../client/push-consumer.js';
import type { MessageFilter } from '../client/subscription.js';
import type { MessageSerializer } from '../message/message-serializer.js';
import type { Duration } from '../message/duration.js';
import type { FailurePolicies } from './failure-policy.js';
import type { RocketMQContext } from './rocketmq-context.js';

/**
 * When a failed message comes again.
 *
 * - a duration: always after this time
 * - several: after the first, second, … failure; the last one repeats
 * - a function of the attempt that failed (from 1) and its error; undefined means the broker's own schedule
 */
export type RetrySchedule =
  Duration | readonly [Duration, ...Duration[]] | ((attempt: number, error: unknown) => Duration | undefined);

/** Called when the last attempt failed, before the message becomes a dead letter. Errors are logged and change nothing. */
export type ExhaustedHook = (error: unknown, context: RocketMQContext) => unknown;

/** Finer settings of the push consumer, passed on as they are. */
export type ConsumerTuning = Pick<
  PushConsumerOptions,
  | 'pullBatchSize'
  | 'longPollingMs'
  | 'maxCachedMessages'
  | 'maxCachedBytes'
  | 'maxOffsetSpan'
  | 'suspendMs'
  | 'offsetPersistIntervalMs'
  | 'rebalanceIntervalMs'
  | 'allocateStrategy'
  | 'offsetStoreFolder'
>;

/**
 * Listeners of one application that name the same connection and group are members of one consumer: their topics
 * are its subscriptions. What describes the consumer (mode, model, concurrency, maxAttempts, startFrom, batchSize,
 * tuning) must then not contradict each other; leaving it out follows the others.
 */
export interface ListenerOptions {
  /** For the registry, overrides, events and logs. @default `Class.method` */
  readonly id?: string;
  readonly topic: string;
  /** Consumer group. Its members share the messages; every group gets all of them. */
  readonly group: string;
  /** A tag expression (`'created || paid'`), `tags(…)` or `sql92(…)`. @default everything */
  readonly filter?: string | MessageFilter;
  /** `ordered`: one message of a queue at a time, in the order stored. @default 'concurrent' */
  readonly mode?: 'concurrent' | 'ordered';
  /** `broadcasting`: every instance gets every message, failures are not delivered again. @default 'clustering' */
  readonly model?: 'clustering' | 'broadcasting';
  /** Handler calls at the same time in this process. @default 20 */
  readonly concurrency?: number;
  /**
   * Deliveries before a message is a dead letter, the first included.
   * @default 17 for concurrent listeners; unlimited for ordered ones
   */
  readonly maxAttempts?: number;
  /** @default the broker's schedule (10 s, 30 s, 1 min, … 2 h) */
  readonly retry?: RetrySchedule;
  /**
   * A handler that runs longer is reported and its signal aborts. Concurrent listeners give it up: the message is
   * retried and a late result is ignored. Ordered listeners keep waiting, since order goes first. @default '15m'
   */
  readonly timeout?: Duration;
  /** Where a group starts that has no offset yet. @default 'last' */
  readonly startFrom?: StartFrom;
  /** Name of the connection. @default 'default' */
  readonly connection?: string;
  /** @default the connection's */
  readonly serializer?: MessageSerializer;
  /** @default true */
  readonly enabled?: boolean;
  /** Overrides the module's `failures`, one by one. */
  readonly failures?: FailurePolicies;
  /** A function, or the name of a method of the listener's class. */
  readonly onExhausted?: string | ExhaustedHook;
  readonly tuning?: ConsumerTuning;
}

/** Options of `@RocketMQBatchListener`. */
export interface BatchListenerOptions extends ListenerOptions {
  /** Messages per call, at most; all of one queue. @default 32 */
  readonly batchSize?: number;
}

/**
 * Dead letters keep counting: `attempt` goes on where the group that gave up stopped. Therefore other defaults:
 * `retry` is one minute, `maxAttempts` 1000.
 */
export interface DeadLetterListenerOptions extends Omit<ListenerOptions, 'topic' | 'group'> {
  /** The consumer group whose dead letters are wanted. */
  readonly group: string;
  /** The group that reads them. @default `${group}-dead-letters` */
  readonly consumerGroup?: string;
}

/** What the module options may change per listener id. */
export type ListenerOverrides = Partial<Omit<BatchListenerOptions, 'id'>>;

/** Every key a listener may have; anything else is a misspelling. */
export const LISTENER_OPTION_KEYS: ReadonlySet<string> = new Set<keyof BatchListenerOptions>([
  'id',
  'topic',
  'group',
  'filter',
  'mode',
  'model',
  'concurrency',
  'maxAttempts',
  'retry',
  'timeout',
  'startFrom',
  'connection',
  'serializer',
  'enabled',
  'failures',
  'onExhausted',
  'tuning',
  'batchSize',
]);

export const TUNING_KEYS: ReadonlySet<string> = new Set<keyof ConsumerTuning>([
  'pullBatchSize',
  'longPollingMs',
  'maxCachedMessages',
  'maxCachedBytes',
  'maxOffsetSpan',
  'suspendMs',
  'offsetPersistIntervalMs',
  'rebalanceIntervalMs',
  'allocateStrategy',
  'offsetStoreFolder',
]);

export const DEAD_LETTER_DEFAULTS = { retry: '1m', maxAttempts: 1_000 } as const;
export const DEFAULT_CONNECTION = 'default';
export const DEFAULT_BATCH_SIZE = 32;
export const DEFAULT_HANDLER_TIMEOUT: Duration = '15m';
/** As the port's `PushConsumerOptions.maxAttempts` for concurrent consumers. */
export const DEFAULT_MAX_ATTEMPTS = 17;
