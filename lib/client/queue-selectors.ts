import type { MessageQueueSelector } from './send.js';

/**
 * The same key always goes to the same queue, and to the one Java clients choose, as long as the number of queues
 * stays. The default for ordered messages. (Java: `SelectMessageQueueByHash`.)
 */
export const selectQueueByHash: MessageQueueSelector = (queues, _message, orderingKey) =>
  queues[Math.abs(javaHashCode(orderingKey) % queues.length)]!;

/** Any queue: spreads messages that carry an ordering key only for their consumers. (Java: `SelectMessageQueueByRandom`.) */
export const selectQueueRandomly: MessageQueueSelector = (queues) =>
  queues[Math.floor(Math.random() * queues.length)]!;

/** Java's `String.hashCode`: over UTF-16 code units, as a signed 32-bit integer. */
function javaHashCode(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++) {
    hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0;
  }
  return hash;
}
