import type { RocketMQError } from '../../../message/rocketmq-error.js';
import type { StoredMessage as ConsumedMessage } from '../../consumer/stored-message.js';

/**
 * A message as a broker stored it. A half message lies in the half topic. The body is decompressed; otherwise a view
 * into what was received. (Java: `MessageExt`.)
 */
export interface StoredMessage extends ConsumedMessage {
  readonly error?: undefined;
  /** Without the compression bits when {@link body} was decompressed, so that sending it again labels it right. */
  readonly sysFlag: number;
  /** `host:port`, IPv6 hosts in brackets. */
  readonly storeHost: string;
  readonly preparedTransactionOffset: number;
  /** Of the body as stored. */
  readonly bodyCrc: number;
  /** Bytes in the commit log. */
  readonly storeSize: number;
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
