import type { MessageQueue } from '../../../message/message.js';
import { isReadable, isWriteable } from '../protocol/perm-name.js';
import { MASTER_ID, type TopicRouteData } from '../protocol/route-data.js';

/** Queues per broker of a topic that the broker creates on the first message. (Java: `DefaultMQProducer.defaultTopicQueueNums`.) */
export const DEFAULT_TOPIC_QUEUE_NUMS = 4;

/** Where a producer may send. (Java: `TopicPublishInfo`.) */
export interface TopicPublishInfo {
  readonly topic: string;
  /** Sorted by broker name and queue id, or in the order of an ordered topic's configuration. */
  readonly queues: readonly MessageQueue[];
  /** Ordered over all brokers: the queues stay the same when a broker is down. */
  readonly orderTopic: boolean;
  /** The topic does not exist yet; these are the queues it will get. */
  readonly autoCreated: boolean;
}

/** (Java: `MQClientInstance.topicRouteData2TopicPublishInfo`.) */
export function toTopicPublishInfo(
  topic: string,
  route: TopicRouteData,
  autoCreated: boolean,
): TopicPublishInfo {
  const { orderTopicConf } = route;
  if (orderTopicConf !== undefined) {
    return { topic, queues: orderedQueues(topic, orderTopicConf), orderTopic: true, autoCreated };
  }
  const queues: MessageQueue[] = [];
  for (const { brokerName, perm, writeQueueNums } of route.queueDatas) {
    if (!isWriteable(perm)) continue;
    const broker = route.brokerDatas.find((each) => each.brokerName === brokerName);
    if (!broker?.brokerAddrs.has(MASTER_ID)) continue;
    const count = autoCreated ? Math.min(DEFAULT_TOPIC_QUEUE_NUMS, writeQueueNums) : writeQueueNums;
    for (let queueId = 0; queueId < count; queueId++) queues.push({ topic, brokerName, queueId });
  }
  return { topic, queues, orderTopic: false, autoCreated };
}

/** `broker-a:8;broker-b:8` */
function orderedQueues(topic: string, orderTopicConf: string): MessageQueue[] {
  const queues: MessageQueue[] = [];
  for (const part of orderTopicConf.split(';')) {
    const [brokerName = '', count] = part.split(':');
    for (let queueId = 0; queueId < Number(count ?? 0); queueId++)
      queues.push({ topic, brokerName, queueId });
  }
  return queues;
}

/** Queues a consumer may read, sorted by broker name and queue id. (Java: `MQClientInstance.topicRouteData2TopicSubscribeInfo`.) */
export function toSubscribeQueues(topic: string, route: TopicRouteData): readonly MessageQueue[] {
  const queues: MessageQueue[] = [];
  for (const { brokerName, perm, readQueueNums } of route.queueDatas) {
    if (!isReadable(perm)) continue;
    for (let queueId = 0; queueId < readQueueNums; queueId++) queues.push({ topic, brokerName, queueId });
  }
  return queues;
}
