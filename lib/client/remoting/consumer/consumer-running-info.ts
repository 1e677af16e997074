import type { ConsumeType } from '../protocol/heartbeat-data.js';
import type { SubscriptionData } from '../protocol/subscription-data.js';
import { encodeQueueMap } from '../protocol/queue-map.js';
import type { ProcessQueue } from './process-queue.js';
import type { QueueLockView } from './consume-message-orderly-service.js';

export interface RunningConsumer {
  readonly consumeType: ConsumeType;
  readonly orderly: boolean;
  readonly concurrency: number;
  /** Epoch milliseconds. */
  readonly startTimestamp: number;
  readonly nameServers: readonly string[];
  readonly subscriptions: readonly SubscriptionData[];
  readonly queues: Iterable<ProcessQueue>;
  readonly locks: QueueLockView | undefined;
}

/**
 * What `mqadmin consumerStatus` and the dashboard show of a member: settings, subscriptions, and how far it is in
 * each of its queues. Rates are not kept here. (Java: `ConsumerRunningInfo`, `ProcessQueueInfo`.)
 */
export function encodeConsumerRunningInfo(consumer: RunningConsumer): Buffer {
  const properties = {
    PROP_CONSUME_TYPE: consumer.consumeType,
    PROP_CONSUMEORDERLY: String(consumer.orderly),
    PROP_THREADPOOL_CORE_SIZE: String(consumer.concurrency),
    PROP_CONSUMER_START_TIMESTAMP: String(consumer.startTimestamp),
    PROP_NAMESERVER_ADDR: consumer.nameServers.join(';'),
    PROP_CLIENT_VERSION: 'nestjs-rocketmq',
  };
  const queues = Array.from(
    consumer.queues,
    (processQueue) => [processQueue.queue, queueInfo(processQueue, consumer.locks)] as const,
  );
  return Buffer.from(
    `{"jstack":null,"mqPopTable":{},"mqTable":${encodeQueueMap(queues)},` +
      `"properties":${JSON.stringify(properties)},"statusTable":{},` +
      `"subscriptionSet":${JSON.stringify(consumer.subscriptions)},"userConsumerInfo":{}}`,
  );
}

function queueInfo(processQueue: ProcessQueue, locks: QueueLockView | undefined): Record<string, unknown> {
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
    locked: locks?.isHeld(processQueue) ?? false,
    tryUnlockTimes: 0,
    lastLockTimestamp: 0,
    dropped,
    lastPullTimestamp: processQueue.lastPullTimestamp,
    lastConsumeTimestamp: processQueue.lastConsumeTimestamp,
  };
}
