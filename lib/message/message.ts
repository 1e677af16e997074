/**
 * User properties of a message. Names of RocketMQ's own properties (KEYS, TAGS, DELAY, …) are reserved;
 * values must not be empty and must not contain the control characters U+0001 and U+0002.
 */
export type MessageHeaders = Readonly<Record<string, string>>;

/**
 * When a message becomes visible to consumers.
 *
 * - `level`: one of the broker's delay levels, 1 to 18 (`messageDelayLevel` in broker.conf).
 * - `afterMs`: milliseconds from the moment the broker stores it (timer message, brokers from 5.0).
 * - `at`: a point in time as epoch milliseconds (timer message, brokers from 5.0).
 */
export type DeliveryTime =
  { readonly level: number } | { readonly afterMs: number } | { readonly at: number };

/** A message on its way to a broker: bytes and what RocketMQ itself looks at. */
export interface Message {
  readonly topic: string;
  readonly body: Buffer;
  /** One tag; consumers filter by it. */
  readonly tag?: string | undefined;
  /** Business keys; the broker indexes them for queries. They must not contain spaces. */
  readonly keys?: readonly string[] | undefined;
  /** Messages of one ordering key (RocketMQ: sharding key, message group) go to one queue, in the order they are sent. */
  readonly orderingKey?: string | undefined;
  readonly delivery?: DeliveryTime | undefined;
  readonly headers?: MessageHeaders | undefined;
  /** Wait until the broker's flush and replication policy is satisfied (`WAIT`). @default true */
  readonly waitStoreOk?: boolean | undefined;
  /** The unique key to use instead of a new one (`UNIQ_KEY`): a resend keeps the identity of the first attempt. */
  readonly messageId?: string | undefined;
}

/** A message as a consumer sees it. */
export interface ReceivedMessage {
  /** The topic it was sent to; for a redelivery that is still the original topic, never `%RETRY%group`. */
  readonly topic: string;
  readonly body: Buffer;
  readonly tag: string | undefined;
  readonly keys: readonly string[];
  readonly orderingKey: string | undefined;
  /** User properties only. */
  readonly headers: MessageHeaders;
  /** Every property as stored, RocketMQ's own included. */
  readonly properties: Readonly<Record<string, string>>;
  /** The producer's unique key (`UNIQ_KEY`): equal for every delivery and every resend of one message. */
  readonly messageId: string;
  /** Address and offset in the broker's commit log, in hex (Java: `offsetMsgId`). Changes with every redelivery. */
  readonly offsetMessageId: string;
  /** Which delivery this is, from 1. (Java: `reconsumeTimes` + 1.) */
  readonly attempt: number;
  readonly brokerName: string;
  readonly queueId: number;
  /** Position in the message queue. */
  readonly queueOffset: number;
  /** Clock of the producer when it sent, epoch milliseconds. */
  readonly bornTimestamp: number;
  /** `host:port` of the producer. */
  readonly bornHost: string;
  /** Clock of the broker when it stored, epoch milliseconds. */
  readonly storeTimestamp: number;
  readonly storeHost: string;
  /** Of a transactional message. */
  readonly transactionId: string | undefined;
}

/** One queue of a topic on one broker. (Java: `MessageQueue`.) */
export interface MessageQueue {
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
}
