import { isRetryTopic } from '../group-topics.js';
import type { Message } from '../../message/message.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import { storedBytes, type MessageToStore } from './stored-message.js';

/**
 * What brokers refuse or treat wrongly: a batch is stored in one queue, at once. (Java: `MessageBatch`.)
 *
 * @throws RocketMQError `INVALID_ARGUMENT`
 */
export function checkBatch(messages: readonly Message[], chosenQueue: boolean): void {
  const [first] = messages;
  if (first === undefined) throw refuse('A batch needs at least one message. Send what there is.');
  if (isRetryTopic(first.topic)) throw refuse('A retry topic takes no batches. Send one by one.');
  for (const message of messages) {
    if (message.topic !== first.topic) {
      throw refuse(
        `A batch goes to one topic, this one has "${first.topic}" and "${message.topic}". Send one batch per topic.`,
      );
    }
    if (message.delivery !== undefined) {
      throw refuse(
        'A batch is delivered at once, this one has a delayed message. Send delayed messages one by one.',
      );
    }
    if ((message.waitStoreOk ?? true) !== (first.waitStoreOk ?? true)) {
      throw refuse('A batch waits for storage as a whole. Give every message the same waitStoreOk.');
    }
    if (!chosenQueue && message.orderingKey !== first.orderingKey) {
      throw refuse(
        'A batch goes to one queue, this one has different ordering keys. Send one batch per key, or choose the queue.',
      );
    }
  }
}

/** Cuts where the size limit of the broker asks for it; one that is too large for company stands alone. */
export function splitBatch(messages: readonly MessageToStore[], maxBytes: number): MessageToStore[][] {
  const parts: MessageToStore[][] = [];
  let part: MessageToStore[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = storedBytes(message);
    if (part.length > 0 && bytes + size > maxBytes) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(message);
    bytes += size;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

function refuse(why: string): RocketMQError {
  return new RocketMQError('INVALID_ARGUMENT', why);
}
