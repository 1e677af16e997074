/** (Java: `MixAll.RETRY_GROUP_TOPIC_PREFIX`.) */
const RETRY_PREFIX = '%RETRY%';

/** Where the broker puts what the group sent back. (Java: `KeyBuilder`, `MixAll.getRetryTopic`.) */
export function retryTopicOf(group: string): string {
  return RETRY_PREFIX + group;
}

export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(RETRY_PREFIX);
}
