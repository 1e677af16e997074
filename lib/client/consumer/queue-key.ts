import type { MessageQueue } from '../../message/message.js';

/** `topic@broker:queueId`: names a queue in maps, logs and `assignment()`. */
export function queueKey({ topic, brokerName, queueId }: MessageQueue): string {
  return `${topic}@${brokerName}:${queueId}`;
}
