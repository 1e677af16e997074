import type { ReceivedMessage } from '../../lib/message/message.js';

let offsets = 0;

/** A delivery, with whatever the test cares about. */
export function receivedMessage(
  given: Partial<ReceivedMessage> & { readonly messageId: string },
): ReceivedMessage {
  offsets += 1;
  return {
    topic: 'orders',
    body: Buffer.from('{}'),
    tag: undefined,
    keys: [],
    orderingKey: undefined,
    headers: {},
    properties: {},
    offsetMessageId: `offset-${offsets}`,
    attempt: 1,
    brokerName: 'broker-a',
    queueId: 0,
    queueOffset: offsets,
    bornTimestamp: Date.now(),
    bornHost: '127.0.0.1:1',
    storeTimestamp: Date.now(),
    storeHost: '127.0.0.1:2',
    transactionId: undefined,
    ...given,
  };
}
