/** (Java: `MixAll.RETRY_GROUP_TOPIC_PREFIX`.) */
export const RETRY_PREFIX = '%RETRY%';
/** (Java: `MixAll.DLQ_GROUP_TOPIC_PREFIX`.) */
export const DLQ_PREFIX = '%DLQ%';

/** Where the broker puts what the group sent back. (Java: `KeyBuilder`, `MixAll.getRetryTopic`.) */
export function retryTopicOf(group: string): string {
  return RETRY_PREFIX + group;
}

export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(RETRY_PREFIX);
}

/** Where a group's messages end that it could not handle. (Java: `MixAll.getDLQTopic`.) */
export function deadLetterTopicOf(group: string): string {
  return DLQ_PREFIX + group;
}
