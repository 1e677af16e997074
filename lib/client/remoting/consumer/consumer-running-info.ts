import type { ConsumerProfile, GroupMember } from '../../consumer/consumer-broker.js';
import type { ProcessQueue } from '../../consumer/process-queue.js';
import { encodeQueueMap } from '../protocol/queue-map.js';
import { subscriptionDataOf } from '../protocol/subscription-data.js';
import { consumeTypeOf } from './consumer-data.js';

/**
 * What `mqadmin consumerStatus` and the dashboard show of a member: settings, subscriptions, and how far it is in
 * each of its queues. Rates are not kept here. (Java: `ConsumerRunningInfo`, `ProcessQueueInfo`.)
 *
 * @param startTimestamp epoch milliseconds
 */
export function encodeConsumerRunningInfo(
  profile: ConsumerProfile,
  member: GroupMember,
  startTimestamp: number,
  nameServers: readonly string[],
): Buffer {
  const properties = {
    PROP_CONSUME_TYPE: consumeTypeOf(profile),
    PROP_CONSUMEORDERLY: String(profile.orderly),
    PROP_THREADPOOL_CORE_SIZE: String(profile.concurrency),
    PROP_CONSUMER_START_TIMESTAMP: String(startTimestamp),
    PROP_NAMESERVER_ADDR: nameServers.join(';'),
    PROP_CLIENT_VERSION: 'nestjs-rocketmq',
  };
  const queues = Array.from(
    member.queues,
    (processQueue) => [processQueue.queue, queueInfo(processQueue, member.isLocked(processQueue))] as const,
  );
  return Buffer.from(
    `{"jstack":null,"mqPopTable":{},"mqTable":${encodeQueueMap(queues)},` +
      `"properties":${JSON.stringify(properties)},"statusTable":{},` +
      `"subscriptionSet":${JSON.stringify(member.subscriptions().map(subscriptionDataOf))},"userConsumerInfo":{}}`,
  );
}

function queueInfo(processQueue: ProcessQueue, locked: boolean): Record<string, unknown> {
  const { committableOffset, count, bytes, dropped, span } = processQueue;
  return {
    commitOffset: committableOffset,
    cachedMsgMinOffset: count === 0 ? 0 : committableOffset,
    cachedMsgMaxOffset: count === 0 ? 0 : committableOffset + span,
    cachedMsgCount: count,
    cachedMsgSizeInMiB: Math.floor(bytes / 1_048_576),
    transactionMsgMinOffset: 0,
    transactionMsgMaxOffset: 0,
    transactionMsgCount: 0,
    locked,
    tryUnlockTimes: 0,
    lastLockTimestamp: 0,
    dropped,
    lastPullTimestamp: processQueue.lastPullTimestamp,
    lastConsumeTimestamp: processQueue.lastConsumeTimestamp,
  };
}
