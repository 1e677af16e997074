import { allocateAveragely } from '../../allocation/averagely.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import { checkGroup, checkTopic } from '../../../message/message-limits.js';
import type { PushConsumerOptions } from '../../push-consumer.js';

/** Options with their defaults. */
export type PushConsumerSettings = Omit<Required<PushConsumerOptions>, 'offsetStoreFolder'>;

type Defaulted = Omit<PushConsumerSettings, 'group' | 'subscriptions' | 'handler' | 'maxAttempts'>;

/** As the port documents them. */
function defaults(): Defaulted {
  return {
    mode: 'concurrent',
    model: 'clustering',
    startFrom: 'last',
    concurrency: 20,
    batchSize: 1,
    consumeTimeoutMs: 900_000,
    pullBatchSize: 32,
    longPollingMs: 15_000,
    maxCachedMessages: 1_000,
    maxCachedBytes: 100 * 1024 * 1024,
    maxOffsetSpan: 2_000,
    suspendMs: 1_000,
    offsetPersistIntervalMs: 5_000,
    rebalanceIntervalMs: 20_000,
    allocateStrategy: allocateAveragely(),
  };
}

const COUNTS = [
  'concurrency',
  'batchSize',
  'maxAttempts',
  'consumeTimeoutMs',
  'pullBatchSize',
  'longPollingMs',
  'maxCachedMessages',
  'maxCachedBytes',
  'maxOffsetSpan',
  'offsetPersistIntervalMs',
  'rebalanceIntervalMs',
] as const;

/** @throws RocketMQError `INVALID_ARGUMENT` or `INVALID_CONFIGURATION` */
export function pushConsumerSettings(options: PushConsumerOptions): PushConsumerSettings {
  checkGroup(options.group);
  for (const { topic } of options.subscriptions) checkTopic(topic);
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as PushConsumerOptions;
  const settings: PushConsumerSettings = {
    ...defaults(),
    maxAttempts: options.mode === 'orderly' ? Infinity : 17,
    ...given,
  };
  for (const name of COUNTS) {
    if (!(settings[name] >= 1))
      throw invalid(options.group, `${name} is ${settings[name]}`, 'Use 1 or more.');
  }
  const { suspendMs, startFrom } = settings;
  if (!(suspendMs >= 10 && suspendMs <= 30_000)) {
    throw invalid(options.group, `suspendMs is ${suspendMs}`, 'Use 10 to 30000.');
  }
  if (startFrom instanceof Date && Number.isNaN(startFrom.getTime())) {
    throw invalid(options.group, 'startFrom is no date', 'Use "last", "first" or a valid Date.');
  }
  return settings;
}

function invalid(group: string, what: string, next: string): RocketMQError {
  return new RocketMQError('INVALID_CONFIGURATION', `Consumer of group "${group}": ${what}. ${next}`);
}
