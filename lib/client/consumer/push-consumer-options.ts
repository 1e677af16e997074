import { checkGroup } from '../../message/message-limits.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import { allocateAveragely } from '../allocation/averagely.js';
import type { PushConsumerOptions } from '../push-consumer.js';

/** Source: DefaultMQPushConsumer.maxReconsumeTimes: -1 stands for 16 with concurrent consumption, and no limit with orderly. */
const DEFAULT_MAX_ATTEMPTS = 17;
/** Java's Integer.MAX_VALUE: the wire has 32 bits. */
const UNLIMITED_RECONSUME_TIMES = 2 ** 31 - 1;

export type ResolvedPushOptions = Required<Omit<PushConsumerOptions, 'offsetStoreFolder' | 'maxAttempts'>> & {
  readonly offsetStoreFolder: string | undefined;
  /** Deliveries after the first. */
  readonly maxReconsumeTimes: number;
};

/**
 * Fills in the defaults.
 *
 * @throws RocketMQError `INVALID_CONFIGURATION` or `INVALID_ARGUMENT`
 */
export function resolvePushOptions(options: PushConsumerOptions): ResolvedPushOptions {
  checkGroup(options.group);
  const mode = options.mode ?? 'concurrent';
  const maxAttempts = options.maxAttempts ?? (mode === 'orderly' ? Infinity : DEFAULT_MAX_ATTEMPTS);
  const resolved: ResolvedPushOptions = {
    group: options.group,
    subscriptions: options.subscriptions,
    handler: options.handler,
    mode,
    model: options.model ?? 'clustering',
    startFrom: options.startFrom ?? 'last',
    concurrency: options.concurrency ?? 20,
    batchSize: options.batchSize ?? 1,
    maxReconsumeTimes: Math.min(maxAttempts - 1, UNLIMITED_RECONSUME_TIMES),
    consumeTimeoutMs: options.consumeTimeoutMs ?? 900_000,
    pullBatchSize: options.pullBatchSize ?? 32,
    longPollingMs: options.longPollingMs ?? 15_000,
    maxCachedMessages: options.maxCachedMessages ?? 1_000,
    maxCachedBytes: options.maxCachedBytes ?? 104_857_600,
    maxOffsetSpan: options.maxOffsetSpan ?? 2_000,
    suspendMs: options.suspendMs ?? 1_000,
    offsetPersistIntervalMs: options.offsetPersistIntervalMs ?? 5_000,
    rebalanceIntervalMs: options.rebalanceIntervalMs ?? 20_000,
    allocateStrategy: options.allocateStrategy ?? allocateAveragely(),
    offsetStoreFolder: options.offsetStoreFolder,
  };
  checkNumbers(resolved, maxAttempts);
  return resolved;
}

function checkNumbers(options: ResolvedPushOptions, maxAttempts: number): void {
  const { group, startFrom } = options;
  atLeast(group, 'concurrency', options.concurrency, 1);
  atLeast(group, 'batchSize', options.batchSize, 1);
  atLeast(group, 'maxAttempts', maxAttempts, 1);
  atLeast(group, 'consumeTimeoutMs', options.consumeTimeoutMs, 1);
  atLeast(group, 'pullBatchSize', options.pullBatchSize, 1);
  atLeast(group, 'longPollingMs', options.longPollingMs, 1);
  atLeast(group, 'maxCachedMessages', options.maxCachedMessages, 1);
  atLeast(group, 'maxCachedBytes', options.maxCachedBytes, 1);
  atLeast(group, 'maxOffsetSpan', options.maxOffsetSpan, 1);
  atLeast(group, 'offsetPersistIntervalMs', options.offsetPersistIntervalMs, 1);
  atLeast(group, 'rebalanceIntervalMs', options.rebalanceIntervalMs, 1);
  if (!(options.suspendMs >= 10 && options.suspendMs <= 30_000)) {
    throw invalid(group, `suspendMs is ${options.suspendMs}`, 'Use 10 to 30000.');
  }
  if (startFrom instanceof Date && Number.isNaN(startFrom.getTime())) {
    throw invalid(group, 'startFrom is no date', 'Use "last", "first" or a valid Date.');
  }
}

export function atLeast(group: string, name: string, value: number, min: number): void {
  if (!(value >= min)) throw invalid(group, `${name} is ${value}`, `Use ${min} or more.`);
}

function invalid(group: string, what: string, next: string): RocketMQError {
  return new RocketMQError('INVALID_CONFIGURATION', `Consumer of group "${group}": ${what}. ${next}`);
}
