import type { SendReceipt } from '../../send.js';
import { decodeOffsetMessageId } from '../protocol/offset-message-id.js';
import type { Delivery } from './message-sender.js';

/** @param topic as the application knows it */
export function toReceipt(delivery: Delivery, topic: string, messageId: string): SendReceipt {
  const { queue, status, fields } = delivery;
  const receipt = {
    messageId,
    topic,
    brokerName: queue.brokerName,
    queueId: Number(fields['queueId'] ?? queue.queueId),
    queueOffset: Number(fields['queueOffset'] ?? -1),
    status,
    offsetMessageId: fields['msgId'] ?? '',
  };
  // A transaction id comes with every message, and means something only with half messages.
  const { recallHandle } = fields;
  return recallHandle === undefined ? receipt : { ...receipt, recallHandle };
}

/** Brokers answer a batch with one offset and one id per message, joined with commas. */
export function toBatchReceipts(
  delivery: Delivery,
  topic: string,
  messageIds: readonly string[],
): SendReceipt[] {
  const first = toReceipt(delivery, topic, '');
  const offsetMessageIds = first.offsetMessageId.split(',');
  return messageIds.map((messageId, index) => ({
    ...first,
    messageId,
    queueOffset: first.queueOffset < 0 ? -1 : first.queueOffset + index,
    offsetMessageId: offsetMessageIds[index] ?? '',
  }));
}

/** Where the broker keeps a half message; END_TRANSACTION needs it. */
export function commitLogOffsetOf(receipt: SendReceipt): number {
  return decodeOffsetMessageId(receipt.offsetMessageId).commitLogOffset;
}
