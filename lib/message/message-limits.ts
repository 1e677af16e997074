import type { Message } from './message.js';
import { RocketMQError } from './rocketmq-error.js';
import { isReservedProperty } from './reserved-properties.js';

/** Longest topic name a broker accepts. Source: TopicValidator.TOPIC_MAX_LENGTH. */
export const MAX_TOPIC_LENGTH = 127;
/** Longest consumer or producer group name. Source: Validators.CHARACTER_MAX_LENGTH. */
export const MAX_GROUP_LENGTH = 255;
/** Largest body unless configured otherwise, in bytes. Source: DefaultMQProducer.maxMessageSize. */
export const DEFAULT_MAX_BODY_BYTES = 4 * 1024 * 1024;
/** All properties together, encoded, in bytes: the field has a 16-bit length. Source: MessageDecoder. */
export const MAX_PROPERTIES_BYTES = 32_767;

const NAME = /^[%|a-zA-Z0-9_-]+$/;
/* oxlint-disable-next-line no-control-regex */
const CONTROL = /[\u0000-\u001f\u007f]/;

/**
 * @throws RocketMQError `INVALID_ARGUMENT`
 */
export function checkTopic(topic: string): void {
  checkName('Topic', topic, MAX_TOPIC_LENGTH);
}

/**
 * @throws RocketMQError `INVALID_ARGUMENT`
 */
export function checkGroup(group: string): void {
  checkName('Group', group, MAX_GROUP_LENGTH);
}

function checkName(what: string, name: unknown, max: number): void {
  if (typeof name !== 'string' || name.trim() === '') {
    throw new RocketMQError('INVALID_ARGUMENT', `${what} is empty. Give it a name.`);
  }
  if (name.length > max) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `${what} "${name}" has ${name.length} characters. Use at most ${max}.`,
    );
  }
  if (!NAME.test(name)) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `${what} "${name}" has a character RocketMQ refuses. Use letters, digits, "_", "-", "%" and "|".`,
    );
  }
}

/**
 * @throws RocketMQError `INVALID_ARGUMENT`
 */
export function checkTag(tag: string): void {
  if (tag === '' || tag.trim() !== tag || tag.includes('|') || CONTROL.test(tag)) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `Tag "${tag}" is empty, padded, or has "|" or a control character. Choose a plain word.`,
    );
  }
}

/**
 * Everything about a message that can be known before it leaves the process.
 *
 * @throws RocketMQError `INVALID_ARGUMENT` or `MESSAGE_TOO_LARGE`
 */
export function checkMessage(message: Message, maxBodyBytes: number = DEFAULT_MAX_BODY_BYTES): void {
  checkTopic(message.topic);
  if (message.tag !== undefined) checkTag(message.tag);
  if (message.body.length === 0) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `The message for "${message.topic}" has an empty body, which brokers refuse. Send at least one byte.`,
    );
  }
  if (message.body.length > maxBodyBytes) {
    throw new RocketMQError(
      'MESSAGE_TOO_LARGE',
      `The body for "${message.topic}" has ${message.body.length} bytes; the limit is ${maxBodyBytes}. Send a reference to the data, or raise maxMessageSize here and at the broker.`,
    );
  }
  for (const key of message.keys ?? []) {
    if (key === '' || /\s/.test(key) || CONTROL.test(key)) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Key "${key}" is empty or has white space, which separates keys. Remove it.`,
      );
    }
  }
  if (
    message.orderingKey !== undefined &&
    (message.orderingKey === '' || CONTROL.test(message.orderingKey))
  ) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      'The ordering key is empty or has a control character. Give a plain text or leave it out.',
    );
  }
  checkDelivery(message);
  checkHeaders(message);
}

function checkDelivery({ delivery }: Message): void {
  if (delivery === undefined) return;
  if ('level' in delivery) {
    if (!Number.isInteger(delivery.level) || delivery.level < 1 || delivery.level > 18) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Delay level ${delivery.level} does not exist. Use 1 to 18.`,
      );
    }
    return;
  }
  const value = 'afterMs' in delivery ? delivery.afterMs : delivery.at;
  if (!Number.isFinite(value) || value < 0) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `Delivery time ${value} is not a time. Give milliseconds, zero or more.`,
    );
  }
}

function checkHeaders({ headers, topic }: Message): void {
  if (headers === undefined) return;
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (name === '' || CONTROL.test(name)) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Header name "${name}" is empty or has a control character. Rename it.`,
      );
    }
    if (isReservedProperty(name)) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Header "${name}" is one of RocketMQ's own properties. Use the option meant for it, or another name.`,
      );
    }
    if (typeof value !== 'string' || value === '' || value.includes('\u0001') || value.includes('\u0002')) {
      throw new RocketMQError(
        'INVALID_ARGUMENT',
        `Header "${name}" needs a non-empty text without U+0001 and U+0002: brokers drop anything else. Leave it out or encode it.`,
      );
    }
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
  }
  // RocketMQ's own properties (unique key, tag, keys, delivery time) share the same field.
  if (bytes > MAX_PROPERTIES_BYTES - 1_024) {
    throw new RocketMQError(
      'MESSAGE_TOO_LARGE',
      `The headers for "${topic}" take ${bytes} bytes; all properties together may have ${MAX_PROPERTIES_BYTES}. Move data into the body.`,
    );
  }
}
