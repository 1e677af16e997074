import { MAX_PROPERTIES_BYTES } from '../../../message/message-limits.js';
import type { Message } from '../../../message/message.js';
import { RocketMQError } from '../../../message/rocketmq-error.js';
import { compress, compressInBackground, ZLIB_SYS_FLAG } from '../protocol/compression.js';
import { encodeProperties } from '../protocol/message-properties.js';
import { KEY_SEPARATOR, PropertyName } from '../protocol/property-name.js';

/** From this size on a body is compressed off the event loop. */
const COMPRESS_IN_BACKGROUND_BYTES = 32 * 1024;
/** A UTF-16 code unit takes at most three bytes: shorter texts need not be measured. */
const SURELY_SHORT_ENOUGH = Math.floor(MAX_PROPERTIES_BYTES / 3);

export interface PropertyContext {
  readonly messageId: string;
  /** Set on half messages: the producer group as the broker knows it. */
  readonly transactionGroup?: string | undefined;
  /** Namespace, which brokers store as INSTANCE_ID. */
  readonly instanceId?: string | undefined;
}

/**
 * RocketMQ's own properties and the headers, encoded for the wire.
 *
 * @throws RocketMQError `MESSAGE_TOO_LARGE`, or `INVALID_ARGUMENT` for an unusable message id
 */
export function encodeMessageProperties(message: Message, context: PropertyContext): string {
  const { tag, keys, orderingKey, delivery, headers } = message;
  const { messageId, transactionGroup, instanceId } = context;
  let text = `${PropertyName.UNIQ_CLIENT_MESSAGE_ID_KEYIDX}\u0001${messageId}\u0002${PropertyName.WAIT_STORE_MSG_OK}\u0001${
    message.waitStoreOk === false ? 'false' : 'true'
  }\u0002`;
  if (tag !== undefined) text += `${PropertyName.TAGS}\u0001${tag}\u0002`;
  if (keys !== undefined && keys.length > 0) {
    text += `${PropertyName.KEYS}\u0001${keys.join(KEY_SEPARATOR)}\u0002`;
  }
  if (orderingKey !== undefined) text += `${PropertyName.SHARDING_KEY}\u0001${orderingKey}\u0002`;
  if (delivery !== undefined) text += encodeDelivery(delivery);
  if (transactionGroup !== undefined) {
    text += `${PropertyName.TRANSACTION_PREPARED}\u0001true\u0002${PropertyName.PRODUCER_GROUP}\u0001${transactionGroup}\u0002`;
  }
  if (instanceId !== undefined) text += `${PropertyName.INSTANCE_ID}\u0001${instanceId}\u0002`;
  if (headers !== undefined) text += encodeProperties(headers);
  checkPropertiesLength(text, message.topic);
  return text;
}

/** @throws RocketMQError `MESSAGE_TOO_LARGE` */
export function checkPropertiesLength(text: string, topic: string): void {
  if (text.length <= SURELY_SHORT_ENOUGH) return;
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_PROPERTIES_BYTES) return;
  throw new RocketMQError(
    'MESSAGE_TOO_LARGE',
    `Keys, headers and RocketMQ's own properties for "${topic}" take ${bytes} bytes; the limit is ${MAX_PROPERTIES_BYTES}. Move data into the body.`,
  );
}

function encodeDelivery(delivery: NonNullable<Message['delivery']>): string {
  if ('level' in delivery) return `${PropertyName.DELAY_TIME_LEVEL}\u0001${delivery.level}\u0002`;
  if ('afterMs' in delivery) {
    return `${PropertyName.TIMER_DELAY_MS}\u0001${Math.round(delivery.afterMs)}\u0002`;
  }
  return `${PropertyName.TIMER_DELIVER_MS}\u0001${Math.round(delivery.at)}\u0002`;
}

/** Whether the message needs the timer of a RocketMQ 5 broker. */
export function isTimerMessage({ delivery }: Message): boolean {
  return delivery !== undefined && !('level' in delivery);
}

/** @throws RocketMQError `INVALID_ARGUMENT` */
export function checkMessageId(messageId: string): void {
  /* oxlint-disable-next-line no-control-regex */
  if (messageId !== '' && !/[\s\u0000-\u001f\u007f]/.test(messageId)) return;
  throw new RocketMQError(
    'INVALID_ARGUMENT',
    `Message id "${messageId}" is empty or has white space or a control character. Leave it out, or use the messageId of an earlier receipt.`,
  );
}

export interface EncodedBody {
  readonly body: Buffer;
  /** Bits for `sysFlag`. */
  readonly sysFlag: number;
}

/** The body with zlib, unless that makes it larger. Large ones are compressed off the event loop. */
export function compressBody(body: Buffer): EncodedBody | Promise<EncodedBody> {
  if (body.length < COMPRESS_IN_BACKGROUND_BYTES) return smallerOf(body, compress(body));
  return compressInBackground(body).then((compressed) => smallerOf(body, compressed));
}

function smallerOf(body: Buffer, compressed: Buffer): EncodedBody {
  return compressed.length < body.length
    ? { body: compressed, sysFlag: ZLIB_SYS_FLAG }
    : { body, sysFlag: 0 };
}
