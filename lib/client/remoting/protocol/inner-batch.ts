import { RocketMQError } from '../../../message/rocketmq-error.js';
import { BATCH_MESSAGE_OVERHEAD } from './batch-encoder.js';
import { decodeProperties } from './message-properties.js';
import { MessageSysFlag } from './message-sys-flag.js';
import type { StoredMessage } from './stored-message.js';

const BATCH_BITS = MessageSysFlag.INNER_BATCH | MessageSysFlag.NEED_UNWRAP;

/**
 * Takes a stored batch apart (topics with `queue.type=BatchCQ`). The messages follow each other in the queue
 * from the offset of the batch on. (Java: `MessageDecoder.decodeMessage(MessageExt, List)`.)
 *
 * @throws RocketMQError `PROTOCOL_VIOLATION` when the batch is broken
 */
export function decodeInnerBatch(batch: StoredMessage): StoredMessage[] {
  const messages: StoredMessage[] = [];
  const bytes = batch.body;
  let at = 0;
  while (at < bytes.length) {
    const left = bytes.length - at;
    const size = left >= BATCH_MESSAGE_OVERHEAD ? bytes.readInt32BE(at) : -1;
    const bodyLength = size >= BATCH_MESSAGE_OVERHEAD && size <= left ? bytes.readInt32BE(at + 16) : -1;
    const bodyEnd = at + 20 + bodyLength;
    const end = at + size;
    if (bodyLength < 0 || bodyEnd + 2 > end) throw brokenBatch(batch);
    const propertiesEnd = bodyEnd + 2 + bytes.readInt16BE(bodyEnd);
    if (propertiesEnd > end) throw brokenBatch(batch);
    messages.push({
      ...batch,
      sysFlag: batch.sysFlag & ~BATCH_BITS,
      flag: bytes.readInt32BE(at + 12),
      queueOffset: batch.queueOffset + messages.length,
      body: bytes.subarray(at + 20, bodyEnd),
      properties: decodeProperties(bytes.toString('utf8', bodyEnd + 2, propertiesEnd)),
      storeSize: size,
    });
    at = end;
  }
  return messages;
}

function brokenBatch({ topic, queueId, queueOffset }: StoredMessage): RocketMQError {
  return new RocketMQError(
    'PROTOCOL_VIOLATION',
    `The batch stored at ${topic}:${queueId}:${queueOffset} is broken. Look at its producer.`,
  );
}
