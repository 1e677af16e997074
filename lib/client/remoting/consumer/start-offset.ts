import type { MessageQueue } from '../../../message/message.js';
import type { StartFrom } from '../../push-consumer.js';
import type { ConsumeFromWhere } from '../protocol/heartbeat-data.js';
import type { ConsumerRequests } from './consumer-requests.js';
import type { OffsetStore } from './offset-store.js';
import { isRetryTopic } from './retry-topic.js';

/**
 * Where a queue that was just assigned begins: at the stored offset, otherwise where `startFrom` says. Such a first
 * offset is stored at once, so that a successor of this member does not apply `startFrom` again and skip what came
 * in between. (Java: `RebalancePushImpl.computePullFromWhereWithException`.)
 *
 * @throws RocketMQError when it cannot be told now
 */
export async function startOffset(
  queue: MessageQueue,
  startFrom: StartFrom,
  offsets: OffsetStore,
  requests: ConsumerRequests,
): Promise<number> {
  const stored = await offsets.read(queue);
  if (stored !== undefined) return stored;
  // Whatever lies in the retry topic was delivered to this group before.
  const first = isRetryTopic(queue.topic)
    ? await requests.minOffset(queue)
    : await firstOffset(queue, startFrom, requests);
  await offsets.persist([{ queue, offset: first }]);
  return first;
}

function firstOffset(queue: MessageQueue, startFrom: StartFrom, requests: ConsumerRequests): Promise<number> {
  if (startFrom === 'first') return requests.minOffset(queue);
  if (startFrom === 'last') return requests.maxOffset(queue);
  return requests.searchOffset(queue, startFrom.getTime());
}

/** How the heartbeat says it. */
export function consumeFromWhere(startFrom: StartFrom): ConsumeFromWhere {
  if (startFrom === 'first') return 'CONSUME_FROM_FIRST_OFFSET';
  return startFrom === 'last' ? 'CONSUME_FROM_LAST_OFFSET' : 'CONSUME_FROM_TIMESTAMP';
}
