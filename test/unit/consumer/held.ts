import type { ReceivedMessage } from '../../../lib/message/message.js';
import type { StoredMessage } from '../../../lib/client/remoting/protocol/stored-message.js';
import { toReceivedMessage } from '../../../lib/client/remoting/protocol/received-message.js';

export interface PulledMessage {
  readonly message: ReceivedMessage;
  readonly stored: StoredMessage;
}

/** A message as a pull brings it. */
export function pulled(queueOffset: number, overrides: Partial<StoredMessage> = {}): PulledMessage {
  const stored: StoredMessage = {
    topic: 'orders',
    queueId: 0,
    flag: 0,
    queueOffset,
    commitLogOffset: 1_000 + queueOffset,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: '127.0.0.1:1',
    storeTimestamp: 2,
    storeHost: '127.0.0.1:10911',
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.alloc(10),
    bodyCrc: 0,
    properties: { UNIQ_KEY: `key-${queueOffset}` },
    storeSize: 100,
    offsetMessageId: `id-${queueOffset}`,
    ...overrides,
  };
  return { message: toReceivedMessage(stored, 'broker-a'), stored };
}

export function pulledRange(from: number, to: number): PulledMessage[] {
  return Array.from({ length: to - from }, (_, index) => pulled(from + index));
}
