import type { Message, ReceivedMessage } from '../../message/message.js';
import { MAX_PROPERTIES_BYTES } from '../../message/message-limits.js';
import { RocketMQError } from '../../message/rocketmq-error.js';
import { isReservedProperty } from '../../message/reserved-properties.js';
import { Property, type Properties } from './message-properties.js';

/** What a broker is asked to store. */
export interface MessageToStore {
  readonly topic: string;
  readonly queueId: number;
  readonly body: Buffer;
  readonly properties: Properties;
  readonly bornTimestamp: number;
  readonly bornHost: string;
  readonly reconsumeTimes: number;
}

/** A message in a queue. */
export interface StoredMessage extends MessageToStore {
  readonly queueOffset: number;
  readonly commitLogOffset: number;
  readonly storeTimestamp: number;
}

/** There is no network: clients and broker share the process. */
export const LOCAL_HOST = '127.0.0.1:0';

/** Name, length and separators a broker keeps beside body and properties, roughly. */
const OVERHEAD_BYTES = 128;

/** Properties as a producer writes them. */
export function toProperties(message: Message, messageId: string): Record<string, string> {
  const properties: Record<string, string> = { ...message.headers };
  properties[Property.UNIQUE_KEY] = messageId;
  properties[Property.WAIT] = String(message.waitStoreOk ?? true);
  if (message.tag !== undefined) properties[Property.TAGS] = message.tag;
  if (message.keys !== undefined && message.keys.length > 0) {
    properties[Property.KEYS] = message.keys.join(' ');
  }
  if (message.orderingKey !== undefined) properties[Property.SHARDING_KEY] = message.orderingKey;
  const { delivery } = message;
  if (delivery === undefined) return properties;
  if ('level' in delivery) properties[Property.DELAY_LEVEL] = String(delivery.level);
  else if ('afterMs' in delivery) properties[Property.TIMER_DELAY_MS] = String(delivery.afterMs);
  else properties[Property.TIMER_DELIVER_MS] = String(delivery.at);
  return properties;
}

/** @throws RocketMQError `MESSAGE_TOO_LARGE` */
export function checkPropertiesLength(topic: string, properties: Properties): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(properties)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
  }
  if (bytes <= MAX_PROPERTIES_BYTES) return;
  throw new RocketMQError(
    'MESSAGE_TOO_LARGE',
    `Keys, headers and RocketMQ's own properties for "${topic}" take ${bytes} bytes; the limit is ${MAX_PROPERTIES_BYTES}. Move data into the body.`,
  );
}

export function messageIdOf(properties: Properties): string {
  return properties[Property.UNIQUE_KEY] ?? '';
}

/** Bytes a stored message counts against the limit of the broker. */
export function storedBytes(message: MessageToStore): number {
  let bytes = OVERHEAD_BYTES + message.body.length;
  for (const [name, value] of Object.entries(message.properties)) bytes += name.length + value.length;
  return bytes;
}

/** Address and commit-log offset in hex, as the other engines have it. (Java: `MessageDecoder.createMessageId`.) */
export function offsetMessageIdOf(commitLogOffset: number): string {
  return `7F00000100000000${commitLogOffset.toString(16).toUpperCase().padStart(16, '0')}`;
}

/** A copy nobody shares: what one handler does to a body never reaches another. */
export function toReceivedMessage(
  stored: StoredMessage,
  brokerName: string,
  unwrap: (topic: string) => string,
): ReceivedMessage {
  const { properties } = stored;
  const keys = properties[Property.KEYS];
  return {
    topic: unwrap(properties[Property.RETRY_TOPIC] ?? stored.topic),
    body: Buffer.from(stored.body),
    tag: properties[Property.TAGS],
    keys: keys === undefined ? [] : keys.split(' '),
    orderingKey: properties[Property.SHARDING_KEY],
    headers: userHeaders(properties),
    properties,
    messageId: messageIdOf(properties),
    offsetMessageId: offsetMessageIdOf(stored.commitLogOffset),
    attempt: stored.reconsumeTimes + 1,
    brokerName,
    queueId: stored.queueId,
    queueOffset: stored.queueOffset,
    bornTimestamp: stored.bornTimestamp,
    bornHost: stored.bornHost,
    storeTimestamp: stored.storeTimestamp,
    storeHost: LOCAL_HOST,
    transactionId: properties[Property.TRANSACTION_ID],
  };
}

function userHeaders(properties: Properties): Record<string, string> {
  return Object.fromEntries(Object.entries(properties).filter(([name]) => !isReservedProperty(name)));
}
