import { isRetryTopic } from '../../group-topics.js';
import type { Message } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import { BATCH_MESSAGE_OVERHEAD } from '../protocol/batch-encoder.js';

/**
 * What a broker adds to body, topic and properties when it stores a message, IPv6 hosts counted. Older brokers
 * compare the stored size of a batch with maxMessageSize, newer ones the size on the wire. Source: MessageExtEncoder.
 */
const STORED_OVERHEAD = 120;

/** A message of a batch, its properties encoded. */
export interface BatchItem {
  readonly message: Message;
  readonly messageId: string;
  readonly properties: string;
}

/**
 * What a broker would refuse or, worse, treat wrongly: a batch is stored in one queue, at once. (Java: `MessageBatch`.)
 *
 * @throws RocketMQError `INVALID_ARGUMENT`
 */
export function checkBatch(messages: readonly Message[], chosenQueue: boolean): void {
  const [first] = messages;
  if (first === undefined) throw refuse('A batch needs at least one message.', 'Send what there is.');
  if (isRetryTopic(first.topic)) {
    throw refuse('A retry topic takes no batches.', 'Send the messages one by one.');
  }
  for (const message of messages) {
    if (message.topic !== first.topic) {
      throw refuse(
        `A batch goes to one topic; this one has "${first.topic}" and "${message.topic}".`,
        'Send one batch per topic.',
      );
    }
    if (message.delivery !== undefined) {
      throw refuse(
        'A batch is delivered at once; this one has a delayed message.',
        'Send delayed messages one by one.',
      );
    }
    if ((message.waitStoreOk ?? true) !== (first.waitStoreOk ?? true)) {
      throw refuse('A batch waits for storage as a whole.', 'Give every message the same waitStoreOk.');
    }
    if (!chosenQueue && message.orderingKey !== first.orderingKey) {
      throw refuse(
        'A batch goes to one queue; this one has different ordering keys.',
        'Send one batch per ordering key, or choose the queue.',
      );
    }
  }
}

/** Splits where the size limit asks for it; a message that is too large for company stands alone. */
export function splitBatch<Item extends BatchItem>(items: readonly Item[], maxBytes: number): Item[][] {
  const parts: Item[][] = [];
  let part: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (part.length > 0 && bytes + size > maxBytes) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(item);
    bytes += size;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

function sizeOf({ message, properties }: BatchItem): number {
  return (
    Math.max(BATCH_MESSAGE_OVERHEAD, STORED_OVERHEAD + message.topic.length) +
    message.body.length +
    Buffer.byteLength(properties)
  );
}

function refuse(why: string, next: string): RocketMQError {
  return new RocketMQError('INVALID_ARGUMENT', `${why} ${next}`);
}
