import { toMilliseconds, type Duration } from '../message/duration.js';
import { parseDestination, type Destination } from '../message/destination.js';
import type { DeliveryTime, Message, MessageHeaders } from '../message/message.js';
import { checkMessage, DEFAULT_MAX_BODY_BYTES, MAX_PROPERTIES_BYTES } from '../message/message-limits.js';
import type { MessageSerializer } from '../message/message-serializer.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import { isMessageId } from '../database/message-id.js';
import type { CreateOperation } from '../observability/instrumentation.js';
import type { NewOutboxRow } from './outbox-row.js';

/** What can be said about one message of the outbox. */
export interface OutboxSendOptions {
  /** Messages of one ordering key are sent in the order their transactions wrote them. At most 255 characters. */
  readonly orderingKey?: string;
  /** From now: `30_000`, `'30s'` (timer message, brokers from 5.0), or one of the broker's delay levels. */
  readonly delay?: Duration | { readonly level: number };
  /** When consumers may see it (timer message, brokers from 5.0). */
  readonly deliverAt?: Date;
  /** Business keys the broker indexes. */
  readonly keys?: string | readonly string[];
  readonly headers?: MessageHeaders;
  /** Instead of writing it into the destination. */
  readonly tag?: string;
  readonly serializer?: MessageSerializer;
  /** Name of the connection to send over. @default the default connection */
  readonly connection?: string;
  /** An id of 32 hex digits to use instead of a new one. */
  readonly messageId?: string;
}

export interface OutboxMessageDefaults {
  readonly serializer: MessageSerializer;
  readonly maxMessageSize?: number | undefined;
  nextMessageId(): string;
  /** Throws when nobody here could send over a connection of this name. */
  readonly checkConnection?: ((name: string) => void) | undefined;
  /** Added to every message; the call's own headers win. */
  readonly contextHeaders?: ((message: CreateOperation) => MessageHeaders | undefined) | undefined;
}

/** What the columns of ordering key, tag and connection hold, in characters. */
const MAX_COLUMN_LENGTH = 255;
const MAX_CONNECTION_LENGTH = 64;

/** A row without its place: lane and sequence are found later. */
export type UnplacedRow = Omit<NewOutboxRow, 'lane' | 'sequence'>;

/** The row in its place. Spelled out: this runs for every message, and copies cost. */
export function placed(row: UnplacedRow, lane: number): NewOutboxRow {
  return {
    lane,
    messageId: row.messageId,
    topic: row.topic,
    tag: row.tag,
    orderingKey: row.orderingKey,
    keys: row.keys,
    headers: row.headers,
    body: row.body,
    delayLevel: row.delayLevel,
    delayMs: row.delayMs,
    deliverAt: row.deliverAt,
    connection: row.connection,
    sequence: undefined,
  };
}

/**
 * Checks everything about a message that the broker would refuse later, when nobody could tell the caller any more.
 *
 * @throws RocketMQError `INVALID_ARGUMENT`, `INVALID_CONFIGURATION`, `MESSAGE_TOO_LARGE`, `SERIALIZATION_FAILED`
 */
export function toUnplacedRow(
  destination: string | Destination,
  payload: unknown,
  options: OutboxSendOptions,
  defaults: OutboxMessageDefaults,
): UnplacedRow {
  const { topic, tag: ownTag } = parseDestination(destination);
  if (ownTag !== undefined && options.tag !== undefined && ownTag !== options.tag) {
    throw invalid(`Two tags are given, "${ownTag}" and "${options.tag}". Give one.`);
  }
  const tag = options.tag ?? ownTag;
  const keys = typeof options.keys === 'string' ? [options.keys] : options.keys;
  const { orderingKey, connection } = options;
  checkTimes(options);
  checkLength('Tag', tag, MAX_COLUMN_LENGTH);
  checkLength('Ordering key', orderingKey, MAX_COLUMN_LENGTH);
  checkLength('Connection', connection, MAX_CONNECTION_LENGTH);
  if (connection !== undefined) defaults.checkConnection?.(connection);
  const messageId = messageIdOf(options, defaults);
  const body = (options.serializer ?? defaults.serializer).serialize(payload);
  const times = timesOf(options);
  const own = options.headers;
  const context = defaults.contextHeaders?.({ topic, tag, keys, orderingKey, messageId, headers: own });
  const headers = context === undefined ? own : { ...context, ...own };
  const message: Message = {
    topic,
    tag,
    keys,
    orderingKey,
    headers,
    body,
    messageId,
    delivery: deliveryOf(times),
  };
  checkMessage(message, defaults.maxMessageSize ?? DEFAULT_MAX_BODY_BYTES);
  checkProperties(message);
  const { delayLevel, delayMs, deliverAt } = times;
  return {
    topic,
    tag,
    orderingKey,
    keys,
    headers,
    body,
    messageId,
    delayLevel,
    delayMs,
    deliverAt,
    connection,
  };
}

function messageIdOf({ messageId }: OutboxSendOptions, defaults: OutboxMessageDefaults): string {
  if (messageId === undefined) return defaults.nextMessageId();
  if (isMessageId(messageId)) return messageId.toUpperCase();
  throw invalid(`Message id "${messageId}" does not have 32 hex digits. Leave it out to get one.`);
}

type Times = Pick<UnplacedRow, 'delayLevel' | 'delayMs' | 'deliverAt'>;

function timesOf({ delay, deliverAt }: OutboxSendOptions): Times {
  return {
    delayMs: delay === undefined || typeof delay === 'object' ? undefined : toMilliseconds(delay),
    delayLevel: typeof delay === 'object' ? delay.level : undefined,
    deliverAt: deliverAt?.getTime(),
  };
}

function deliveryOf({ delayLevel, delayMs, deliverAt }: Times): DeliveryTime | undefined {
  if (delayLevel !== undefined) return { level: delayLevel };
  if (delayMs !== undefined) return { afterMs: delayMs };
  return deliverAt === undefined ? undefined : { at: deliverAt };
}

function checkTimes({ delay, deliverAt }: OutboxSendOptions): void {
  if (delay !== undefined && deliverAt !== undefined) {
    throw invalid('Both delay and deliverAt are given. Give one.');
  }
  if (deliverAt !== undefined && Number.isNaN(deliverAt.getTime())) {
    throw invalid('deliverAt is not a valid date. Give a Date.');
  }
}

function checkLength(what: string, text: string | undefined, max: number): void {
  if (text !== undefined && text.length > max) {
    throw invalid(`${what} "${text.slice(0, 40)}…" has ${text.length} characters. Use at most ${max}.`);
  }
}

/** Headers alone were checked; here with keys, tag and ordering key, which share the field. */
function checkProperties({ headers, keys, tag, orderingKey, topic }: Message): void {
  if (headers === undefined && keys === undefined) return; // tag and ordering key are short
  const own = 1_024;
  let bytes = own + Buffer.byteLength(keys?.join(' ') ?? '');
  for (const text of [tag, orderingKey]) bytes += Buffer.byteLength(text ?? '') + 16;
  for (const [name, value] of Object.entries(headers ?? {})) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
  }
  if (bytes > MAX_PROPERTIES_BYTES) {
    throw new RocketMQError(
      'MESSAGE_TOO_LARGE',
      `Headers, keys, tag and ordering key of the message for "${topic}" take ${bytes} bytes with RocketMQ's own properties; the limit is ${MAX_PROPERTIES_BYTES}. Move data into the body.`,
    );
  }
}

function invalid(message: string): RocketMQError {
  return new RocketMQError('INVALID_ARGUMENT', message);
}
