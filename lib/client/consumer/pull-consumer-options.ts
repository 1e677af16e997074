import { checkGroup } from '../../message/message-limits.js';
import { allocateAveragely } from '../allocation/averagely.js';
import type { PullConsumerOptions } from '../pull-consumer.js';
import { atLeast } from './push-consumer-options.js';

/**
 * Fills in the defaults.
 *
 * @throws RocketMQError `INVALID_CONFIGURATION` or `INVALID_ARGUMENT`
 */
export function resolvePullOptions(options: PullConsumerOptions): Required<PullConsumerOptions> {
  checkGroup(options.group);
  const { group, autoCommitIntervalMs = 5_000, pollBatchSize = 10, maxCachedMessages = 1_000 } = options;
  atLeast(group, 'autoCommitIntervalMs', autoCommitIntervalMs, 0);
  atLeast(group, 'pollBatchSize', pollBatchSize, 1);
  atLeast(group, 'maxCachedMessages', maxCachedMessages, 1);
  return {
    group,
    startFrom: options.startFrom ?? 'last',
    autoCommit: options.autoCommit ?? true,
    autoCommitIntervalMs,
    pollBatchSize,
    maxCachedMessages,
    allocateStrategy: options.allocateStrategy ?? allocateAveragely(),
  };
}
