import type { ReceivedMessage } from '../../../message/message.js';
import { isReservedProperty } from '../../../message/reserved-properties.js';
import { KEY_SEPARATOR, PropertyName } from './property-name.js';
import type { StoredMessage } from './stored-message.js';

/**
 * The port's view of a stored message: a redelivery shows its original topic, the message id is the unique key
 * of its producer. (Java: `DefaultMQPushConsumerImpl.resetRetryAndNamespace`, `MessageClientExt.getMsgId`.)
 */
export function toReceivedMessage(stored: StoredMessage, brokerName: string): ReceivedMessage {
  const { properties } = stored;
  return {
    topic: properties[PropertyName.RETRY_TOPIC] ?? stored.topic,
    body: stored.body,
    tag: properties[PropertyName.TAGS],
    keys: splitKeys(properties[PropertyName.KEYS]),
    orderingKey: properties[PropertyName.SHARDING_KEY],
    headers: userHeaders(properties),
    properties,
    messageId: properties[PropertyName.UNIQ_CLIENT_MESSAGE_ID_KEYIDX] ?? stored.offsetMessageId,
    offsetMessageId: stored.offsetMessageId,
    attempt: stored.reconsumeTimes + 1,
    brokerName,
    queueId: stored.queueId,
    queueOffset: stored.queueOffset,
    bornTimestamp: stored.bornTimestamp,
    bornHost: stored.bornHost,
    storeTimestamp: stored.storeTimestamp,
    storeHost: stored.storeHost,
    transactionId: transactionIdOf(properties),
  };
}

/** Brokers of RocketMQ 4 do not store it; it always is the unique key. */
function transactionIdOf(properties: Readonly<Record<string, string>>): string | undefined {
  const stored = properties[PropertyName.TRANSACTION_ID];
  if (stored !== undefined || properties[PropertyName.TRANSACTION_PREPARED] !== 'true') return stored;
  return properties[PropertyName.UNIQ_CLIENT_MESSAGE_ID_KEYIDX];
}

const NO_KEYS: readonly string[] = Object.freeze([]);

function splitKeys(keys: string | undefined): readonly string[] {
  if (keys === undefined) return NO_KEYS;
  if (!keys.includes(KEY_SEPARATOR)) return keys === '' ? NO_KEYS : [keys];
  return keys.split(KEY_SEPARATOR).filter((key) => key !== '');
}

function userHeaders(properties: Readonly<Record<string, string>>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name in properties) {
    if (isReservedProperty(name)) continue;
    const value = properties[name];
    if (value !== undefined && name !== '__proto__') headers[name] = value;
  }
  return headers;
}
