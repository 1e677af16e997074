import type { RocketMQError } from '../../../message/rocketmq-error.js';

/** A message as a broker stored it. (Java: `MessageExt`.) */
export interface StoredMessage {
  readonly error?: undefined;
  /** The topic it lies in: for a redelivery `%RETRY%group`, for a half message the half topic. */
  readonly topic: string;
  readonly queueId: number;
  readonly flag: number;
  readonly queueOffset: number;
  /** (Java: `commitLogOffset`, on the wire `physicalOffset`.) */
  readonly commitLogOffset: number;
  /** Without the compression bits when {@link body} was decompressed, so that sending it again labels it right. */
  readonly sysFlag: number;
  /** Epoch milliseconds. */
  readonly bornTimestamp: number;
  /** `host:port`, IPv6 hosts in brackets. */
  readonly bornHost: string;
  /** Epoch milliseconds. */
  readonly storeTimestamp: number;
  /** `host:port`, IPv6 hosts in brackets. */
  readonly storeHost: string;
  readonly reconsumeTimes: number;
  readonly preparedTransactionOffset: number;
  /** Decompressed; otherwise a view into what was received. */
  readonly body: Buffer;
  /** Of the body as stored. */
  readonly bodyCrc: number;
  readonly properties: Readonly<Record<string, string>>;
  /** Bytes in the commit log. */
  readonly storeSize: number;
  /** (Java: `offsetMsgId`.) */
  readonly offsetMessageId: string;
}

/** A stored message that cannot be read. What is known of its position helps to step over it. */
export interface UndecodableMessage {
  /** `PROTOCOL_VIOLATION`, or `UNSUPPORTED` when a package to decompress it is missing. */
  readonly error: RocketMQError;
  /** -1 when even this cannot be read. */
  readonly queueId: number;
  /** -1 when even this cannot be read. */
  readonly queueOffset: number;
  /** -1 when even this cannot be read. */
  readonly commitLogOffset: number;
  /** The bytes as received. */
  readonly raw: Buffer;
}

export type DecodedMessage = StoredMessage | UndecodableMessage;
