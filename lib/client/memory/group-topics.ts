/** Where a group's messages end that it could not handle. (Java: `MixAll.getDLQTopic`.) */
export function deadLetterTopicOf(group: string): string {
  return `%DLQ%${group}`;
}
