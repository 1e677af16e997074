/** Where a group's messages wait to be delivered again. (Java: `MixAll.getRetryTopic`.) */
export function retryTopicOf(group: string): string {
  return `%RETRY%${group}`;
}

/** Where a group's messages end that it could not handle. (Java: `MixAll.getDLQTopic`.) */
export function deadLetterTopicOf(group: string): string {
  return `%DLQ%${group}`;
}
