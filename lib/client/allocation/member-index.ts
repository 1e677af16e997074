import { RocketMQError } from '../../message/rocketmq-error.js';
import type { MessageQueue } from '../../message/message.js';

/**
 * Where this member stands among the group's, or -1 when the broker does not list it (yet): it gets no queue then,
 * as in Java's `AbstractAllocateMessageQueueStrategy.check`.
 *
 * @throws RocketMQError `INVALID_ARGUMENT` for input no rebalance produces
 */
export function memberIndex(
  clientId: string,
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
): number {
  if (clientId === '' || queues.length === 0 || clientIds.length === 0) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      'An allocation needs a client id, at least one queue and at least one member. Leave topics without queues out.',
    );
  }
  return clientIds.indexOf(clientId);
}
