/** What a consumer keeps of a message as its broker stored it. (Java: `MessageExt`.) */
export interface StoredMessage {
  /** The topic it lies in: for a redelivery `%RETRY%group`. */
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly commitLogOffset: number;
  readonly flag: number;
  readonly body: Buffer;
  readonly properties: Readonly<Record<string, string>>;
  /** Epoch milliseconds. */
  readonly bornTimestamp: number;
  /** `host:port`, IPv6 hosts in brackets. */
  readonly bornHost: string;
  /** Epoch milliseconds. */
  readonly storeTimestamp: number;
  readonly reconsumeTimes: number;
  /** (Java: `offsetMsgId`.) */
  readonly offsetMessageId: string;
}

/** Where a broker finds a message again. */
export type StoredPosition = Pick<
  StoredMessage,
  'topic' | 'queueId' | 'queueOffset' | 'commitLogOffset' | 'offsetMessageId'
>;
